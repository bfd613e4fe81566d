from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.oci.entry import EntryKind
from imagekit.python.skeleton import materialize, venv_skeleton
from imagekit.python.python_version import TargetError


def test_the_skeleton_is_what_the_site_module_looks_for() -> None:
    entries = {entry.path: entry for entry in venv_skeleton("3.12")}
    assert sorted(entries) == [
        "var/lib/openstack",
        "var/lib/openstack/bin",
        "var/lib/openstack/bin/python",
        "var/lib/openstack/bin/python3",
        "var/lib/openstack/bin/python3.12",
        "var/lib/openstack/lib",
        "var/lib/openstack/lib/python3.12",
        "var/lib/openstack/lib/python3.12/site-packages",
        "var/lib/openstack/lib64",
        "var/lib/openstack/pyvenv.cfg",
    ]
    assert entries["var/lib/openstack/bin/python"].link_target == "/usr/bin/python3.12"
    assert entries["var/lib/openstack/pyvenv.cfg"].content == (
        b"home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.12\nexecutable = /usr/bin/python3.12\n"
    )


def test_the_modules_of_system_packages_can_be_made_visible() -> None:
    (configuration,) = [e for e in venv_skeleton("3.11", system_site_packages=True) if e.kind is EntryKind.FILE]
    assert b"include-system-site-packages = true\n" in (configuration.content if isinstance(configuration.content, bytes) else b"")


def test_a_version_that_is_none_is_refused() -> None:
    with pytest.raises(TargetError) as refusal:
        venv_skeleton("3")
    assert str(refusal.value) == "'3' is not a Python version of the form 3.N, such as 3.11"


def test_a_skeleton_can_be_laid_out_in_a_directory(tmp_path: Path) -> None:
    materialize(venv_skeleton("3.11"), tmp_path)
    venv = tmp_path / "var/lib/openstack"
    assert (venv / "lib64/python3.11/site-packages").is_dir()
    assert (venv / "bin/python").is_symlink()
    assert (venv / "pyvenv.cfg").read_text().startswith("home = /usr/bin\n")
