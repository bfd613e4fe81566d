"""What is in an image, as the locks say it: known before anything is built.

Pure and of the standard library only. A rule writes the record, the step that makes the SBOM reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple, Union

from imagekit.errors import ImagekitError
from imagekit.fetch.json_record import JsonRecord, JsonRecordError, parse_json_record

Json = Union[None, bool, int, str, List["Json"], Dict[str, "Json"]]


class ContentsError(ImagekitError):
    """A record of an image's contents that cannot be read."""


@dataclass(frozen=True)
class DebContent:
    """A Debian package; ``sha256`` is that of the .deb, 64 hex digits."""

    name: str
    version: str
    architecture: str
    filename: str
    sha256: str


@dataclass(frozen=True)
class PatchContent:
    """A patch by its path in the tree."""

    path: str
    sha256: str


@dataclass(frozen=True)
class SourceContent:
    """The source that a Python distribution is built from: a file of the index, or a commit of ``repository``."""

    component: str
    release: str
    filename: Optional[str] = None
    sha256: Optional[str] = None
    repository: Optional[str] = None
    ref: Optional[str] = None
    commit: Optional[str] = None
    patches: Tuple[PatchContent, ...] = ()


@dataclass(frozen=True)
class OverrideContent:
    """A change of upstream's constraint; ``old`` is None where the override adds a pin."""

    old: Optional[str]
    new: str
    reason: Optional[str]


@dataclass(frozen=True)
class PythonContent:
    """A Python distribution (PEP 503 name).

    ``artifact`` is the file of the index that it comes from, a wheel or an sdist, with its ``sha256``; both are None for
    one that is built from ``source``.
    """

    name: str
    version: str
    artifact: Optional[str] = None
    sha256: Optional[str] = None
    source: Optional[SourceContent] = None
    override: Optional[OverrideContent] = None


@dataclass(frozen=True)
class ImageContents:
    """All that is in an image.

    ``architecture`` is Debian's name of the machine, ``distribution`` the suite, ``python`` the interpreter (``3.11``).
    ``requirements`` are what the Python distributions were resolved from, the service first; ``requested`` are the
    Debian packages that were asked for. ``left_out`` says in words what the image could hold and does not.
    """

    architecture: str
    distribution: str
    python: Optional[str]
    requested: Tuple[str, ...]
    requirements: Tuple[str, ...]
    debs: Tuple[DebContent, ...]
    distributions: Tuple[PythonContent, ...]
    left_out: Tuple[str, ...]

    def to_json(self) -> Dict[str, Json]:
        return {
            "architecture": self.architecture,
            "distribution": self.distribution,
            "python": self.python,
            "requested": list(self.requested),
            "requirements": list(self.requirements),
            "debs": [_fields(deb) for deb in self.debs],
            "distributions": [_python_json(item) for item in self.distributions],
            "left_out": list(self.left_out),
        }


def parse_contents(text: str, origin: str) -> ImageContents:
    """The record whose :meth:`ImageContents.to_json` is ``text``; raises :class:`ContentsError`."""
    try:
        record = parse_json_record(text, origin)
        record.require_only(*ImageContents.__dataclass_fields__)
        return ImageContents(
            architecture=record.text("architecture"),
            distribution=record.text("distribution"),
            python=record.optional_text("python"),
            requested=record.texts("requested"),
            requirements=record.texts("requirements"),
            debs=tuple(
                DebContent(
                    deb.text("name"),
                    deb.text("version"),
                    deb.text("architecture"),
                    deb.text("filename"),
                    deb.text("sha256"),
                )
                for deb in record.records("debs")
            ),
            distributions=tuple(_python(item) for item in record.records("distributions")),
            left_out=record.texts("left_out"),
        )
    except JsonRecordError as error:
        raise ContentsError(str(error)) from None


def _python(record: JsonRecord) -> PythonContent:
    record.require_only(*PythonContent.__dataclass_fields__)
    override = None if record.fields.get("override") is None else record.record("override")
    return PythonContent(
        name=record.text("name"),
        version=record.text("version"),
        artifact=record.optional_text("artifact"),
        sha256=record.optional_text("sha256"),
        source=None if record.fields.get("source") is None else _source(record.record("source")),
        override=None
        if override is None
        else OverrideContent(override.optional_text("old"), override.text("new"), override.optional_text("reason")),
    )


def _source(record: JsonRecord) -> SourceContent:
    record.require_only(*SourceContent.__dataclass_fields__)
    return SourceContent(
        component=record.text("component"),
        release=record.text("release"),
        filename=record.optional_text("filename"),
        sha256=record.optional_text("sha256"),
        repository=record.optional_text("repository"),
        ref=record.optional_text("ref"),
        commit=record.optional_text("commit"),
        patches=tuple(PatchContent(patch.text("path"), patch.text("sha256")) for patch in record.records("patches")),
    )


def _fields(value: Union[DebContent, PatchContent, OverrideContent]) -> Dict[str, Json]:
    return dict(vars(value))


def _python_json(item: PythonContent) -> Dict[str, Json]:
    source: Json = None
    if item.source is not None:
        source = {**vars(item.source), "patches": [_fields(patch) for patch in item.source.patches]}
    return {
        "name": item.name,
        "version": item.version,
        "artifact": item.artifact,
        "sha256": item.sha256,
        "source": source,
        "override": None if item.override is None else _fields(item.override),
    }
