"""The commands that check, unpack, copy and run images."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path
from typing import Mapping

from imagekit.command import Command
from imagekit.errors import ImagekitError


def _path(text: str) -> Path:
    return Path(text)


def _configure_validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("layout", type=_path, help="directory of an OCI image layout")


def _validate(arguments: argparse.Namespace) -> None:
    from imagekit.oci.validate import validate_layout

    validate_layout(arguments.layout)
    print(f"{arguments.layout} is sound")


def _configure_unpack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--layout", type=_path, required=True)
    parser.add_argument("--architecture", help="chooses where the layout holds several images, for example arm64")
    parser.add_argument("--output", type=_path, required=True, help="new directory for the root file system")
    owners = parser.add_mutually_exclusive_group()
    owners.add_argument("--owners", action="store_true", default=None, help="set owners (default for root only)")
    owners.add_argument("--no-owners", action="store_false", dest="owners")


def _unpack(arguments: argparse.Namespace) -> None:
    from imagekit.oci.layout import Layout
    from imagekit.oci.unpack import unpack_image

    layout = Layout(arguments.layout)
    unpack_image(layout, layout.read_image(arguments.architecture), arguments.output, owners=arguments.owners)


def _configure_docker_archive(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--layout", type=_path, required=True)
    parser.add_argument("--architecture", help="chooses where the layout holds several images, for example arm64")
    parser.add_argument("--tag", action="append", required=True, help="repository:tag")
    parser.add_argument("--output", type=_path, required=True)


def _docker_archive(arguments: argparse.Namespace) -> None:
    from imagekit.oci.docker_archive import write_docker_archive_file
    from imagekit.oci.layout import Layout

    layout = Layout(arguments.layout)
    write_docker_archive_file(layout, layout.read_image(arguments.architecture), arguments.tag, arguments.output)


def _configure_export_layout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--layout", type=_path, required=True)
    parser.add_argument("--destination", type=_path, required=True, help="absolute path of a directory")
    parser.add_argument("--docker-archive", metavar="NAME", help="also write an archive of this name into it")
    parser.add_argument("--tag", action="append", default=[], help="repository:tag of the image in the archive")
    parser.add_argument(
        "--document",
        action="append",
        default=[],
        metavar="FILE:LINK",
        help="also copy FILE into it, and link to it from LINK beside it, all in the same step",
    )


def _export_layout(arguments: argparse.Namespace) -> None:
    from imagekit.oci.export import DockerArchive, LinkedDocument, export_layout

    # What stops a build may send either signal; both clear what is half-copied.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if bool(arguments.docker_archive) != bool(arguments.tag):
        raise ImagekitError("--docker-archive and --tag belong together. Give both or none.")
    archive = DockerArchive(arguments.docker_archive, tuple(arguments.tag)) if arguments.docker_archive else None
    documents = [LinkedDocument(Path(file), link) for file, _, link in (text.partition(":") for text in arguments.document)]
    export = export_layout(arguments.layout, arguments.destination, archive, documents)
    print(f"{'wrote' if export.changed else 'unchanged'} {arguments.destination}")
    for image in export.images:
        print(
            f"  {image.descriptor.digest}  {image.manifest.size / 1_000_000:.1f} MB compressed, "
            f"{len(image.manifest.layers)} layers"
        )


def _configure_run_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--layout", type=_path, required=True)
    parser.add_argument("--engine", choices=("docker", "podman"), help="default: the first of them on PATH")
    parser.add_argument("--tag", help="repository:tag to load the image under")
    parser.add_argument("--option", action="append", default=[], help="an option for 'run', such as --network=host")
    parser.add_argument("args", nargs="*", help="after '--': what the container runs instead of the image's command")


def _run_image(arguments: argparse.Namespace) -> None:
    from imagekit.oci.engine import default_tag, find_engine, run_image
    from imagekit.oci.layout import Layout

    engine = find_engine(arguments.engine, os.environ.get("PATH", os.defpath))
    layout = Layout(arguments.layout)
    image = layout.read_image()
    tag = arguments.tag or default_tag(image)
    run_image(layout, image, engine=engine, tag=tag, options=arguments.option, args=arguments.args)


COMMANDS: Mapping[str, Command] = {
    "validate": Command("Recompute every digest, size and diff_id of a layout.", _configure_validate, _validate),
    "unpack": Command("Unpack the image of a layout into a directory.", _configure_unpack, _unpack),
    "docker-archive": Command(
        "Write an image as the archive that docker load reads.", _configure_docker_archive, _docker_archive
    ),
    "export-layout": Command(
        "Replace a directory by a layout, verified and in one step.", _configure_export_layout, _export_layout
    ),
    "run-image": Command("Load an image into Docker or Podman and run it.", _configure_run_image, _run_image),
}
