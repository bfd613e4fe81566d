from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.debian.contents import DPKG_FILTERS, is_unused, remove_residue, settle_byte_code


def test_documentation_is_left_out_but_not_licences() -> None:
    assert "--path-exclude=/usr/share/doc/*" in DPKG_FILTERS
    assert DPKG_FILTERS[-1] == "--path-include=/usr/share/doc/*/copyright"
    assert is_unused("usr/share/man/man1/ls.1.gz")
    assert not is_unused("usr/share/manual")


@pytest.mark.parametrize(
    "path, stays",
    [
        ("etc/passwd", True),
        ("etc/passwd-", False),
        ("var/lib/dpkg/status", True),
        ("var/lib/dpkg/status-old", False),
        ("var/lib/dpkg/lock-frontend", False),
        ("var/log/dpkg.log", False),
        ("var/log/wtmp", True),
        ("var/cache/ldconfig/aux-cache", False),
        ("var/cache/debconf/config.dat", True),
        ("var/cache/debconf/config.dat-old", False),
        ("var/lib/apt/lists/deb.example_InRelease", False),
        ("usr/sbin/policy-rc.d", False),
        ("tmp/x/y", False),
        ("etc/iscsi/iscsid.conf", True),
        ("etc/iscsi/initiatorname.iscsi", False),
        ("etc/nvme/hostid", False),
        ("etc/nvme/hostnqn", False),
        ("etc/ssh/ssh_host_ed25519_key", False),
    ],
)
def test_residue_goes_and_the_rest_stays(tmp_path: Path, path: str, stays: bool) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("")
    remove_residue(tmp_path)
    assert (tmp_path / path).exists() is stays


def test_the_machine_id_is_emptied_and_not_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    remove_residue(tmp_path)
    assert not (tmp_path / "etc/machine-id").exists()
    (tmp_path / "etc/machine-id").write_text("b1946ac92492d2347c6235b4d2611184\n")
    remove_residue(tmp_path)
    assert (tmp_path / "etc/machine-id").read_bytes() == b""


def test_byte_code_that_checks_its_source_no_longer_does(tmp_path: Path) -> None:
    cache = tmp_path / "usr/lib/python3/__pycache__"
    cache.mkdir(parents=True)
    for name, flags in (("checked.pyc", 3), ("unchecked.pyc", 1), ("timestamp.pyc", 0)):
        (cache / name).write_bytes(b"\xa7\r\r\n" + flags.to_bytes(4, "little") + b"12345678code")
    settle_byte_code(tmp_path)
    assert {path.name: path.read_bytes()[4] for path in cache.iterdir()} == {
        "checked.pyc": 1,
        "unchecked.pyc": 1,
        "timestamp.pyc": 0,
    }
    assert (cache / "checked.pyc").read_bytes() == b"\xa7\r\r\n\1\0\0\x0012345678code"
