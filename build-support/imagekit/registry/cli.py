"""The command of this package."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Mapping, Optional, Sequence

from imagekit.command import Command
from imagekit.errors import ImagekitError
from imagekit.signing.options import add_layout_option, add_signer_options, chosen_layout, chosen_signer

if TYPE_CHECKING:
    from imagekit.registry.push import PushedImage, Sign
    from imagekit.registry.reference import RepositoryName

#: Seconds between two lines of progress.
_PROGRESS_EVERY = 2.0


class _ProgressLines:
    """Says now and then how much was sent to each repository."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: Dict["RepositoryName", int] = {}
        self._said = time.monotonic()

    def __call__(self, repository: "RepositoryName", size: int) -> None:
        with self._lock:
            self._sent[repository] = self._sent.get(repository, 0) + size
            if time.monotonic() - self._said < _PROGRESS_EVERY:
                return
            self._said = time.monotonic()
            for name, sent in self._sent.items():
                print(f"  {name}: {_megabytes(sent)} sent so far", file=sys.stderr, flush=True)


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--request", type=Path, required=True, help="JSON: images (layout, repository, tags, attachments), siblings"
    )
    parser.add_argument(
        "--insecure", action="append", default=[], metavar="ADDRESS", help="a registry that may be asked over plain HTTP"
    )
    add_signer_options(parser, required=False)
    add_layout_option(parser)


def _push(arguments: argparse.Namespace) -> None:
    from imagekit.registry.push import push_images
    from imagekit.registry.push_request import PushRequest
    from imagekit.registry.settings import RegistrySettings

    try:
        data = arguments.request.read_bytes()
    except OSError as error:
        raise ImagekitError(f"{arguments.request} cannot be read: {error.strerror}. Check --request.") from None
    request = PushRequest.parse(data, str(arguments.request))
    settings = RegistrySettings.of_user(os.environ, tuple(arguments.insecure))
    pushed, errors = push_images(request, settings, _ProgressLines(), _chosen_sign(arguments))
    for image in pushed:
        print("\n".join(describe_push(image)))
    if errors:
        raise ImagekitError("\n".join(str(error) for error in errors))


def _chosen_sign(arguments: argparse.Namespace) -> "Optional[Sign]":
    signer = chosen_signer(arguments)
    if signer is None:
        return None
    # Needs cryptography, which is there only for who signs.
    from imagekit.signing.published import sign_published

    return sign_published(signer, chosen_layout(arguments))


def describe_push(image: "PushedImage") -> Sequence[str]:
    """What a push did, in lines: the reference by digest, blobs, tags, attachments."""
    from imagekit.registry.push import TagChange

    blobs = ", ".join(
        f"{len(found)} {way.value} ({_megabytes(sum(blob.size for blob in found))})"
        for way, found in image.blobs.items()
        if found
    )
    lines = [
        f"{image.repository}@{image.descriptor.digest}" + ("  nothing to send" if image.nothing_sent else ""),
        f"  blobs: {blobs}",
    ]
    for item in image.attached:
        lines.append(f"  {item.artifact_type}: {item.descriptor.digest} ({'sent' if item.sent else 'there already'})")
    for tag in image.tags:
        before = f" from {tag.before}" if tag.change is TagChange.MOVED else ""
        lines.append(f"  {image.repository}:{tag.name} ({tag.change.value}{before})")
    return lines


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB" if size >= 100_000 else f"{size} bytes"


COMMANDS: Mapping[str, Command] = {
    "push-image": Command("Push image layouts to registries.", _configure, _push),
}
