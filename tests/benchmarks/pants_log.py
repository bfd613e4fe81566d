"""What Pants says of the time that things took, in its log at level debug."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Dict, Mapping

_LINE = re.compile(r"^(\d\d:\d\d:\d\d\.\d\d) \[\w+\] (Starting|Completed): (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Span:
    """When something began and ended, in seconds since midnight."""

    begin: float
    end: float


def spans(log: str) -> Mapping[str, Span]:
    """The things that a log says both the start and the completion of, by what they are called."""
    begun: Dict[str, float] = {}
    found: Dict[str, Span] = {}
    for clock, event, name in _LINE.findall(log):
        moment = (datetime.strptime(clock, "%H:%M:%S.%f") - datetime(1900, 1, 1)).total_seconds()
        if event == "Starting":
            begun[name] = moment
        elif name in begun:
            found[name] = Span(begun[name], moment)
    return found
