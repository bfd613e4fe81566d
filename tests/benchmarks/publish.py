"""Compare publishing with `skopeo copy` of the same image layouts, to registries on this machine.

The images are those that `./pants package` wrote. Each way sends them to an empty registry, then one of them after a
one-line patch, then all with nothing changed. It happens in a network of its own, whose bytes the kernel counts.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Sequence

from benchmarks.commands import BenchmarkError, Finished, environment_without, run
from benchmarks.pants_log import spans
from benchmarks.patch_edit import edit_first_patch
from benchmarks.product import FOREIGN
from benchmarks.publish_table import Cost, render_costs
from benchmarks.servers import counting_registry
from imagekit.provenance import statement
from imagekit.sbom import cyclonedx
from publish.changed_image import change_image

_CLONE_NEWNET = 0x40000000
#: How many images our own command sends at the same time.
_AT_ONCE = 4
#: What is beside a layout, with its media type.
_BESIDE = {".cdx.json": cyclonedx.MEDIA_TYPE, ".provenance.json": statement.MEDIA_TYPE}


@dataclass(frozen=True)
class Packaged:
    """An image layout with SBOM and provenance beside it."""

    layout: Path

    @property
    def repository(self) -> str:
        return f"c5c3/{self.layout.parent.name}"

    @property
    def tag(self) -> str:
        return self.layout.name

    def blobs(self) -> Mapping[str, int]:
        """Sizes by name."""
        return {file.name: file.stat().st_size for file in self.layout.glob("blobs/sha256/*")}


#: Sends images to the registry at an address.
Way = Callable[[Sequence[Packaged], str], None]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", help="names such as keystone/2025.2 (default: all that are packaged)")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="measurements of each kind (default: 3)")
    parser.add_argument(
        "--sbom-of", default="services/nova#image@release=2025.2", metavar="TARGET", help="whose SBOM is timed"
    )
    options = parser.parse_args(arguments)
    scratch = Path(tempfile.mkdtemp(prefix="benchmark-"))
    try:
        repository = Path(run(["git", "rev-parse", "--show-toplevel"]).output.strip())
        images = packaged_images(repository / "dist/images", options.images)
        sbom = sbom_cost(repository, options.sbom_of, scratch / "tree")
        enter_own_network()
        print(compare(images, scratch, options.repeat))
        print(sbom)
        return 0
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(scratch)


def packaged_images(dist: Path, names: Sequence[str]) -> Sequence[Packaged]:
    """The images in ``dist`` called ``names``, or all; raises :class:`BenchmarkError` for one that is not there."""
    found = {str(path.parent.relative_to(dist)): Packaged(path.parent) for path in sorted(dist.glob("*/*/oci-layout"))}
    missing = [name for name in names if name not in found]
    if missing or not found:
        raise BenchmarkError(
            f"{dist} lacks {', '.join(missing) or 'all images'}. Make them: ./pants package services:: 3rdparty/bases::"
        )
    return [found[name] for name in names or found]


def sbom_cost(repository: Path, target: str, tree: Path) -> str:
    """What the SBOM of ``target`` adds to a rebuild after a patch to a library, by Pants' own log.

    In a clone with the caches of the user, which hold the image without that patch.
    """
    run(["git", "clone", "--quiet", str(repository), str(tree)])

    def package() -> Finished:
        command = [str(tree / "pants"), "--no-pantsd", "--no-dynamic-ui", "--level=debug", "package", target]
        return run(command, environment=environment_without(FOREIGN, {}), folder=tree)

    _say(f"building {target} twice")
    package()
    edit_first_patch(tree / "patches/oslo.messaging" / target.rpartition("=")[2], int(time.time()))
    finished = package()
    found = spans(finished.output)
    steps = [span for name, span in found.items() if name.startswith(("Read what", "Write the SBOM"))]
    written = [span.end for name, span in found.items() if name.startswith("Write dist/")]
    if not steps or not written:
        raise BenchmarkError(f"Pants said nothing of an SBOM or of an image that it wrote:\n{finished.output[-2000:]}")
    over = max(0.0, max(span.end for span in steps) - max(written))
    alone = sum(span.end - span.begin for span in steps)
    return (
        f"SBOM of {target}, rebuilt after a patch in {finished.seconds:.1f} s: {over * 1000:.0f} ms over the image; its "
        f"{len(steps)} processes take {alone * 1000:.0f} ms, beside others"
    )


def enter_own_network() -> None:
    """Leave this machine's network for one that has a loopback device alone."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        raise BenchmarkError(f"no network of its own: {os.strerror(ctypes.get_errno())}. Run it as root.")
    run(["ip", "link", "set", "lo", "up"])


def loopback_bytes() -> int:
    """What has gone over the loopback device so far, requests and answers."""
    devices = dict(line.split(":", 1) for line in Path("/proc/net/dev").read_text().splitlines() if ":" in line)
    return int(devices["    lo"].split()[0])


def compare(images: Sequence[Packaged], scratch: Path, repeat: int) -> str:
    """The table, and what it is of."""
    changed = changed_image(images[0], scratch / "changed")
    ways: Dict[str, Way] = {
        "ours": lambda sent, address: publish(sent, address, scratch),
        "skopeo copy": lambda sent, address: copy(sent, address, scratch, at_once=1),
        f"{_AT_ONCE} at once": lambda sent, address: copy(sent, address, scratch, at_once=_AT_ONCE),
    }
    occasions: Dict[str, Sequence[Packaged]] = {
        f"first publish of {len(images)} images": images,
        f"{changed.repository}:{changed.tag} after a patch": [changed],
        "all with nothing changed": [changed, *images[1:]],
    }
    costs: Dict[str, Dict[str, List[Cost]]] = {occasion: {name: [] for name in ways} for occasion in occasions}
    for number in range(repeat):
        for name, way in ways.items():
            _say(f"{name}, {number + 1} of {repeat}")
            folder = scratch / "run"
            folder.mkdir()
            with counting_registry(folder / "registry") as registry:
                for occasion, sent in occasions.items():
                    requests, size, begin = registry.requests(), loopback_bytes(), time.monotonic()
                    way(sent, registry.name)
                    seconds = time.monotonic() - begin
                    costs[occasion][name].append(
                        Cost(seconds, loopback_bytes() - size, registry.requests() - requests)
                    )
            shutil.rmtree(folder)
    blobs = [image.blobs() for image in images]
    total = sum(size for one in blobs for size in one.values())
    unique = sum({name: size for one in blobs for name, size in one.items()}.values())
    table = render_costs(
        [(occasion, {name: Cost.median(of_way) for name, of_way in costs[occasion].items()}) for occasion in occasions]
    )
    return (
        f"{table}\n\n{total / 1e6:.1f} MB of blobs, {unique / 1e6:.1f} MB of them different. Ours sends SBOM and provenance "
        "of each image as well. Nothing is signed."
    )


def changed_image(image: Packaged, folder: Path) -> Packaged:
    """``image`` after a one-line patch, with another SBOM and provenance."""
    changed = Packaged(folder / image.layout.parent.name / image.layout.name)
    changed.layout.parent.mkdir(parents=True)
    change_image(image.layout, changed.layout)
    for ending in _BESIDE:
        content = Path(f"{image.layout}{ending}").read_bytes()
        Path(f"{changed.layout}{ending}").write_bytes(content.replace(b"\n ", b"\n  "))
    return changed


def publish(images: Sequence[Packaged], address: str, scratch: Path) -> None:
    """Ours: all images by one command."""
    request = {
        "images": [
            {
                "layout": str(image.layout),
                "repository": f"{address}/{image.repository}",
                "tags": [{"name": image.tag}],
                "attachments": [
                    {"path": f"{image.layout}{ending}", "artifact_type": media_type, "media_type": media_type}
                    for ending, media_type in _BESIDE.items()
                ],
            }
            for image in images
        ]
    }
    file = scratch / "run/push.json"
    file.write_text(json.dumps(request))
    environment = {"PATH": os.defpath, "HOME": str(scratch), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run([sys.executable, "-m", "imagekit", "push-image", f"--request={file}"], environment=environment)


def copy(images: Sequence[Packaged], address: str, scratch: Path, at_once: int) -> None:
    """skopeo's: a command for each image. What it remembers of registries is in ``scratch``."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(scratch),
        # Only a user who is not root has that memory elsewhere than in the system's own folder.
        "_CONTAINERS_ROOTLESS_UID": "1",
        "XDG_DATA_HOME": str(scratch / "run/data"),
    }
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
    with ThreadPoolExecutor(at_once) as pool:
        copies = [
            pool.submit(
                run,
                [*command, f"oci:{image.layout}", f"docker://{address}/{image.repository}:{image.tag}"],
                environment=environment,
            )
            for image in images
        ]
    for done in copies:
        done.result()


def _say(step: str) -> None:
    print(step, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
