"""What a ref was resolved to: the lock of one component's source."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Mapping, Optional, Union

from imagekit.errors import ImagekitError
from imagekit.fetch.json_record import JsonRecord, JsonRecordError, parse_json_record
from imagekit.fetch.whole_file import whole_file
from imagekit.sources.refs import COMMIT, SdistRef, SourceRef

FORMAT = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


class LockError(ImagekitError):
    """The lock of a source that is malformed, or that its inputs have left behind."""


class RefKind(Enum):
    """What a git ref is the name of."""

    TAG = "tag"
    BRANCH = "branch"
    COMMIT = "commit"


@dataclass(frozen=True)
class SdistPin:
    """One file of a project on the Python index; ``size`` in bytes, ``sha256`` in hex."""

    project: str
    version: str
    filename: str
    size: int
    sha256: str


@dataclass(frozen=True)
class GitPin:
    """One commit, 40 hex digits, of a git repository; ``version`` is what ``PBR_VERSION`` must say of it."""

    project: str
    version: str
    url: str
    ref: str
    ref_kind: RefKind
    commit: str


SourcePin = Union[SdistPin, GitPin]


@dataclass(frozen=True)
class SourceLock:
    """The pin of one component for one release."""

    component: str
    release: str
    pin: SourcePin


def render_source_lock(lock: SourceLock) -> str:
    """``lock`` as a JSON document with sorted keys."""
    pin = lock.pin
    fields: dict[str, object] = {"format": FORMAT, "component": lock.component, "release": lock.release}
    if isinstance(pin, SdistPin):
        fields["sdist"] = {
            "project": pin.project,
            "version": pin.version,
            "filename": pin.filename,
            "size": pin.size,
            "sha256": pin.sha256,
        }
    else:
        fields["git"] = {
            "project": pin.project,
            "version": pin.version,
            "url": pin.url,
            "ref": pin.ref,
            "ref_kind": pin.ref_kind.value,
            "commit": pin.commit,
        }
    return json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def parse_source_lock(text: str, origin: str) -> SourceLock:
    """The lock that :func:`render_source_lock` wrote; ``origin`` names it in errors. Raises :class:`LockError`."""
    try:
        document = parse_json_record(text, origin)
        if document.integer("format") != FORMAT:
            raise LockError(f"{origin}: 'format' must be {FORMAT}, but was {document.integer('format')}.")
        document.require_only("format", "component", "release", "sdist", "git")
        if ("sdist" in document.fields) == ("git" in document.fields):
            raise LockError(f"{origin} must have either 'sdist' or 'git'.")
        pin = _sdist_pin(document.record("sdist")) if "sdist" in document.fields else _git_pin(document.record("git"))
        return SourceLock(document.text("component"), document.text("release"), pin)
    except JsonRecordError as error:
        raise LockError(str(error)) from None


def _sdist_pin(record: JsonRecord) -> SdistPin:
    record.require_only(*SdistPin.__dataclass_fields__)
    filename = record.text("filename")
    if "/" in filename or not filename.endswith(".tar.gz"):
        raise LockError(f"{record.place}: 'filename' must be that of a .tar.gz, but was '{filename}'.")
    return SdistPin(
        project=record.text("project"),
        version=record.text("version"),
        filename=filename,
        size=record.integer("size"),
        sha256=_matching(record, "sha256", _SHA256, "64 hex digits"),
    )


def _git_pin(record: JsonRecord) -> GitPin:
    record.require_only(*GitPin.__dataclass_fields__)
    kinds: Mapping[str, RefKind] = {kind.value: kind for kind in RefKind}
    kind = record.text("ref_kind")
    if kind not in kinds:
        raise LockError(f"{record.place}: 'ref_kind' must be one of {', '.join(kinds)}, but was '{kind}'.")
    return GitPin(
        project=record.text("project"),
        version=record.text("version"),
        url=record.text("url"),
        ref=record.text("ref"),
        ref_kind=kinds[kind],
        commit=_matching(record, "commit", COMMIT, "40 hex digits"),
    )


def _matching(record: JsonRecord, key: str, pattern: re.Pattern[str], expected: str) -> str:
    value = record.text(key)
    if not pattern.fullmatch(value):
        raise LockError(f"{record.place}: '{key}' must be {expected}, but was '{value}'.")
    return value


def check_source_lock(lock: SourceLock, ref: SourceRef, release: str, origin: str, remedy: str) -> None:
    """Refuse ``lock``, read from ``origin``, if it was not made from ``ref`` of ``release``.

    ``remedy`` is the command that renews the lock. Needs no network. Raises :class:`LockError`.
    """
    difference = _difference(lock, ref, release)
    if difference is not None:
        raise LockError(f"{origin} is stale: {difference}. Renew it with: {remedy}")


def _difference(lock: SourceLock, ref: SourceRef, release: str) -> Optional[str]:
    pin = lock.pin
    if lock.component != ref.component:
        return f"it is the lock of '{lock.component}', not of '{ref.component}'"
    if lock.release != release:
        return f"it is the lock of release {lock.release}, not of {release}"
    if isinstance(ref, SdistRef) != isinstance(pin, SdistPin):
        wanted, got = ("the sdist", "a git commit") if isinstance(ref, SdistRef) else ("a git repository", "an sdist")
        return f"{ref.place} wants {wanted} of {ref.component}, but it pins {got}"
    if ref.project != pin.project:
        return f"{ref.place} wants the project '{ref.project}', but it pins '{pin.project}'"
    if isinstance(ref, SdistRef):
        if ref.version != pin.version:
            return f"{ref.place} wants {ref.component} {ref.version}, but it pins {pin.version}"
        return None
    assert isinstance(pin, GitPin)
    if ref.url != pin.url:
        return f"{ref.place} wants {ref.component} from {ref.url}, but it pins {pin.url}"
    if ref.ref != pin.ref:
        return f"{ref.place} wants '{ref.ref}' of {ref.component}, but it pins '{pin.ref}'"
    return None


def made_from(lock: SourceLock, ref: SourceRef, release: str) -> bool:
    """Whether ``lock`` was made from ``ref`` of ``release``."""
    return _difference(lock, ref, release) is None


def read_source_lock(path: Path) -> SourceLock:
    """The lock in the file ``path``; raises :class:`LockError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"The source lock {path} cannot be read: {error}.") from None
    return parse_source_lock(text, str(path))


def write_source_lock(lock: SourceLock, path: Path) -> None:
    """Write ``lock`` to ``path``, whole or not at all; raises :class:`LockError`."""
    try:
        with whole_file(path) as stream:
            stream.write(render_source_lock(lock).encode("utf-8"))
    except OSError as error:
        raise LockError(f"The source lock {path} cannot be written: {error.strerror}.") from None
