from __future__ import annotations

import json
from typing import Sequence

import pytest

from imagekit.sandbox.bwrap import Finished
from imagekit.upstream_tests.cli import UpstreamTestError, refuse_failure
from imagekit.upstream_tests.environment import Ran
from imagekit.upstream_tests.results import Outcome, Results, read_records


def records(*lines: Sequence[str]) -> str:
    return "".join(
        json.dumps({"test": test, "outcome": outcome, "detail": detail[0] if detail else ""}) + "\n"
        for test, outcome, *detail in lines
    )


def test_every_test_has_an_outcome() -> None:
    text = records(
        ("a.A.x", "started"), ("a.A.x", "passed"),
        ("a.A.y", "started"), ("a.A.y", "failed", "Traceback"),
        ("a.A.z", "started"), ("a.A.z", "skipped", "no server"),
    )  # fmt: skip
    results = read_records(text, ["a.A.x", "a.A.y", "a.A.z"])
    assert results == Results(1, (Outcome("a.A.y", "Traceback"),), (Outcome("a.A.z", "no server"),), None, ())
    assert results.report(excluded=4) == (
        "FAILED a.A.y\nTraceback\n\nskipped 1: no server\n1 passed, 1 failed, 1 skipped, 4 excluded\n"
    )


def test_the_test_that_ended_the_process_is_named() -> None:
    text = records(("a.A.x", "started"), ("a.A.x", "passed"), ("a.A.y", "started")) + '{"test": "a.A'
    results = read_records(text, ["a.A.x", "a.A.y", "a.A.z"])
    assert results == Results(1, (), (), "a.A.y", ("a.A.z",))
    assert results.report(excluded=0) == "1 passed, 0 failed, 0 skipped, 1 not run, 0 excluded\n"


def test_a_class_that_is_skipped_skips_its_tests() -> None:
    results = read_records(records(("setUpClass (a.A)", "skipped", "no server")), ["a.A.x", "a.A.y", "a.AB.z"])
    assert results.skipped == (Outcome("a.A.x", "no server"), Outcome("a.A.y", "no server"))
    assert results.not_run == ("a.AB.z",)


def test_a_class_that_cannot_be_set_up_is_a_failure_of_its_own() -> None:
    results = read_records(records(("setUpClass (a.A)", "failed", "Traceback")), ["a.A.x"])
    assert results.failed == (Outcome("setUpClass (a.A)", "Traceback"),)
    assert results.not_run == ("a.A.x",)


@pytest.mark.parametrize(
    "code, results, message",
    [
        (
            124,
            Results(1, (), (), "a.A.y", ()),
            "the tests were stopped in a.A.y after 9 s. Raise `timeout` or `shards`, or exclude what hangs.",
        ),
        (139, Results(1, (), (), "a.A.y", ()), "the tests ended in a.A.y with exit code 139. They wrote:\nout\nerr\n"),
        (1, Results(0, (), (), None, ("a.A.x",)), "the tests ended with exit code 1. They wrote:\nout\nerr\n"),
        (0, Results(0, (), (), "a.A.y", ()), "the tests ended in a.A.y with exit code 0. They wrote:\nout\nerr\n"),
        (0, Results(1, (Outcome("a.A.y", ""),), (), None, ()), "1 of 2 tests failed: what they say is above."),
        (
            0,
            Results(1, (), (), None, ("a.A.y",)),
            "1 of 2 tests did not run, such as a.A.y. Exclude tests whose names differ from run to run.",
        ),
    ],
)
def test_what_is_no_success_is_refused(code: int, results: Results, message: str) -> None:
    with pytest.raises(UpstreamTestError) as refusal:
        refuse_failure(results, Ran(Finished(code, "out\n", "err\n"), ""), 2, 9)
    assert str(refusal.value) == message


def test_success_is_not_refused() -> None:
    refuse_failure(Results(2, (), (), None, ()), Ran(Finished(0, "", ""), ""), 2, 9)
