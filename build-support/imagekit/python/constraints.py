"""OpenStack's upper-constraints of a release, and the overrides of them that this tree carries.

Upper-constraints are lines ``name===version`` with an optional marker; a name may have several lines with different
markers. Overrides are lines ``name===version`` (replace a pin, or add one) and ``-name`` (remove it); the comment above
or after a line is the reason for it. Names compare as PEP 503 says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from imagekit.errors import ImagekitError

_PIN = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)===(?P<version>[^\s;#,]+)\s*(?:;\s*(?P<marker>[^#]*?))?")
_REMOVAL = re.compile(r"-(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


class ConstraintError(ImagekitError):
    """A constraint or override that cannot be used."""


@dataclass(frozen=True)
class Place:
    """A line (counted from 1) of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Constraint:
    """One pin: ``version`` of ``name``, where ``marker`` holds.

    ``name`` is the PEP 503 form, ``project`` the one written; ``reason`` is what an override's comment says, and
    ``replaces`` the version that the override took the place of.
    """

    project: str
    version: str
    marker: Optional[str]
    place: Place
    reason: Optional[str] = None
    replaces: Optional[str] = None
    override: bool = False

    @property
    def name(self) -> str:
        """The name that is compared."""
        return canonicalize_name(self.project)

    @property
    def requirement(self) -> str:
        """The line in one spelling: equal for lines that mean the same."""
        pin = f"{self.name}==={self.version}"
        return pin if self.marker is None else f"{pin} ; {self.marker}"


@dataclass(frozen=True)
class Removal:
    """An override that removes every pin of a package."""

    project: str
    place: Place
    reason: Optional[str]

    @property
    def name(self) -> str:
        """The name that is compared."""
        return canonicalize_name(self.project)


@dataclass(frozen=True)
class Overrides:
    """The lines of one ``constraint-overrides.txt``."""

    file: str
    pins: Tuple[Constraint, ...]
    removals: Tuple[Removal, ...]


@dataclass(frozen=True)
class Constraints:
    """The pins that are in force: upper-constraints, with the overrides applied."""

    file: str
    pins: Tuple[Constraint, ...]

    def of(self, name: str) -> Tuple[Constraint, ...]:
        """The pins of ``name``, in any spelling."""
        wanted = canonicalize_name(name)
        return tuple(pin for pin in self.pins if pin.name == wanted)

    def without(self, name: str) -> Constraints:
        """These constraints less the pins of ``name``: a package built from a pinned source must not meet its own pin."""
        wanted = canonicalize_name(name)
        return Constraints(self.file, tuple(pin for pin in self.pins if pin.name != wanted))

    def render(self) -> str:
        """The text of a pip constraints file, sorted."""
        return "".join(sorted(f"{pin.requirement}\n" for pin in self.pins))


def parse_upper_constraints(text: str, origin: str) -> Constraints:
    """The pins in ``text``, the content of the file ``origin``.

    Raises :class:`ConstraintError` for a line that is no pin, and for two lines with the same name and marker.
    """
    pins: List[Constraint] = []
    seen: Dict[Tuple[str, Optional[str]], Constraint] = {}
    for line in _lines(text, origin):
        pin = _pin(line, override=False, remedy="Write `name===version`, with `;marker` where it holds only there.")
        _refuse_duplicate(pin, seen)
        pins.append(pin)
    return Constraints(origin, tuple(pins))


def parse_overrides(text: str, origin: str) -> Overrides:
    """The overrides in ``text``, the content of the file ``origin``.

    Raises :class:`ConstraintError` for a dirty line, and for a package that two lines override for one environment or
    that is both pinned and removed.
    """
    pins: List[Constraint] = []
    removals: List[Removal] = []
    seen: Dict[Tuple[str, Optional[str]], Constraint] = {}
    removed: Dict[str, Removal] = {}
    for line in _lines(text, origin):
        match = _REMOVAL.fullmatch(line.code)
        if match:
            removal = Removal(match["name"], line.place, line.reason)
            if removal.name in removed:
                raise ConstraintError(
                    f"{removal.place}: `{line.code}` removes {removal.name}, which {removed[removal.name].place} "
                    "removes already. Delete one of the two lines."
                )
            removed[removal.name] = removal
            removals.append(removal)
            continue
        pin = _pin(
            line,
            override=True,
            remedy="Write `name===version` to replace or add a pin, `-name` to remove it, or `# text` to say why.",
        )
        _refuse_duplicate(pin, seen)
        pins.append(pin)
    for pin in pins:
        if pin.name in removed:
            raise ConstraintError(
                f"{pin.place}: {pin.name} is pinned to {pin.version} here, but {removed[pin.name].place} removes it. "
                "A pin replaces the old one by itself: delete the removal, or the pin."
            )
        everywhere = seen.get((pin.name, None), pin)
        if everywhere is not pin:
            raise ConstraintError(
                f"{pin.place}: `{pin.requirement}` contradicts `{everywhere.requirement}` at {everywhere.place}, which "
                "holds everywhere. Give that one a marker too, or delete one of the two lines."
            )
    return Overrides(origin, tuple(pins), tuple(removals))


def apply_overrides(constraints: Constraints, overrides: Overrides) -> Constraints:
    """``constraints`` with ``overrides`` applied, leaving the lines of all other packages as they are.

    An override with a marker replaces the line with that marker and no other; one without a marker replaces a line
    without one. A package that has no line gets one. Raises :class:`ConstraintError` for a removal of a package that
    has no line, and for an override that fits none of the lines that the package has, since guessing would drop or
    contradict a marker variant.
    """
    for removal in overrides.removals:
        if not constraints.of(removal.name):
            raise ConstraintError(
                f"{removal.place}: `-{removal.project}` removes a pin that {constraints.file} does not have. "
                "Correct the name or delete the line."
            )
    removed = {removal.name for removal in overrides.removals}
    pins = [pin for pin in constraints.pins if pin.name not in removed]
    for override in overrides.pins:
        variants = [pin for pin in constraints.pins if pin.name == override.name]
        if not variants:
            pins.append(override)
            continue
        replaced = next((pin for pin in variants if pin.marker == override.marker), None)
        if replaced is None:
            raise ConstraintError(_no_such_variant(override, variants))
        pins[pins.index(replaced)] = Constraint(
            project=override.project,
            version=override.version,
            marker=override.marker,
            place=override.place,
            reason=override.reason,
            replaces=replaced.version,
            override=True,
        )
    return Constraints(constraints.file, tuple(pins))


@dataclass(frozen=True)
class _Line:
    code: str
    place: Place
    reason: Optional[str]


def _lines(text: str, origin: str) -> Iterator[_Line]:
    """The lines that say something. The comment block above a run of lines is the reason for each line of the run."""
    comment: List[str] = []
    in_comment = False
    for number, raw in enumerate(text.splitlines(), start=1):
        code, hash_sign, trailing = raw.partition("#")
        code = code.strip()
        trailing = trailing.strip()
        if not code and hash_sign:
            if not in_comment:
                comment = []
            in_comment = True
            if trailing:
                comment.append(trailing)
            continue
        in_comment = False
        if not code:
            comment = []
            continue
        reason = trailing if trailing else " ".join(comment)
        yield _Line(code, Place(origin, number), reason or None)


def _pin(line: _Line, *, override: bool, remedy: str) -> Constraint:
    match = _PIN.fullmatch(line.code)
    if not match:
        raise ConstraintError(f"{line.place}: `{line.code}` is not a pin. {remedy}")
    try:
        Version(match["version"])
    except InvalidVersion:
        raise ConstraintError(
            f"{line.place}: {match['version']!r} in `{line.code}` is not a version (PEP 440). {remedy}"
        ) from None
    marker: Optional[str] = None
    if match["marker"] is not None:
        try:
            marker = str(Marker(match["marker"]))
        except InvalidMarker:
            raise ConstraintError(
                f"{line.place}: {match['marker']!r} in `{line.code}` is not an environment marker (PEP 508). {remedy}"
            ) from None
    return Constraint(match["name"], match["version"], marker, line.place, line.reason, override=override)


def _refuse_duplicate(pin: Constraint, seen: Dict[Tuple[str, Optional[str]], Constraint]) -> None:
    key = (pin.name, pin.marker)
    if key in seen:
        first = seen[key]
        raise ConstraintError(
            f"{pin.place}: `{pin.requirement}` pins {pin.name} again, after `{first.requirement}` at {first.place}. "
            "Delete one of the two lines."
        )
    seen[key] = pin


def _no_such_variant(override: Constraint, variants: List[Constraint]) -> str:
    lines = ", ".join(f"`{pin.requirement}` at {pin.place}" for pin in variants)
    spelled = " or ".join(
        f"`{override.project}==={override.version}{'' if pin.marker is None else f' ; {pin.marker}'}`" for pin in variants
    )
    return (
        f"{override.place}: `{override.requirement}` does not say which pin of {override.name} it replaces: the pins are "
        f"{lines}. Write {spelled}."
    )
