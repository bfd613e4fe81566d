from __future__ import annotations

import argparse
import errno
import importlib
import os
from pathlib import Path
from typing import Callable

import pytest

from imagekit import __main__ as command_line
from imagekit.command import Command
from imagekit.commands import COMMAND_MODULES
from imagekit.errors import ImagekitError
from imagekit.run import load_command, run_command


@pytest.fixture
def run() -> Callable[[Exception], int]:
    """The exit status of a command that raises."""

    def run_failing(failure: Exception) -> int:
        def fail(_: argparse.Namespace) -> None:
            raise failure

        return run_command("fail", Command("fail", lambda parser: None, fail), [])

    return run_failing


def test_a_refusal_is_one_line_and_no_traceback(
    run: Callable[[Exception], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ImagekitError("a.patch does not apply.")) == 1
    assert capsys.readouterr().err == "error: a.patch does not apply.\n"


def test_a_full_disk_is_named(run: Callable[[Exception], int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(OSError(errno.ENOSPC, "No space left on device", "layer/blob")) == 1
    assert capsys.readouterr().err == (
        "error: No space left on device at layer/blob. Nothing was changed: make room and run it again.\n"
    )


def test_another_failure_keeps_its_traceback(run: Callable[[Exception], int]) -> None:
    with pytest.raises(PermissionError):
        run(PermissionError(errno.EACCES, "Permission denied", "layer/blob"))


def test_an_unknown_command_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["lyaer"]) == 2
    shown = capsys.readouterr().err
    assert all(f"  {name} " in shown for name in COMMAND_MODULES)


def test_every_command_is_there() -> None:
    for name, module in COMMAND_MODULES.items():
        command = load_command(module, name)
        command.configure(argparse.ArgumentParser())
        assert command.help


def test_a_module_holds_no_command_that_the_table_lacks() -> None:
    for module in set(COMMAND_MODULES.values()):
        for name in importlib.import_module(f"imagekit.{module}").COMMANDS:
            assert COMMAND_MODULES[name] == module


def test_the_umask_of_the_caller_does_not_matter(tmp_path: Path) -> None:
    command = Command("make", lambda parser: None, lambda _: (tmp_path / "made").mkdir())
    before = os.umask(0o077)
    try:
        assert run_command("make", command, []) == 0
    finally:
        os.umask(before)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o755
