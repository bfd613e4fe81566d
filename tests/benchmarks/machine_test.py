from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.commands import BenchmarkError
from benchmarks.machine import TOOLS, check_machine, search_path


def programs(folder: Path, names: "set[str]") -> str:
    for name in names:
        (folder / name).touch(mode=0o755)
    return str(folder)


def test_missing_programs_are_named_by_their_packages(tmp_path: Path) -> None:
    here = programs(tmp_path, set(TOOLS) - {"docker", "dockerd", "skopeo"})
    with pytest.raises(BenchmarkError) as error:
        check_machine(here, 1000)
    assert str(error.value) == (
        "the benchmark needs programs that are not here. Install them: sudo apt-get install docker.io skopeo"
    )
    with pytest.raises(BenchmarkError) as error:
        check_machine(here, 0)
    assert str(error.value).endswith("Install them: apt-get install docker.io skopeo")


def test_only_root_starts_a_daemon(tmp_path: Path) -> None:
    here = programs(tmp_path, set(TOOLS))
    check_machine(here, 0)
    with pytest.raises(BenchmarkError) as error:
        check_machine(here, 1000)
    assert str(error.value) == "the benchmark starts a Docker daemon of its own, which only root can. Run it with sudo."


def test_the_systems_folders_come_last_and_once() -> None:
    assert search_path("/opt/bin:/usr/sbin:/bin") == "/opt/bin:/usr/sbin:/bin:/sbin"
