from __future__ import annotations

import pytest

from imagekit.oci.entry import EntryKind
from imagekit.python.system_modules import SystemModuleError, system_module_links
from imagekit.python.python_version import TargetError


def test_a_module_is_linked_under_the_name_that_this_interpreter_loads() -> None:
    rados, rbd = system_module_links("3.11", "aarch64", ["rbd", "rados", "rbd"])
    assert (rados.path, rados.link_target) == (
        "var/lib/openstack/lib/python3.11/site-packages/rados.cpython-311-aarch64-linux-gnu.so",
        "/usr/lib/python3/dist-packages/rados.cpython-311-aarch64-linux-gnu.so",
    )
    assert rbd.path == "var/lib/openstack/lib/python3.11/site-packages/rbd.cpython-311-aarch64-linux-gnu.so"
    assert {rados.kind, rbd.kind} == {EntryKind.SYMLINK}


@pytest.mark.parametrize("name", ["", "../rbd", "python3-rbd", "ceph.rbd"])
def test_what_is_no_module_is_refused(name: str) -> None:
    with pytest.raises(SystemModuleError) as refusal:
        system_module_links("3.11", "x86_64", [name])
    assert str(refusal.value) == f"{name!r} is not the name of a top-level module, such as rbd"


def test_a_machine_that_is_none_is_refused() -> None:
    with pytest.raises(TargetError) as refusal:
        system_module_links("3.11", "amd64", ["rbd"])
    assert str(refusal.value) == "'amd64' is not a machine that images are built for: x86_64, aarch64"
