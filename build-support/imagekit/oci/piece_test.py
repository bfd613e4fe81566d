from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Callable

import pytest

from imagekit.oci.entry import EntryKind
from imagekit.oci.piece import PieceError, tar_piece

MakePiece = Callable[..., Path]


@pytest.fixture
def make_piece(tmp_path: Path) -> MakePiece:
    def make(name: str = "x", type: bytes = tarfile.REGTYPE, linkname: str = "") -> Path:
        path = tmp_path / "piece.tar"
        member = tarfile.TarInfo(name)
        member.type = type
        member.linkname = linkname
        with tarfile.open(path, "w:") as tar:
            tar.addfile(member)
        return path

    return make


def refusal(path: Path) -> str:
    with pytest.raises(PieceError) as error:
        list(tar_piece(path).entries)
    return str(error.value)


def test_contents_stay_in_the_piece(tmp_path: Path) -> None:
    path = tmp_path / "piece.tar"
    with tarfile.open(path, "w:") as tar:
        member = tarfile.TarInfo("etc/x")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    (entry,) = tar_piece(path).entries
    assert entry.kind is EntryKind.FILE and not isinstance(entry.content, bytes)
    assert path.read_bytes()[entry.content.offset :][: entry.content.size] == b"abc"


def test_directory_slash_is_dropped(make_piece: MakePiece) -> None:
    (entry,) = tar_piece(make_piece("etc", tarfile.DIRTYPE)).entries
    assert entry.path == "etc"


@pytest.mark.parametrize("name", ["/etc/x", "./etc/x", "../x", "etc/../../x"])
def test_refuses_paths(make_piece: MakePiece, name: str) -> None:
    path = make_piece(name)
    assert refusal(path).startswith(
        f"{path}: A path of a layer must be relative to the image's root and have no empty, '.' or '..' part, "
        f"but got {name!r}. Write it as "
    )


def test_refuses_hardlinks_that_lead_outside(make_piece: MakePiece) -> None:
    path = make_piece("x", tarfile.LNKTYPE, "../../etc/shadow")
    assert "'../../etc/shadow'" in refusal(path)


def test_refuses_device_nodes(make_piece: MakePiece) -> None:
    path = make_piece("dev/sda", tarfile.BLKTYPE)
    assert refusal(path) == (
        f"{path} holds 'dev/sda' as something that no layer has (tar type '4'). "
        "Only files, directories, symlinks and hardlinks go into a layer: leave it out."
    )


def test_refuses_whiteouts(make_piece: MakePiece) -> None:
    path = make_piece("etc/.wh.passwd")
    assert refusal(path) == (
        f"{path} holds 'etc/.wh.passwd': names that start with '.wh.' mean removal in a layer. "
        "Rename the file, or leave it out."
    )


def test_refuses_what_is_no_tar(tmp_path: Path) -> None:
    path = tmp_path / "piece.tar"
    path.write_bytes(b"no tar")
    assert refusal(path) == (
        f"{path} is no whole tar: it breaks off after 6 bytes. Make it again. "
        "A piece of a layer is an uncompressed tar of image paths."
    )


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.tar") == (
        f"The piece {tmp_path}/none.tar does not exist. Check the path given to --piece."
    )
