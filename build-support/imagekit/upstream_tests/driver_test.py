"""The driver, on a small project, with the Python that the tests run with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional

import pytest

from imagekit.upstream_tests import driver

TESTS = '''
import os, unittest

class Plain(unittest.TestCase):
    def test_passes(self):
        self.addCleanup(print, "noise")
    def test_fails(self):
        self.assertEqual(1, 2)
    def test_fails_and_cannot_clean_up(self):
        self.addCleanup(os.stat, "/no/such/file")
        self.fail("first")
    def test_skips(self):
        self.skipTest("no server")
    @unittest.expectedFailure
    def test_is_expected_to_fail(self):
        self.fail()
    @unittest.expectedFailure
    def test_passes_unexpectedly(self):
        pass
    def test_with_parts(self):
        with self.subTest(part=1):
            self.fail("of a part")
        with self.subTest(part=2):
            pass

class Broken(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise OSError("no database")
    def test(self):
        pass

class Skipped(Broken):
    @classmethod
    def setUpClass(cls):
        raise unittest.SkipTest("no database here")
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    package = tmp_path / "p" / "tests"
    package.mkdir(parents=True)
    (tmp_path / "p/__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "test_it.py").write_text(TESTS)
    (package / "test_broken.py").write_text("import no_such_module\n")
    return tmp_path


def run(project: Path, tests: Optional[List[str]]) -> List[Dict[str, str]]:
    job = project / "job.json"
    job.write_text(json.dumps({"test_path": "p/tests", "tests": tests, "records": str(project / "records")}))
    subprocess.run(
        [sys.executable, driver.__file__, str(job)], cwd=project, env={"PYTHONPATH": str(project)}, check=True
    )
    return [json.loads(line) for line in (project / "records").read_text().splitlines()]


def outcome(project: Path, test: str) -> Dict[str, str]:
    started, ended = run(project, [test])
    assert started == {"test": test, "outcome": "started", "detail": ""}
    assert ended["test"] == test
    return ended


def test_all_tests_are_listed_also_of_a_module_that_cannot_be_imported(project: Path) -> None:
    found = sorted(record["test"] for record in run(project, None))
    assert found[0] == "p.tests.test_it.Broken.test"
    assert "p.tests.test_it.Plain.test_passes" in found
    assert found[-1] == "unittest.loader._FailedTest.p.tests.test_broken"
    assert len(found) == 10


@pytest.mark.parametrize(
    "test, expected, detail",
    [
        ("test_passes", "passed", ""),
        ("test_fails", "failed", "AssertionError: 1 != 2"),
        ("test_fails_and_cannot_clean_up", "failed", "FileNotFoundError"),
        ("test_fails_and_cannot_clean_up", "failed", "AssertionError: first"),
        ("test_skips", "skipped", "no server"),
        ("test_is_expected_to_fail", "passed", ""),
        ("test_passes_unexpectedly", "failed", "It was expected to fail, but passed."),
        ("test_with_parts", "failed", "AssertionError: of a part"),
    ],
)
def test_outcomes(project: Path, test: str, expected: str, detail: str) -> None:
    ended = outcome(project, f"p.tests.test_it.Plain.{test}")
    assert ended["outcome"] == expected
    assert detail in ended["detail"]


def test_a_module_that_cannot_be_imported_fails(project: Path) -> None:
    ended = outcome(project, "unittest.loader._FailedTest.p.tests.test_broken")
    assert ended["outcome"] == "failed"
    assert "No module named 'no_such_module'" in ended["detail"]


def test_fixtures_of_classes_have_an_outcome(project: Path) -> None:
    (broken,) = run(project, ["p.tests.test_it.Broken.test"])
    assert (broken["test"], broken["outcome"]) == ("setUpClass (p.tests.test_it.Broken)", "failed")
    assert "OSError: no database" in broken["detail"]
    (skipped,) = run(project, ["p.tests.test_it.Skipped.test"])
    assert skipped == {
        "test": "setUpClass (p.tests.test_it.Skipped)",
        "outcome": "skipped",
        "detail": "no database here",
    }
