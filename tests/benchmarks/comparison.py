"""Take both ways of making an image through the same changes, and note what each costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Protocol, Sequence

from benchmarks.blobs import received_bytes
from benchmarks.commands import BenchmarkError
from benchmarks.servers import Docker, Registry
from benchmarks.table import Samples

#: How often a container is started to find its median.
STARTS = 5


class Way(Protocol):
    """One way of making images."""

    def build(self) -> float:
        """Make the images of what the tree says now; the seconds it took."""

    def edit(self, number: int) -> None:
        """Change one line of a service's patch, to something else for each number."""

    def push(self, registry: Registry) -> float:
        """Send the images to a registry; the seconds it took."""


@dataclass(frozen=True)
class BuildCosts:
    """Seconds and bytes of one way."""

    cold: Samples
    patched: Samples
    #: The rebuild and what brings its result to a registry.
    patched_and_pushed: Samples
    unchanged: Samples
    patch_bytes: Samples
    image_bytes: Samples


def build_costs(way: Way, registry: Registry, repeat: int, say: Callable[[str], None]) -> BuildCosts:
    """Build cold, then with ``repeat`` different patches, then ``repeat`` times with nothing changed.

    The registry holds no image of this way before. Raises :class:`BenchmarkError` when a patch changes nothing.
    """
    say("cold build")
    cold = way.build()
    empty = registry.blobs()
    way.push(registry)
    held = registry.blobs()
    image_bytes = received_bytes(empty, held)
    patched, pushed, patch_bytes = [], [], []
    for number in range(1, repeat + 1):
        say(f"patch {number} of {repeat}")
        way.edit(number)
        patched.append(way.build())
        pushed.append(patched[-1] + way.push(registry))
        now = registry.blobs()
        if now == held:
            raise BenchmarkError(f"the image is the same after patch {number}, so its rebuild was not one.")
        patch_bytes.append(float(received_bytes(held, now)))
        held = now
    say("nothing changed")
    unchanged = [way.build() for _ in range(repeat)]
    return BuildCosts(
        Samples((cold,)),
        Samples(tuple(patched)),
        Samples(tuple(pushed)),
        Samples(tuple(unchanged)),
        Samples(tuple(patch_bytes)),
        Samples((float(image_bytes),)),
    )


@dataclass(frozen=True)
class RunCosts:
    """Seconds of a fresh container of one image, and what explains them."""

    help: Samples
    #: The same container, for a program that does nothing.
    nothing: Samples
    #: Files with byte code below the virtual environment.
    byte_code: Samples


def run_costs(docker: Docker, images: Sequence[str], program: str, venv: str) -> Sequence[RunCosts]:
    """Start ``program --help`` in fresh containers of each image, turn by turn so that all see the same machine."""

    def container(image: str, *command: str) -> float:
        arguments = ["run", "--rm", "--network=none", "--entrypoint", command[0], image, *command[1:]]
        return docker.run(arguments).seconds

    def count(image: str) -> float:
        search = ["run", "--rm", "--network=none", "--entrypoint", "find", image, venv, "-name", "*.pyc"]
        return float(len(docker.run(search).output.splitlines()))

    def turns(*command: str) -> Sequence[Samples]:
        seconds = [[container(image, *command) for image in images] for _ in range(STARTS + 1)]
        # The first turn reads the image from disk, which is no property of the image.
        return [Samples(tuple(column)) for column in zip(*seconds[1:])]

    helps, nothings = turns(program, "--help"), turns("true")
    return [RunCosts(help, nothing, Samples((count(image),))) for image, help, nothing in zip(images, helps, nothings)]
