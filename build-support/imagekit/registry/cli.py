"""The command of this package."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Mapping, Optional, Sequence, Union

from imagekit.command import Command
from imagekit.errors import ImagekitError
from imagekit.signing.options import add_layout_option, add_signer_options, chosen_layout, chosen_signer

if TYPE_CHECKING:
    from imagekit.registry.push import PushedImage, Sign
    from imagekit.registry.push_request import PushRequest
    from imagekit.registry.reference import RepositoryName
    from imagekit.registry.shared_push import Outcome

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
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--request", type=Path, help="JSON: images (layout, repository, tags, attachments), siblings")
    what.add_argument(
        "--shared",
        type=Path,
        metavar="FOLDER",
        help="the first process that names this folder pushes the images of all its requests/*.json; each tells the outcome "
        "of its own --image",
    )
    parser.add_argument("--image", metavar="NAME", help="whose outcome to tell: the name of its request, without '.json'")
    parser.add_argument(
        "--insecure", action="append", default=[], metavar="ADDRESS", help="a registry that may be asked over plain HTTP"
    )
    parser.add_argument(
        "--at-once", type=int, metavar="NUMBER", help="how many images are pushed at the same time; default: 4"
    )
    add_signer_options(parser, required=False)
    add_layout_option(parser)


def _push(arguments: argparse.Namespace) -> None:
    from imagekit.registry.push_request import PushRequest

    if (arguments.shared is None) != (arguments.image is None):
        raise ImagekitError("--shared and --image belong together: give both or none.")
    if arguments.shared is not None:
        _tell(_push_shared(arguments))
        return
    try:
        data = arguments.request.read_bytes()
    except OSError as error:
        raise ImagekitError(f"{arguments.request} cannot be read: {error.strerror}. Check --request.") from None
    _tell(*_push_all(arguments, PushRequest.parse(data, str(arguments.request))))


def _push_shared(arguments: argparse.Namespace) -> "Outcome":
    """The outcome of ``--image``, whose push is that of all images if this process is the first."""
    from imagekit.registry.push_request import merge
    from imagekit.registry.shared_push import Outcome, SharedPush

    shared = SharedPush(arguments.shared)
    if shared.begin():
        requests = shared.requests()
        names = [name for name, request in requests for _ in request.images]
        try:
            outcomes = _push_all(arguments, merge([request for _, request in requests]))
        except ImagekitError as error:
            outcomes = [Outcome(error=str(error)) for _ in names]
        for name, outcome in zip(names, outcomes):
            shared.tell(name, outcome)
    return shared.hear(arguments.image)


def _tell(*outcomes: "Outcome") -> None:
    for outcome in outcomes:
        if outcome.error is None:
            print("\n".join(outcome.lines))
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if errors:
        raise ImagekitError("\n".join(errors))


def _push_all(arguments: argparse.Namespace, request: "PushRequest") -> "Sequence[Outcome]":
    """The outcome of each image; a line is said as soon as one is done."""
    from imagekit.registry.push import IMAGES_AT_ONCE, PushedImage, push_images
    from imagekit.registry.settings import RegistrySettings
    from imagekit.registry.shared_push import Outcome

    at_once = IMAGES_AT_ONCE if arguments.at_once is None else arguments.at_once
    if at_once < 1:
        raise ImagekitError(f"--at-once={at_once} pushes nothing. Give 1 or more.")
    outcomes: Dict[int, Outcome] = {}

    def finished(number: int, outcome: "Union[PushedImage, ImagekitError]") -> None:
        if isinstance(outcome, PushedImage):
            outcomes[number] = Outcome(tuple(describe_push(outcome)))
        else:
            outcomes[number] = Outcome(error=str(outcome))
        if len(request.images) > 1:
            image = request.images[number]
            name = f"{image.repository}{f':{image.tags[0].name}' if image.tags else ''}"
            what = _brief(outcome) if isinstance(outcome, PushedImage) else "failed"
            print(f"[{len(outcomes)}/{len(request.images)}] {name}: {what}", file=sys.stderr, flush=True)

    settings = RegistrySettings.of_user(os.environ, tuple(arguments.insecure))
    sign = _chosen_sign(arguments)
    # Python would wait for the threads that send, so an interrupt ends the process itself.
    before = signal.signal(signal.SIGINT, _end)
    try:
        push_images(request, settings, _ProgressLines(), sign, at_once=at_once, finished=finished)
    finally:
        signal.signal(signal.SIGINT, before)
    return [outcomes[number] for number in range(len(request.images))]


def _end(_signal: int, _frame: object) -> None:
    os.write(2, b"interrupted: what was not finished has no new tag. Publish again: what arrived is not sent twice.\n")
    os._exit(130)


def _brief(image: "PushedImage") -> str:
    from imagekit.registry.push import Way

    if image.nothing_sent:
        return "nothing to send"
    return f"published, {_megabytes(sum(blob.size for blob in image.blobs[Way.SENT]))} sent"


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
