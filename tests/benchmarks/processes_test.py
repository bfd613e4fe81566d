from __future__ import annotations

import os
import subprocess
import sys
import time

from benchmarks.processes import Process, parse_status, peak_memory, running_processes, with_descendants

STATUS = "Name:\tpython: 3\nPPid:\t17\nVmRSS:\t   99000 kB\nRssAnon:\t   1000 kB\nRssFile:\t   98000 kB\n"


def test_memory_that_a_file_backs_does_not_count() -> None:
    assert parse_status(STATUS) == Process(17, 1_024_000)


def test_a_process_that_has_ended_holds_nothing() -> None:
    assert parse_status("Name:\tsh\nState:\tZ (zombie)\nPPid:\t1\n") == Process(1, 0)


def test_descendants() -> None:
    processes = {1: Process(0, 1), 2: Process(1, 1), 3: Process(2, 1), 4: Process(1, 1)}
    assert with_descendants(processes, [2, 99]) == {2, 3}
    assert with_descendants(processes, [1]) == {1, 2, 3, 4}


def test_the_peak_is_that_of_all_processes_below() -> None:
    size = 64 << 20
    child = f"import sys; held = bytearray(b'x' * {size}); print(flush=True); sys.stdin.read()"
    with peak_memory(lambda: [os.getpid()], without=[os.getpid()]) as peak:
        command = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        give_up = time.monotonic() + 30
        while peak.memory < size and time.monotonic() < give_up:
            time.sleep(0.05)
        process.communicate(b"")
    assert size <= peak.memory < 4 * size
    assert process.pid not in running_processes()
