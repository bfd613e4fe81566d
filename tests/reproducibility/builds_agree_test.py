from __future__ import annotations

import pytest

from reproducibility.builds_agree import differences, processes_run


def test_images_that_differ_or_are_missing_are_named() -> None:
    assert differences({"a": "sha256:1", "b": "sha256:2", "c": "sha256:3"}, {"a": "sha256:1", "b": "sha256:9"}, "B") == [
        "b: sha256:2, but sha256:9 in B",
        "c: sha256:3, but not built in B",
    ]


LOG = """\
12:00:00.01 [DEBUG] Running Searching for `git` on PATH=/usr/bin:/bin under semaphore with concurrency id: 1, and concurrency: 1
12:00:00.02 [DEBUG] Running Test binary /usr/bin/bash. under semaphore with concurrency id: 2, and concurrency: 1
12:00:00.03 [DEBUG] Running Write dist/images/keystone/2025.2 under semaphore with concurrency id: 1, and concurrency: 2
"""


def test_what_every_machine_does_for_itself_is_not_a_step_that_a_cache_could_have_brought() -> None:
    assert processes_run(LOG) == []


def test_a_step_that_ran_although_it_is_in_the_cache_is_named() -> None:
    step = "12:00:00.04 [DEBUG] Running Fetch uwsgi 2.0.30 under semaphore with concurrency id: 1, and concurrency: 1\n"
    assert processes_run(LOG + step) == ["Fetch uwsgi 2.0.30"]


def test_a_log_that_names_no_process_is_not_taken_for_nothing_ran() -> None:
    with pytest.raises(SystemExit, match="has its wording changed"):
        processes_run("12:00:00.01 [INFO] Wrote dist/images/keystone/2025.2\n")
