"""Compare the image of Keystone with the one that a multi-stage Dockerfile makes with BuildKit.

Both are made in this run, on this machine, from the same commit, sdist, patches, locked Python packages and lists of
Debian packages, by programs that start with empty caches. Nothing outside a temporary folder is touched.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

if not __package__:
    # Run as a file instead of by Pants, which knows the source roots.
    sys.path[:1] = [str(Path(__file__).resolve().parents[2] / root) for root in ("tests", "build-support")]

from benchmarks.cache_server import cache_server
from benchmarks.commands import BenchmarkError, run
from benchmarks.comparison import BuildCosts, RunCosts, build_costs, run_costs
from benchmarks.dockerfile import DockerfileWay, Material, Service, image_name, prepare
from benchmarks.downloads import Downloads
from benchmarks.machine import check_machine, describe, docker_client, search_path
from benchmarks.product import ProductWay, clone, executed_processes, product_way
from benchmarks.servers import Registry, docker_daemon, registry, remove_with_mounts
from benchmarks.table import Aim, Row, Samples, Unit, render_json, render_number, render_table
from imagekit.constants import VENV
from imagekit.errors import ImagekitError

KEYSTONE = Service("keystone", "2025.2", "bookworm")


@dataclass(frozen=True)
class Options:
    """What the user chose."""

    repeat: int
    remote_cache: bool
    json: Optional[Path]
    folder: Optional[Path]


@dataclass
class Measured:
    """What is known so far: rows of the table, and facts that explain them."""

    rows: List[Row] = field(default_factory=list)
    facts: Dict[str, str] = field(default_factory=dict)

    def show(self, json: Optional[Path]) -> None:
        """Print the table; write everything to ``json`` as well."""
        if not self.rows:
            return
        print(render_table(self.rows))
        for name, text in self.facts.items():
            print(f"{name}: {text}")
        if json is not None:
            json.write_text(render_json(self.rows, self.facts), encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    os.environ["PATH"] = search_path(os.environ["PATH"])
    # As Ctrl-C does it: servers and files go away on the way out.
    signal.signal(signal.SIGTERM, _interrupt)
    measured = Measured()
    try:
        check_machine(os.environ["PATH"], os.geteuid())
        repository = Path(run(["git", "rev-parse", "--show-toplevel"]).output.strip())
        with _scratch(options.folder) as scratch:
            compare(repository, scratch, options, measured)
        return 0
    except (BenchmarkError, ImagekitError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmark: interrupted; nothing is left behind", file=sys.stderr)
        return 130
    finally:
        # Also what a failed or interrupted run has measured: it took minutes.
        measured.show(options.json)


def _parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="rebuilds of each kind (default: 3)")
    parser.add_argument("--no-remote-cache", action="store_true", help="leave out the rebuild from a remote cache")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement to FILE as well")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made (default: the system's)")
    parsed = parser.parse_args(arguments)
    if parsed.repeat < 1:
        parser.error(f"--repeat must be at least 1, but was {parsed.repeat}")
    return Options(parsed.repeat, not parsed.no_remote_cache, parsed.json, parsed.folder)


def _interrupt(_signal: int, _frame: Optional[FrameType]) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _scratch(parent: Optional[Path]) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="benchmark-", dir=parent))
    try:
        yield folder
    finally:
        remove_with_mounts(folder)


def compare(repository: Path, scratch: Path, options: Options, measured: Measured) -> None:
    """Measure everything, with all files in ``scratch``, and add it to ``measured`` as it comes."""
    client = docker_client()
    measured.facts.update(describe(repository, client))
    _say("gathering what both builds start from")
    tree = clone(repository, scratch / "dockerfile-tree")
    downloads = Downloads.of_this_machine(KEYSTONE.suite(tree), scratch)
    material = prepare(KEYSTONE, tree, scratch / "material", downloads)
    ours = ProductWay(KEYSTONE.name, KEYSTONE.release, clone(repository, scratch / "tree"), scratch / "state")
    with registry(scratch / "registry") as shelf:
        with docker_daemon(client, scratch / "docker") as docker:
            theirs = DockerfileWay(KEYSTONE, material, docker)
            with product_way(ours):
                _say("installing Pants")
                installed = ours.install()
                our_costs = build_costs(ours, shelf, options.repeat, lambda step: _say(f"ours: {step}"))
                our_image = ours.load(docker)
            theirs.import_bottom()
            their_costs = build_costs(theirs, shelf, options.repeat, lambda step: _say(f"Dockerfile: {step}"))
            measured.rows += build_rows(our_costs, their_costs)
            measured.facts["Pants itself"] = f"installed before the cold build, once per machine, in {installed:.1f} s"
            measured.facts["Dockerfile's bottom image"] = (
                "a Debian minbase, slim, given before the cold build as a pulled image is; mmdebstrap made it in "
                f"{material.bottom_seconds:.1f} s. Our cold build includes all of the base."
            )
            _say("starting containers")
            images = [our_image, theirs.load(docker)]
            our_runs, their_runs = run_costs(docker, images, f"{KEYSTONE.name}-manage", VENV)
            measured.rows += run_rows(f"{KEYSTONE.name}-manage", our_runs, their_runs)
        if options.remote_cache:
            row, fact = _remote_cache(repository, scratch, client, material, shelf)
            measured.rows.append(row)
            measured.facts["remote cache"] = fact


def _remote_cache(repository: Path, scratch: Path, client: str, material: Material, shelf: Registry) -> Tuple[Row, str]:
    """Machines that have nothing, beside a cache that has everything."""
    with cache_server(repository, scratch / "cache") as address:
        reading = (("PANTS_REMOTE_CACHE_READ", "true"), ("PANTS_REMOTE_STORE_ADDRESS", address))
        writing = (*reading, ("PANTS_REMOTE_CACHE_WRITE", "true"))
        _say("ours: filling a remote cache")
        with _machine(repository, scratch / "ci", writing) as ci:
            filled = ci.package()
        _say("ours: a machine with nothing but the remote cache")
        with _machine(repository, scratch / "mate", reading) as mate:
            finished = mate.package()
    _say("Dockerfile: an engine with nothing but the pushed image")
    with docker_daemon(client, scratch / "docker-2") as docker:
        empty = DockerfileWay(KEYSTONE, material, docker, cache_from=image_name(shelf))
        empty.import_bottom()
        theirs = empty.build()
    executed = executed_processes(finished.output)
    row = Row("build on an empty machine, cache warm", Unit.SECONDS, Samples((finished.seconds,)), Samples((theirs,)))
    return row, (
        f"a cold build that writes to it took {filled.seconds:.1f} s. The machine that reads ran "
        f"{'an unknown number of' if executed is None else executed} processes itself; one always writes dist/. The "
        "Dockerfile's is the pushed image with BuildKit's inline cache (docker build --cache-from)."
    )


@contextlib.contextmanager
def _machine(repository: Path, folder: Path, options: Tuple[Tuple[str, str], ...]) -> Iterator[ProductWay]:
    """A machine that has Pants and a clone, and nothing else."""
    folder.mkdir()
    tree = clone(repository, folder / "tree")
    with product_way(ProductWay(KEYSTONE.name, KEYSTONE.release, tree, folder / "state", options)) as way:
        way.install()
        yield way


def build_rows(ours: BuildCosts, theirs: BuildCosts) -> Sequence[Row]:
    """What building and sending costs, with the aims of the project."""
    seconds, size = Unit.SECONDS, Unit.BYTES
    image = ours.image_bytes.median
    return [
        Row("cold build", seconds, ours.cold, theirs.cold),
        Row(
            "rebuild after a one-line patch",
            seconds,
            ours.patched,
            theirs.patched,
            Aim("<= 0.5 of the Dockerfile's", 0.5, theirs.patched.median),
        ),
        Row("  and its push to a registry", seconds, ours.patched_and_pushed, theirs.patched_and_pushed),
        Row("rebuild with nothing changed", seconds, ours.unchanged, theirs.unchanged, Aim("<= 2 s", 2.0)),
        Row(
            "bytes to a registry after the patch",
            size,
            ours.patch_bytes,
            theirs.patch_bytes,
            Aim(f"<= 3 % of our image ({render_number(0.03 * image, size)})", 0.03, image),
        ),
        Row(
            "compressed image",
            size,
            ours.image_bytes,
            theirs.image_bytes,
            Aim("<= 0.6 of the Dockerfile's", 0.6, theirs.image_bytes.median),
        ),
    ]


def run_rows(program: str, ours: RunCosts, theirs: RunCosts) -> Sequence[Row]:
    """What a fresh container costs."""
    seconds = Unit.SECONDS
    return [
        Row(
            f"{program} --help, fresh container",
            seconds,
            ours.help,
            theirs.help,
            Aim("<= 0.5 of the Dockerfile's", 0.5, theirs.help.median),
        ),
        Row("  of it the container itself (true)", seconds, ours.nothing, theirs.nothing),
        Row("byte code in the virtual environment", Unit.FILES, ours.byte_code, theirs.byte_code),
    ]


_BEGIN = time.monotonic()


def _say(step: str) -> None:
    print(f"[{time.monotonic() - _BEGIN:6.1f} s] {step}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
