from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Mapping

import pytest

from imagekit.debian.archive import ArchiveError
from imagekit.debian.conftest import MakeDeb, member
from imagekit.debian.control import Stanza, parse_stanzas
from imagekit.debian.extract import essential_closure, extract_files, in_unpack_order


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "usr/lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    return root


def test_files_links_and_modes_land_in_a_merged_usr(make_deb: MakeDeb, root: Path) -> None:
    (root / "usr/lib/old").write_text("old")
    deb = make_deb(
        "x",
        members=[
            member("./", tarfile.DIRTYPE, 0o755),
            member("./lib/", tarfile.DIRTYPE, 0o755),
            member("./lib/tool", mode=0o4755),
            member("./lib/again", tarfile.LNKTYPE, link="./lib/tool"),
            member("./lib/link", tarfile.SYMTYPE, link="tool"),
            member("./lib/old"),
            member("./var/", tarfile.DIRTYPE, 0o2775),
            member("./usr/share/doc/x/readme"),
        ],
        contents={"./lib/tool": b"tool", "./lib/old": b"new"},
    )
    extract_files(deb, root, lambda path: path.startswith("usr/share/doc/"))
    assert (root / "lib").is_symlink()
    assert (root / "usr/lib/tool").stat().st_mode & 0o7777 == 0o4755
    assert (root / "usr/lib/again").samefile(root / "usr/lib/tool")
    assert os.readlink(root / "usr/lib/link") == "tool"
    assert (root / "usr/lib/old").read_text() == "new"
    assert (root / "var").stat().st_mode & 0o7777 == 0o2775
    assert not (root / "usr/share").exists()


@pytest.mark.parametrize("name", ["./escape/file", "./out/../../file"])
def test_nothing_is_written_outside(make_deb: MakeDeb, root: Path, tmp_path: Path, name: str) -> None:
    (root / "escape").symlink_to(tmp_path)
    deb = make_deb("x", members=[member(name)])
    with pytest.raises(ArchiveError) as error:
        extract_files(deb, root, lambda path: False)
    assert str(error.value) == f"{deb} holds {name!r}, which leads out of the root file system. Do not use it."
    assert not (tmp_path / "file").exists()


def test_a_device_node_is_refused(make_deb: MakeDeb, root: Path) -> None:
    deb = make_deb("x", members=[member("./null", tarfile.CHRTYPE)])
    with pytest.raises(ArchiveError) as error:
        extract_files(deb, root, lambda path: False)
    assert str(error.value) == f"{deb} holds './null', which is no file, directory or link. Do not use it."


def stanzas(text: str) -> Mapping[str, Stanza]:
    return {stanza.require("Package"): stanza for stanza in parse_stanzas(text)}


PACKAGES = stanzas(
    """\
Package: bash
Essential: yes
Pre-Depends: libc6, libtinfo6
Depends: awk

Package: libc6
Depends: libgcc-s1

Package: libgcc-s1
Depends: libc6

Package: libtinfo6

Package: mawk
Pre-Depends: libc6
Provides: awk

Package: python3
Pre-Depends: bash
Depends: not-here | libtinfo6
"""
)


def test_essential_packages_and_all_they_depend_on() -> None:
    assert essential_closure(PACKAGES) == ["bash", "libc6", "libgcc-s1", "libtinfo6", "mawk"]


def test_packages_follow_what_they_pre_depend_on() -> None:
    assert in_unpack_order(PACKAGES) == ["libc6", "libtinfo6", "bash", "libgcc-s1", "mawk", "python3"]


def test_a_cycle_of_pre_dependencies_ends() -> None:
    assert in_unpack_order(stanzas("Package: aa\nPre-Depends: bb\n\nPackage: bb\nPre-Depends: aa\n")) == ["bb", "aa"]
