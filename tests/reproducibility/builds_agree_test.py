from __future__ import annotations

import pytest

from reproducibility.builds_agree import differences, steps_run


def test_images_that_differ_or_are_missing_are_named() -> None:
    assert differences({"a": "sha256:1", "b": "sha256:2", "c": "sha256:3"}, {"a": "sha256:1", "b": "sha256:9"}, "B") == [
        "b: sha256:2, but sha256:9 in B",
        "c: sha256:3, but not built in B",
    ]


def test_the_number_of_steps_is_pants_own_counter() -> None:
    assert steps_run("Counters:\n  local_cache_requests: 7\n  local_execution_requests: 12\n") == 12
    with pytest.raises(SystemExit, match="Pants printed no counters"):
        steps_run("")
