"""Lists of tests to leave out: one regular expression a line, with the reason behind a ``#``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import FrozenSet, Sequence, Tuple

from imagekit.errors import ImagekitError

_REMEDY = "Write `<regular expression>  # <reason>`, such as `keystone\\.tests\\.unit\\.test_x\\..*  # needs a server`."


class ExclusionError(ImagekitError):
    """A list of exclusions that cannot be used."""


@dataclass(frozen=True)
class Exclusion:
    """The tests whose whole id ``pattern`` matches; ``place`` is the file and line that says so."""

    pattern: "re.Pattern[str]"
    reason: str
    place: str


def parse_exclusions(text: str, origin: str) -> Tuple[Exclusion, ...]:
    """The exclusions in ``text``, the content of the file ``origin``; empty lines and lines of comment say nothing.

    Raises :class:`ExclusionError` for a line without a reason, one that is no regular expression, and one said twice.
    """
    found: "dict[str, Exclusion]" = {}
    for number, line in enumerate(text.splitlines(), start=1):
        expression, _, reason = (part.strip() for part in line.partition("#"))
        if not expression:
            continue
        place = f"{origin}:{number}"
        if not reason:
            raise ExclusionError(f"{place}: `{expression}` is left out without a reason. {_REMEDY}")
        try:
            pattern = re.compile(expression)
        except re.error as failure:
            raise ExclusionError(f"{place}: `{expression}` is not a regular expression: {failure}. {_REMEDY}") from None
        if expression in found:
            raise ExclusionError(
                f"{place}: `{expression}` is left out already, by {found[expression].place}. Delete one of the two "
                "lines."
            )
        found[expression] = Exclusion(pattern, reason, place)
    return tuple(found.values())


def excluded_tests(exclusions: Sequence[Exclusion], tests: Sequence[str]) -> FrozenSet[str]:
    """Those of ``tests`` that are left out; raises :class:`ExclusionError` for an exclusion that matches none."""
    found = set()
    for exclusion in exclusions:
        matched = {test for test in tests if exclusion.pattern.fullmatch(test)}
        if not matched:
            raise ExclusionError(
                f"{exclusion.place}: `{exclusion.pattern.pattern}` matches none of the {len(tests)} tests. It must "
                "match the whole id of a test: correct it, or delete the line."
            )
        found |= matched
    return frozenset(found)
