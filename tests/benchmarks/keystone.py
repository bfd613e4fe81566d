"""Compare the image of Keystone with the one that a multi-stage Dockerfile makes with BuildKit.

Both are made in this run, on this machine, from the same commit, sdist, patches, locked Python packages and lists of
Debian packages, by programs that start with empty caches. Nothing outside a temporary folder is touched.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Sequence

if not __package__:
    # Run as a file instead of by Pants, which knows the source roots.
    sys.path[:1] = [str(Path(__file__).resolve().parents[2] / root) for root in ("tests", "build-support")]

from benchmarks.comparison import BuildCosts, RunCosts, build_costs, run_costs
from benchmarks.dockerfile import DockerfileWay, prepare, prepare_start
from benchmarks.downloads import Downloads
from benchmarks.product import ProductWay, clone, product_way
from benchmarks.servers import docker_daemon, registry
from benchmarks.services import choose
from benchmarks.session import Machine, Measured, add_session_options, run_session, say
from benchmarks.table import Aim, Row, Samples, Unit, render_number
from benchmarks.warm_cache import product_from_cache
from imagekit.constants import VENV

SERVICE, RELEASE = "keystone", "2025.2"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="rebuilds of each kind (default: 3)")
    add_session_options(parser)
    options = parser.parse_args(arguments)
    if options.repeat < 1:
        parser.error(f"--repeat must be at least 1, but was {options.repeat}")
    return run_session(
        options, lambda machine, measured: compare(machine, measured, options.repeat, not options.no_remote_cache)
    )


def compare(machine: Machine, measured: Measured, repeat: int, remote_cache: bool) -> None:
    """Measure everything and add it to ``measured`` as it comes."""
    scratch = machine.scratch
    bare = ProductWay(clone(machine.repository, scratch / "tree"), scratch / "state")
    say("installing Pants")
    installed = bare.install()
    say("reading the targets")
    (keystone,) = services = choose(bare.find_services(), [SERVICE], [RELEASE])
    ours = ProductWay(bare.tree, bare.state, services)
    say("gathering what both builds start from")
    tree = clone(machine.repository, scratch / "dockerfile-tree")
    downloads = Downloads.of_this_machine(keystone.suite(tree), scratch)
    start = prepare_start(tree, scratch / "start", downloads)
    material = prepare(keystone, tree, scratch / "material", start, downloads)
    with registry(scratch / "registry") as shelf:
        with docker_daemon(machine.client, scratch / "docker") as docker:
            theirs = DockerfileWay(material, docker)
            with product_way(ours):
                our_costs = build_costs(ours, shelf, repeat, lambda step: say(f"ours: {step}"))
                our_image = ours.load(docker, keystone)
            start.bring_into(docker)
            their_costs = build_costs(theirs, shelf, repeat, lambda step: say(f"Dockerfile: {step}"))
            measured.add(build_rows(our_costs, their_costs))
            measured.facts["Pants itself"] = f"installed before the cold build, once per machine, in {installed:.1f} s"
            measured.facts["Dockerfile's bottom image"] = start.fact
            say("starting containers")
            our_runs, their_runs = run_costs(docker, [our_image, theirs.image], f"{SERVICE}-manage", VENV)
            measured.add(run_rows(f"{SERVICE}-manage", our_runs, their_runs))
        if remote_cache:
            warm = product_from_cache(machine, services)
            say("Dockerfile: an engine with nothing but the pushed image")
            with docker_daemon(machine.client, scratch / "docker-2") as docker:
                start.bring_into(docker)
                seconds = theirs.on_an_empty_engine(docker, shelf).build()
            measured.facts["remote cache"] = warm.fact
            name = "build on an empty machine, cache warm"
            measured.add([Row(name, Unit.SECONDS, Samples((warm.read.seconds,)), Samples((seconds,)))])


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
