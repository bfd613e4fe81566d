from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.sandbox.mounts import Bind, Dev, MountError, Proc, Tmpfs, mount_options


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for directory in ("etc", "proc", "tmp", "usr/bin", "var/lib/dpkg"):
        (root / directory).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    (root / "etc/hosts").write_text("")
    (root / "var/lib/state").write_text("")
    return root


def test_mount_points_that_exist_are_mounted_over_a_read_only_root(root: Path) -> None:
    assert mount_options(root, [Proc(), Tmpfs("/tmp", 0o1777), Bind(root / "etc", "/usr/bin")], writable=False) == (
        "--ro-bind", str(root), "/",
        "--proc", "/proc",
        "--perms", "1777", "--tmpfs", "/tmp",
        "--ro-bind", f"{root}/etc", "/usr/bin",
    )  # fmt: skip


def test_a_missing_mount_point_replaces_only_the_directory_that_holds_it(root: Path) -> None:
    (root / "var/lib").chmod(0o711)
    assert mount_options(root, [Bind(Path("/src"), "/var/lib/openstack/lib", writable=True)], writable=False) == (
        "--ro-bind", str(root), "/",
        "--perms", "0711", "--tmpfs", "/var/lib",
        "--ro-bind", f"{root}/var/lib/dpkg", "/var/lib/dpkg",
        "--ro-bind", f"{root}/var/lib/state", "/var/lib/state",
        "--bind", "/src", "/var/lib/openstack/lib",
        "--remount-ro", "/var/lib",
    )  # fmt: skip


def test_a_missing_mount_point_at_the_top_rebuilds_the_top(root: Path) -> None:
    assert mount_options(root, [Dev()], writable=False) == (
        "--symlink", "usr/bin", "/bin",
        "--ro-bind", f"{root}/etc", "/etc",
        "--ro-bind", f"{root}/proc", "/proc",
        "--ro-bind", f"{root}/tmp", "/tmp",
        "--ro-bind", f"{root}/usr", "/usr",
        "--ro-bind", f"{root}/var", "/var",
        "--dev", "/dev",
        "--remount-ro", "/",
    )  # fmt: skip


def test_a_symbolic_link_is_replaced_by_what_is_mounted_there(root: Path) -> None:
    (root / "etc/resolv.conf").symlink_to("/run/resolv.conf")
    options = mount_options(root, [Bind(Path("/r"), "/etc/resolv.conf")], writable=False)
    assert options[3:] == (
        "--perms", f"{(root / 'etc').stat().st_mode & 0o7777:04o}", "--tmpfs", "/etc",
        "--ro-bind", f"{root}/etc/hosts", "/etc/hosts",
        "--ro-bind", "/r", "/etc/resolv.conf",
        "--remount-ro", "/etc",
    )  # fmt: skip


def test_a_mount_below_another_mount_needs_nothing_of_the_root(root: Path) -> None:
    options = mount_options(root, [Bind(Path("/f"), "/tmp/a/b"), Tmpfs("/tmp")], writable=False)
    assert options == (
        "--ro-bind", str(root), "/",
        "--perms", "0755", "--tmpfs", "/tmp",
        "--ro-bind", "/f", "/tmp/a/b",
    )  # fmt: skip


def test_a_writable_root_is_bound_as_it_is(root: Path) -> None:
    assert mount_options(root, [Dev()], writable=True) == ("--bind", str(root), "/", "--dev", "/dev")


def test_the_same_mount_point_twice_is_refused(root: Path) -> None:
    with pytest.raises(MountError) as error:
        mount_options(root, [Proc(), Tmpfs("/proc")], writable=False)
    assert str(error.value) == "two mounts share the mount point '/proc'. Drop one of them."


def test_a_mount_point_through_a_symbolic_link_is_refused(root: Path) -> None:
    with pytest.raises(MountError) as error:
        mount_options(root, [Tmpfs("/bin/tools")], writable=False)
    assert str(error.value) == (
        "the mount point '/bin/tools' passes through the symbolic link '/bin' -> 'usr/bin' of the root file system. "
        "Use the path it points to."
    )


def test_a_mount_point_below_a_file_is_refused(root: Path) -> None:
    with pytest.raises(MountError) as error:
        mount_options(root, [Tmpfs("/etc/hosts/x")], writable=False)
    assert str(error.value) == (
        "the mount point '/etc/hosts/x' lies below '/etc/hosts', which is not a directory in the root file system. "
        "Use another path."
    )


@pytest.mark.parametrize("target", ["build", "/", "/a/../b", "/a/", "//a", ""])
def test_a_mount_point_must_be_a_plain_absolute_path(target: str) -> None:
    with pytest.raises(MountError) as error:
        Bind(Path("/x"), target)
    assert str(error.value) == (
        "a mount point in a sandbox must be an absolute path below '/' without '.', '..' or a trailing '/', "
        f"but was {target!r}. Write it like '/build' or '/var/lib/openstack'."
    )
