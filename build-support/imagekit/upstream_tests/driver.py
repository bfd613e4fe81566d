"""Finds and runs unit tests: ``python -P driver.py JOB``, in the image whose packages they use.

``JOB`` is a JSON file: ``test_path`` is the folder of the tests below the current directory; ``tests`` are the ids of
those to run, null to list all; ``records`` is the file to write, a JSON object a line. A test that runs has two, so
that one which ends the process can be named.
"""

from __future__ import annotations

import json
import sys
import unittest
from types import TracebackType
from typing import Iterator, List, Optional, TextIO, Tuple, Type, Union

#: What ``sys.exc_info()`` returns.
_Error = Union[Tuple[Type[BaseException], BaseException, TracebackType], Tuple[None, None, None]]


def flatten(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


class Recorder(unittest.TestResult):
    """Writes down each test when it starts, and its outcome when it has ended, cleanup included."""

    def __init__(self, records: TextIO) -> None:
        super().__init__()
        self._records = records
        self._running: Optional[str] = None
        self._outcome = ""
        self._detail = ""

    def _write(self, test: str, outcome: str, detail: str) -> None:
        self._records.write(json.dumps({"test": test, "outcome": outcome, "detail": detail}) + "\n")
        self._records.flush()

    def _fail(self, test: unittest.TestCase, detail: str) -> None:
        if self._running is None:
            # A fixture of a class or a module.
            self._write(test.id(), "failed", detail)
        else:
            self._outcome = "failed"
            self._detail += detail

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._running, self._outcome, self._detail = test.id(), "passed", ""
        self._write(self._running, "started", "")

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self._write(test.id(), self._outcome, self._detail)
        self._running = None

    def addError(self, test: unittest.TestCase, err: _Error) -> None:
        super().addError(test, err)
        self._fail(test, self.errors.pop()[1])

    def addFailure(self, test: unittest.TestCase, err: _Error) -> None:
        super().addFailure(test, err)
        self._fail(test, self.failures.pop()[1])

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Optional[_Error]) -> None:
        if err is not None:
            self.addFailure(subtest, err)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._fail(test, "It was expected to fail, but passed.\n")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        if self._running is None:
            self._write(test.id(), "skipped", reason)
        elif self._outcome == "passed":
            self._outcome, self._detail = "skipped", reason


def main(arguments: List[str]) -> None:
    with open(arguments[0], encoding="utf-8") as file:
        job = json.load(file)
    # As stestr does: the tests of packages that say how they are loaded (load_tests) come as they say.
    found = flatten(unittest.TestLoader().discover(job["test_path"], top_level_dir="."))
    with open(job["records"], "w", encoding="utf-8") as records:
        if job["tests"] is None:
            for test in found:
                records.write(json.dumps({"test": test.id()}) + "\n")
            return
        wanted = frozenset(job["tests"])
        unittest.TestSuite([test for test in found if test.id() in wanted]).run(Recorder(records))


if __name__ == "__main__":
    main(sys.argv[1:])
