"""``WWW-Authenticate`` headers (RFC 7235), as registries send them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Mapping, Sequence, Tuple

_SCHEME = re.compile(r"\s*,?\s*([A-Za-z][A-Za-z0-9_-]*)(?:\s+|\Z)")
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True)
class Challenge:
    """What a server wants to see: ``scheme`` in lower case, and its parameters."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(headers: Sequence[str]) -> Tuple[Challenge, ...]:
    """The challenges of all headers in order; what cannot be read ends a header."""
    challenges = []
    for header in headers:
        position = 0
        while True:
            scheme = _SCHEME.match(header, position)
            if scheme is None:
                break
            position = scheme.end()
            parameters = {}
            while True:
                parameter = _PARAMETER.match(header, position)
                if parameter is None:
                    break
                quoted = parameter.group(2)
                value = parameter.group(3) if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                parameters[parameter.group(1).lower()] = value
                position = parameter.end()
            challenges.append(Challenge(scheme.group(1).lower(), parameters))
    return tuple(challenges)
