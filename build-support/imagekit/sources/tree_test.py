from __future__ import annotations

import gzip
import io
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from imagekit.sources.tree import (
    SourceFile,
    SourceLink,
    SourceTree,
    SourceTreeError,
    pack,
    read_source,
    unpack,
    write_source,
)

TREE: SourceTree = {
    "README.rst": SourceFile(b"hello"),
    "keystone/link": SourceLink("../README.rst"),
    "tools/run.sh": SourceFile(b"#!/bin/sh\n", executable=True),
    "n\udcffn-utf8": SourceFile(b""),
    "long/" + "x" * 200: SourceFile(b"long"),
}


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b"x") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    return info


def sdist(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info in members:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(SourceTreeError) as error:
        read_source(path)
    return str(error.value)


def test_a_tree_survives_a_round_trip(tmp_path: Path) -> None:
    write_source(TREE, tmp_path / "source.tar")

    assert read_source(tmp_path / "source.tar") == TREE


def test_the_bytes_depend_on_the_tree_alone(tmp_path: Path) -> None:
    write_source(TREE, tmp_path / "a.tar")
    write_source(dict(reversed(list(TREE.items()))), tmp_path / "b.tar")

    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    # Another CPython or another user must arrive at the same bytes.
    assert sha256((tmp_path / "a.tar").read_bytes()).hexdigest() == (
        "11c68fe1a141cd31ffcd9bc8b88b604b280190372881289ee25a0a2352485553"
    )


def test_members_say_nothing_of_the_machine(tmp_path: Path) -> None:
    write_source(TREE, tmp_path / "source.tar")

    with tarfile.open(tmp_path / "source.tar") as archive:
        for info in archive:
            assert (info.uid, info.gid, info.uname, info.gname, info.mtime) == (0, 0, "", "", 1735689600)
            assert info.mode in (0o644, 0o755, 0o777)


def test_the_top_folder_of_an_sdist_is_stripped(tmp_path: Path) -> None:
    path = sdist(
        tmp_path / "keystone-28.0.0.tar.gz",
        member("keystone-28.0.0", tarfile.DIRTYPE),
        member("./keystone-28.0.0/setup.py"),
        member("keystone-28.0.0/copy.py", tarfile.LNKTYPE, "keystone-28.0.0/setup.py"),
        member("keystone-28.0.0/a/link", tarfile.SYMTYPE, "../setup.py"),
    )

    assert read_source(path) == {
        "setup.py": SourceFile(b"x"),
        "copy.py": SourceFile(b"x"),
        "a/link": SourceLink("../setup.py"),
    }


def test_trees_go_to_disk_and_back(tmp_path: Path) -> None:
    unpack(TREE, [*TREE, "not there"], tmp_path)

    assert pack(tmp_path) == TREE


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "k-1.tar.gz: an sdist has one top folder, but this has nothing."),
        ([member("a/x"), member("b/x")], "k-1.tar.gz: an sdist has one top folder, but this has 'a', 'b'."),
        ([member("setup.py")], "k-1.tar.gz: an sdist has one top folder, but this has 'setup.py'."),
        ([member("k-1/../../x")], "k-1.tar.gz: the path 'k-1/../../x' leaves the source tree."),
        ([member("/etc/passwd")], "k-1.tar.gz: the path '/etc/passwd' leaves the source tree."),
        (
            [member("k-1/x", tarfile.SYMTYPE, "/etc")],
            "k-1.tar.gz: the link 'k-1/x' points to '/etc', outside of the source tree.",
        ),
        (
            [member("k-1/x", tarfile.SYMTYPE, "../other")],
            "k-1.tar.gz: the link 'x' points to '../other', outside of the source tree.",
        ),
        (
            [member("k-1/x", tarfile.LNKTYPE, "k-1/y")],
            "k-1.tar.gz: 'k-1/x' is a hard link to 'k-1/y', which is not before it.",
        ),
        ([member("k-1/x", tarfile.FIFOTYPE)], "k-1.tar.gz: 'k-1/x' is neither a file, a folder nor a link."),
    ],
)
def test_dangerous_sdists_are_refused(tmp_path: Path, members: list[tarfile.TarInfo], message: str) -> None:
    assert refusal(sdist(tmp_path / "k-1.tar.gz", *members)) == message


def test_a_cut_sdist_is_refused(tmp_path: Path) -> None:
    path = sdist(tmp_path / "k-1.tar.gz", member("k-1/x"))
    path.write_bytes(path.read_bytes()[:60])

    assert refusal(path) == (
        "k-1.tar.gz cannot be read as an sdist: Compressed file ended before the end-of-stream marker was reached."
    )


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "source.tar"
    path.write_bytes(gzip.compress(b"x" * 2000))

    assert refusal(path).startswith("source.tar cannot be read as a tar: ")


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceTreeError) as error:
        write_source(TREE, tmp_path / "missing" / "source.tar")

    assert str(error.value) == f"{tmp_path}/missing/source.tar cannot be written: No such file or directory."
