from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.sandbox.bwrap import (
    Rootfs,
    SandboxError,
    UserNamespaceLimits,
    bwrap_argv,
    exit_code,
    explain_failure,
    find_bwrap,
    run_in_rootfs,
)
from imagekit.sandbox.mounts import Bind, Tmpfs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("dev", "proc", "root", "tmp"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_the_whole_command_line(root: Path) -> None:
    argv = bwrap_argv("bwrap", root, ["cc", "-c"], env={"A": "1"}, user_namespace=True, status_fd=9)
    assert argv == (
        "bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "imagekit",
        "--die-with-parent", "--new-session", "--unshare-net", "--unshare-user", "--uid", "0", "--gid", "0",
        "--cap-drop", "ALL", "--clearenv",
        "--setenv", "A", "1", "--setenv", "HOME", "/root", "--setenv", "LANG", "C.UTF-8",
        "--setenv", "LC_ALL", "C.UTF-8", "--setenv", "LOGNAME", "root",
        "--setenv", "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "--setenv", "PYTHONHASHSEED", "0", "--setenv", "SOURCE_DATE_EPOCH", "1735689600", "--setenv", "TZ", "UTC",
        "--setenv", "USER", "root",
        "--ro-bind", str(root), "/", "--dev", "/dev", "--proc", "/proc", "--perms", "0700", "--tmpfs", "/root",
        "--perms", "1777", "--tmpfs", "/tmp",
        "--chdir", "/", "--json-status-fd", "9", "--", "cc", "-c",
    )  # fmt: skip


def test_root_needs_no_user_namespace_and_keeps_capabilities_only_when_privileged(root: Path) -> None:
    argv = bwrap_argv("bwrap", root, ["dpkg"], writable=True, privileged=True, user_namespace=False)
    assert "--unshare-user" not in argv
    assert argv[argv.index("ALL") - 1] == "--cap-add"
    assert argv[argv.index("--bind") + 1 : argv.index("--bind") + 3] == (str(root), "/")


def test_the_network_is_there_only_when_asked_for(root: Path) -> None:
    assert "--unshare-net" not in bwrap_argv("bwrap", root, ["uv"], network=True, user_namespace=True)


def test_a_given_mount_takes_the_place_of_a_default_one(root: Path) -> None:
    argv = bwrap_argv("bwrap", root, ["x"], mounts=[Tmpfs("/tmp", mode=0o700)], user_namespace=True)
    assert argv.count("/tmp") == 1
    assert argv[argv.index("/tmp") - 2] == "0700"


def test_a_missing_bwrap_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(SandboxError) as error:
        find_bwrap(str(tmp_path))
    assert str(error.value) == (
        "the program 'bwrap' (bubblewrap) is not on the PATH; build steps run inside it. "
        "Install it: sudo apt-get install bubblewrap"
    )


FREE = UserNamespaceLimits(None, 63000, None)
NO_NAMESPACE = "bwrap: No permissions to create new namespace, likely because ..."


@pytest.mark.parametrize(
    "stderr, limits, uid, expected",
    [
        ("bwrap: Can't mkdir /x: No\n", FREE, 1, "bubblewrap could not start a sandbox: bwrap: Can't mkdir /x: No."),
        ("", FREE, 1, "bubblewrap could not start a sandbox: bwrap ended without a message."),
        (
            NO_NAMESPACE,
            UserNamespaceLimits(0, 63000, None),
            1,
            f"bubblewrap could not start a sandbox: {NO_NAMESPACE}. User namespaces are switched off: "
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            NO_NAMESPACE,
            UserNamespaceLimits(None, 0, None),
            1,
            f"bubblewrap could not start a sandbox: {NO_NAMESPACE}. User namespaces are switched off: "
            "sudo sysctl -w user.max_user_namespaces=15000",
        ),
        (
            "bwrap: setting up uid map: Permission denied",
            UserNamespaceLimits(1, 63000, 1),
            1,
            "bubblewrap could not start a sandbox: bwrap: setting up uid map: Permission denied. AppArmor forbids user "
            "namespaces to ordinary users: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            NO_NAMESPACE,
            FREE,
            1,
            f"bubblewrap could not start a sandbox: {NO_NAMESPACE}. User namespaces are forbidden here, as in an "
            "unprivileged container; run on the host.",
        ),
        (
            "bwrap: Creating new namespace failed: Operation not permitted",
            FREE,
            0,
            "bubblewrap could not start a sandbox: bwrap: Creating new namespace failed: Operation not permitted. This "
            "root user may not create namespaces, as in an unprivileged container. Run on the host, or start the "
            "container with: --privileged",
        ),
        (
            "bwrap: execvp cc: No such file or directory",
            FREE,
            1,
            "a command is missing in the sandbox's root file system: bwrap: execvp cc: No such file or directory. "
            "Add the package that holds it to the base.",
        ),
        (
            "bwrap: execvp dpkg: Exec format error",
            FREE,
            1,
            "this machine cannot run the programs of another architecture: bwrap: execvp dpkg: Exec format error. "
            "Install an emulator: sudo apt-get install qemu-user-static",
        ),
    ],
)
def test_a_failure_to_start_names_what_mends_it(
    stderr: str, limits: UserNamespaceLimits, uid: int, expected: str
) -> None:
    assert explain_failure(stderr, limits, uid=uid) == expected


def test_kernel_settings_that_are_not_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user/max_user_namespaces").write_text("0\n")
    assert UserNamespaceLimits.read(tmp_path) == UserNamespaceLimits(None, 0, None)


def test_the_exit_code_is_known_only_when_a_command_ran() -> None:
    assert exit_code('{ "child-pid": 4 }\n{ "exit-code": 137 }\n') == 137
    assert exit_code('{ "child-pid": 4 }\n') is None
    assert exit_code("") is None


def test_a_bind_of_nothing_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SandboxError) as error:
        run_in_rootfs(Rootfs(root, "sha256:0"), ["true"], binds=[Bind(tmp_path / "no", "/build")])
    assert str(error.value) == f"cannot bind '{tmp_path}/no' at '/build': it does not exist."
