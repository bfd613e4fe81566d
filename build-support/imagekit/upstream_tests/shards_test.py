from __future__ import annotations

import pytest

from imagekit.upstream_tests.shards import Shard, ShardError, class_of, divide

TESTS = [f"m.{name}.test_{number}" for name, count in (("A", 3), ("B", 2), ("C", 2)) for number in range(count)]


def test_the_class_of_a_test() -> None:
    assert class_of("m.A.test_x") == "m.A"
    assert class_of("m.A.test_x(v1.0)") == "m.A"


def test_classes_stay_together_and_shards_are_even() -> None:
    first, second = divide(TESTS, frozenset(), 2)
    assert first == Shard(("m.A.test_0", "m.A.test_1", "m.A.test_2"), 0)
    assert second == Shard(("m.B.test_0", "m.B.test_1", "m.C.test_0", "m.C.test_1"), 0)
    assert divide(list(reversed(TESTS)), frozenset(), 2) == (first, second)


def test_an_exclusion_changes_its_own_shard_only() -> None:
    first, second = divide(TESTS, frozenset(["m.A.test_1", "m.A.test_2"]), 2)
    assert first == Shard(("m.A.test_0",), 2)
    assert second == divide(TESTS, frozenset(), 2)[1]


def test_a_shard_without_tests_is_refused() -> None:
    with pytest.raises(ShardError) as refusal:
        divide(TESTS, frozenset(), 4)
    assert str(refusal.value) == (
        "shard 4 of 4 has no test to run: there are 7 tests in 3 classes, of which 0 are excluded. Lower `shards`, "
        "correct `test_path`, or exclude less."
    )


def test_no_test_at_all_is_refused() -> None:
    with pytest.raises(ShardError, match="shard 1 of 1 has no test to run: there are 0 tests in 0 classes"):
        divide([], frozenset(), 1)


def test_a_shard_that_is_excluded_completely_is_refused() -> None:
    with pytest.raises(ShardError, match="shard 1 of 2 has no test to run: .* of which 3 are excluded"):
        divide(TESTS, frozenset(test for test in TESTS if ".A." in test), 2)
