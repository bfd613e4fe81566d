"""Runs bubblewrap with the root file system of the machine, read-only."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence, Tuple

import pytest

from imagekit.sandbox.bwrap import Finished, Rootfs, SandboxError, run_in_rootfs
from imagekit.sandbox.mounts import Bind, Mount, Tmpfs

HOST = Rootfs(Path("/"), "sha256:host")


def shell(script: str, *, binds: Sequence[Mount] = (), cwd: str = "/", ids: Tuple[int, int] = (0, 0)) -> Finished:
    return run_in_rootfs(HOST, ["/bin/sh", "-ec", script], binds=binds, cwd=cwd, ids=ids)


def test_the_environment_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAK", "1")
    assert sorted(shell("env").stdout.split()) == [
        "HOME=/root", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "LOGNAME=root",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PWD=/", "PYTHONHASHSEED=0",
        "SOURCE_DATE_EPOCH=1735689600", "TZ=UTC", "USER=root",
    ]  # fmt: skip


def test_user_umask_and_host_name_are_fixed() -> None:
    assert shell("id -u; id -g; umask; cat /proc/sys/kernel/hostname").stdout.split() == ["0", "0", "0022", "imagekit"]


def test_the_root_file_system_is_read_only_and_temporary_directories_are_empty() -> None:
    finished = shell("ls /tmp /root; touch /tmp/x /root/x; touch /usr/x || exit 7")
    assert (finished.returncode, finished.stdout) == (7, "/root:\n\n/tmp:\n")
    assert "Read-only file system" in finished.stderr


def test_there_is_no_network() -> None:
    assert shell("tail -n +3 /proc/net/dev | cut -d: -f1").stdout.split() == ["lo"]


def test_directories_are_bound_where_the_root_file_system_has_no_place_for_them(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("given")
    finished = shell(
        "cat /build/deep/in; echo made > /usr/imagekit-out/x; ls /usr | grep -c ^bin$; ! touch /usr/x 2>/dev/null",
        binds=[Bind(tmp_path, "/build/deep"), Bind(tmp_path, "/usr/imagekit-out", writable=True), Tmpfs("/usr/none")],
        cwd="/build",
    )
    assert (finished.returncode, finished.stdout) == (0, "given1\n")
    assert (tmp_path / "x").read_text() == "made\n"
    assert not Path("/build/deep").exists()


def test_standard_input_and_a_signal() -> None:
    assert run_in_rootfs(HOST, ["cat"], stdin="hello").stdout == "hello"
    assert shell("kill -9 $$").returncode == 137


def test_another_user_id() -> None:
    assert shell("id -u; id -g", ids=(42424, 42424)).stdout.split() == ["42424", "42424"]


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(SandboxError) as error:
        run_in_rootfs(HOST, ["no-such-command"])
    assert str(error.value) == (
        "a command is missing in the sandbox's root file system: bwrap: execvp no-such-command: "
        "No such file or directory. Add the package that holds it to the base."
    )
