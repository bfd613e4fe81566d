from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from imagekit.debian import rootfs
from imagekit.debian.conftest import MakeDeb
from imagekit.debian.lock import DebPackage
from imagekit.debian.rootfs import LayerOutput, RootfsError, bootstrap, check_debs, read_debs


def locked(name: str, path: Path) -> DebPackage:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return DebPackage(name, "1", "all", f"pool/{name}.deb", path.stat().st_size, digest)


def test_the_files_of_a_lock_are_accepted_in_any_order(make_deb: MakeDeb) -> None:
    a, b = make_deb("aa"), make_deb("bb")
    check_debs([b, a], [locked("aa", a), locked("bb", b)])


def test_missing_and_surplus_files_are_named(make_deb: MakeDeb) -> None:
    a, b, c = make_deb("aa"), make_deb("bb"), make_deb("cc")
    with pytest.raises(RootfsError) as error:
        check_debs([c], [locked("aa", a), locked("bb", b)])
    assert str(error.value) == (
        f"the .debs are not those of the lock: missing are aa, bb; not locked are {c}. Fetch what the lock names."
    )


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RootfsError) as error:
        check_debs([tmp_path / "no.deb"], [])
    assert str(error.value) == f"cannot read the .deb '{tmp_path}/no.deb': No such file or directory."


def test_debs_are_sorted_by_package(make_deb: MakeDeb) -> None:
    assert [deb.name for deb in read_debs([make_deb("bb"), make_deb("aa")])] == ["aa", "bb"]


def test_two_debs_of_one_package(make_deb: MakeDeb, tmp_path: Path) -> None:
    first = make_deb("aa")
    (tmp_path / "other").mkdir()
    second = make_deb("aa", directory=tmp_path / "other")
    with pytest.raises(RootfsError) as error:
        read_debs([first, second])
    assert str(error.value) == f"{first} and {second} are both the package 'aa'. Drop one of them."


def test_a_base_without_dpkg_is_refused_and_leaves_nothing(make_deb: MakeDeb, tmp_path: Path) -> None:
    deb = make_deb("aa", control="Essential: yes\n")
    with pytest.raises(RootfsError) as error:
        bootstrap([deb], "amd64", None, LayerOutput(tmp_path / "out", "x"))
    assert str(error.value) == ("the packages hold no dpkg, and so cannot be installed. Lock them without a base.")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_is_named_and_nothing_is_left(
    make_deb: MakeDeb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(deb: Path, root: Path, skip: object) -> None:
        (root / "half").write_text("")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rootfs, "extract_files", fails)
    with pytest.raises(RootfsError) as error:
        bootstrap([make_deb("aa", control="Essential: yes\n")], "amd64", None, LayerOutput(tmp_path / "out", "x"))
    assert str(error.value) == (
        f"a root file system does not fit into '{tmp_path}/out': No space left on device. "
        "Make room there and run the build again."
    )
    assert list((tmp_path / "out").iterdir()) == []
