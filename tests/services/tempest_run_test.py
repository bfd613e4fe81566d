from __future__ import annotations

from services.tempest_run import parse_results


def test_results_are_by_the_names_of_tests() -> None:
    results = parse_results(
        """
        <testsuite errors="0" failures="1" name="" tests="3" time="1.0">
          <testcase classname="tempest.api.A" name="test_x[id-1,smoke]" time="0.1"/>
          <testcase classname="tempest.api.A" name="test_y" time="0.1"><skipped>not here</skipped></testcase>
          <testcase classname="" name="setUpClass (tempest.api.B)" time="0.0"><failure type="E">Boom</failure></testcase>
        </testsuite>
        """
    )
    assert results == {
        "tempest.api.A.test_x": "passed",
        "tempest.api.A.test_y": "skipped: not here",
        "setUpClass (tempest.api.B)": "failure: Boom",
    }


def test_no_test_is_no_result() -> None:
    assert parse_results('<testsuite errors="0" failures="0" name="" tests="0" time="0.0"/>') == {}
