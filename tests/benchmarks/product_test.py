from __future__ import annotations

from benchmarks.product import executed_processes

OUTPUT = """\
07:00:00.00 [INFO] Counters:
  local_cache_requests: 12
  local_execution_requests: 3
  remote_cache_requests: 9
"""


def test_executed_processes() -> None:
    assert executed_processes(OUTPUT) == 3


def test_a_build_from_caches_alone_executes_none() -> None:
    assert executed_processes(OUTPUT.replace("  local_execution_requests: 3\n", "")) == 0


def test_an_output_without_counters_says_nothing() -> None:
    assert executed_processes("Wrote dist/images/keystone/2025.2\n") is None
