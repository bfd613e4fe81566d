"""Run an image with the container engine of the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import BinaryIO, Optional, Sequence, Tuple, cast

from imagekit.errors import ImagekitError
from imagekit.oci.docker_archive import write_docker_archive
from imagekit.oci.layout import Image, Layout

#: In the order in which they are looked for.
ENGINES = ("docker", "podman")


class EngineError(ImagekitError):
    """An engine that is not there, cannot be reached, or does not take the image."""


@dataclass(frozen=True)
class Engine:
    """A container engine: ``docker`` or ``podman``, and where its client is."""

    name: str
    path: str


def find_engine(name: Optional[str], search_path: str) -> Engine:
    """The engine called ``name``, or the first one on ``search_path`` (the form of PATH) that is there."""
    for candidate in (name,) if name else ENGINES:
        path = shutil.which(candidate, path=search_path)
        if path is not None:
            return Engine(candidate, path)
    raise EngineError(
        f"{name or 'Neither docker nor podman'} is {'not ' if name else ''}on PATH, so the image cannot run. "
        f"Install {'it' if name else 'one'}: apt-get install {'docker.io' if name != 'podman' else 'podman'}."
    )


def check_engine(engine: Engine) -> None:
    """Raise :class:`EngineError` unless the engine answers."""
    template = "{{.Server.Version}}" if engine.name == "docker" else "{{.Client.Version}}"
    answer = subprocess.run(
        [engine.path, "version", "--format", template], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if answer.returncode != 0:
        raise EngineError(
            f"{engine.name} does not answer: {_last_line(answer.stderr)}. "
            + (
                "Start it (systemctl start docker), check DOCKER_HOST, or join the group docker."
                if engine.name == "docker"
                else "Check that 'podman info' works for this user."
            )
        )


def load_image(engine: Engine, layout: Layout, image: Image, tag: str) -> bool:
    """Stream the image into the engine under ``tag``; returns false when the engine has it already."""
    inspected = subprocess.run(
        [engine.path, "image", "inspect", "--format", "{{.Id}}", tag],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    config = image.manifest.config.digest
    if inspected.returncode == 0 and inspected.stdout.strip() in (str(config), config.hex):
        return False
    with subprocess.Popen(
        [engine.path, "load", "--quiet"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    ) as loading:
        assert loading.stdin is not None and loading.stdout is not None
        try:
            write_docker_archive(layout, image, (tag,), cast(BinaryIO, loading.stdin))
        except BrokenPipeError:
            # The engine says why below.
            pass
        except BaseException:
            loading.kill()
            raise
        loading.stdin.close()
        output = loading.stdout.read().decode("utf-8", "replace")
    if loading.returncode != 0:
        raise EngineError(
            f"{engine.name} does not take the image {layout.path}: {_last_line(output)}. "
            f"Check the image with 'validate', and the room that {engine.name} has."
        )
    return True


def run_command(engine: Engine, tag: str, options: Sequence[str], args: Sequence[str], tty: bool) -> Tuple[str, ...]:
    """The command that runs the image in the foreground and removes the container afterwards."""
    return (
        engine.path,
        "run",
        "--rm",
        "--interactive",
        *(("--tty",) if tty else ()),
        *options,
        tag,
        *args,
    )


def default_tag(image: Image) -> str:
    """A tag that names just this image, where the user gave none."""
    return f"localhost/image:{image.descriptor.digest.hex[:12]}"


def run_image(
    layout: Layout, image: Image, *, engine: Engine, tag: str, options: Sequence[str], args: Sequence[str]
) -> None:
    """Load the image and become the engine's process, so that signals and the exit status are its own."""
    check_engine(engine)
    load_image(engine, layout, image, tag)
    os.execv(engine.path, run_command(engine, tag, options, args, os.isatty(0) and os.isatty(1)))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "it says nothing"
