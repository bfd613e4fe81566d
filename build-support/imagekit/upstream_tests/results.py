"""What the tests of one process came to, read from the records of the driver."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

#: The id of a fixture of a class or module, in place of those of its tests.
_FIXTURE = re.compile(r"setUp(?:Class|Module) \((.+)\)")


@dataclass(frozen=True)
class Outcome:
    """Why ``test`` failed or was skipped."""

    test: str
    detail: str


@dataclass(frozen=True)
class Results:
    """``running`` is the test in which the process ended, ``not_run`` are those that were still to come."""

    passed: int
    failed: Tuple[Outcome, ...]
    skipped: Tuple[Outcome, ...]
    running: Optional[str]
    not_run: Tuple[str, ...]

    def report(self, excluded: int) -> str:
        """Each failure with its traceback, the reasons of what was skipped, and last the counts."""
        lines = [f"FAILED {outcome.test}\n{outcome.detail.rstrip()}\n" for outcome in self.failed]
        reasons = Counter(outcome.detail for outcome in self.skipped)
        lines += [f"skipped {count}: {reason}" for reason, count in sorted(reasons.items())]
        counts = [f"{self.passed} passed", f"{len(self.failed)} failed", f"{len(self.skipped)} skipped"]
        counts += [f"{len(self.not_run)} not run"] if self.not_run else []
        return "\n".join([*lines, ", ".join([*counts, f"{excluded} excluded"]), ""])


def read_records(text: str, tests: Sequence[str]) -> Results:
    """The results in ``text``, what the driver has written of a run of ``tests``; the last line may be half a one."""
    passed = 0
    failed: List[Outcome] = []
    skipped: List[Outcome] = []
    running: Optional[str] = None
    waiting: Dict[str, None] = dict.fromkeys(tests)
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        record = json.loads(line)
        test, outcome = str(record["test"]), Outcome(str(record["test"]), str(record["detail"]))
        if record["outcome"] == "started":
            running = test
            continue
        running = None
        waiting.pop(test, None)
        fixture = _FIXTURE.fullmatch(test)
        if record["outcome"] == "passed":
            passed += 1
        elif record["outcome"] == "failed":
            failed.append(outcome)
        elif fixture is None:
            skipped.append(outcome)
        else:
            below = [name for name in waiting if name.startswith(f"{fixture[1]}.")]
            skipped.extend(Outcome(name, outcome.detail) for name in below)
            for name in below:
                del waiting[name]
    return Results(passed, tuple(failed), tuple(skipped), running, tuple(name for name in waiting if name != running))
