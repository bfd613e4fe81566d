from __future__ import annotations

import io
import tarfile
from typing import Dict, List, Tuple

import pytest

from imagekit.oci.tar_reader import Member, TarError, TarReader


def written(tar_format: int, *members: Tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:", format=tar_format, encoding="utf-8", errors="surrogateescape") as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def info(name: str, content: bytes = b"", **fields: object) -> Tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    return member, content


def read(archive: bytes) -> List[Tuple[Member, bytes]]:
    reader = TarReader(io.BytesIO(archive), "layer.tar")
    return [(member, b"".join(reader.content())) for member in reader]


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reads_what_the_standard_library_writes(tar_format: int) -> None:
    long_name = "/".join(["d" * 60] * 3)
    long_link = "t" * (100 if tar_format == tarfile.USTAR_FORMAT else 300)
    archive = written(
        tar_format,
        info("etc", type=tarfile.DIRTYPE, mode=0o755),
        info("etc/x", b"content" * 100, mode=0o4640, uid=7, gid=8, mtime=12345),
        info(long_name, b"y"),
        info("l", type=tarfile.SYMTYPE, linkname=long_link),
        info("h", type=tarfile.LNKTYPE, linkname="etc/x"),
    )
    members = read(archive)
    assert [member.name.rstrip("/") for member, _ in members] == ["etc", "etc/x", long_name, "l", "h"]
    member, content = members[1]
    assert (member.mode, member.uid, member.gid, member.mtime, member.size) == (0o4640, 7, 8, 12345, 700)
    assert content == b"content" * 100 == archive[member.offset : member.offset + 700]
    assert members[2][1] == b"y"
    assert members[3][0].link_name == long_link
    assert members[4][0].link_name == "etc/x"


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_large_and_odd_values(tar_format: int) -> None:
    name = "caf\udce9/" + "x" * 200
    (member, _) = read(written(tar_format, info(name, uid=1 << 30, gid=1 << 31)))[0]
    assert (member.name, member.uid, member.gid) == (name, 1 << 30, 1 << 31)


def test_gnu_headers_have_no_prefix() -> None:
    # Incremental archives of GNU tar have times there.
    header = bytearray(written(tarfile.GNU_FORMAT, info("a"))[:512])
    header[345:357] = b"14735273400\0"
    header[148:156] = b" " * 8
    header[148:155] = b"%06o\0" % sum(header)
    ((member, _),) = read(bytes(header) + bytes(1024))
    assert member.name == "a"


def test_pax_xattrs_and_global_headers() -> None:
    headers: Dict[str, str] = {"SCHILY.xattr.security.capability": "\1=\n", "comment": "x"}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:", format=tarfile.PAX_FORMAT, pax_headers={"gname": "all"}) as tar:
        tar.addfile(info("a", pax_headers=headers)[0])
        tar.addfile(info("b")[0])
    (first, _), (second, _) = read(buffer.getvalue())
    assert first.xattrs == (("security.capability", b"\1=\n"),)
    assert second.xattrs == ()


def test_content_may_be_left_unread() -> None:
    archive = written(tarfile.USTAR_FORMAT, info("a", bytes(3_000_000)), info("b", b"b"))
    file = io.BytesIO(archive)
    assert [member.name for member in TarReader(file, "layer.tar")] == ["a", "b"]
    file.seek(0)
    assert [member.name for member in TarReader(file, "layer.tar", file.seek)] == ["a", "b"]


ARCHIVE = written(tarfile.USTAR_FORMAT, info("a", b"a" * 600), info("b", b"b"))


@pytest.mark.parametrize("length", [0, 100, 512, 513, 1535, 1536, 2048, 2559])
def test_refuses_what_breaks_off(length: int) -> None:
    with pytest.raises(TarError) as error:
        read(ARCHIVE[:length])
    assert str(error.value) == f"layer.tar is no whole tar: it breaks off after {length} bytes. Make it again."


def test_refuses_half_an_end_mark() -> None:
    with pytest.raises(TarError) as error:
        read(ARCHIVE[:2560] + bytes(512))
    assert str(error.value) == "layer.tar is no whole tar: it has no end mark. Make it again."


def test_refuses_a_content_that_breaks_off_behind_a_seek() -> None:
    archive = written(tarfile.USTAR_FORMAT, info("a", bytes(3_000_000)))
    with pytest.raises(TarError) as error:
        file = io.BytesIO(archive[:2_000_000])
        list(TarReader(file, "layer.tar", file.seek))
    assert str(error.value) == "layer.tar is no whole tar: it breaks off after 2000000 bytes. Make it again."


def test_refuses_a_bad_header() -> None:
    damaged = bytearray(ARCHIVE)
    damaged[1536] ^= 1
    with pytest.raises(TarError) as error:
        read(bytes(damaged))
    assert str(error.value) == "layer.tar is no tar, or damaged: bad header at byte 1536. Make it again."


def test_refuses_a_bad_number() -> None:
    damaged = bytearray(ARCHIVE)
    damaged[148:156] = b"zz\0\0\0\0\0\0"
    with pytest.raises(TarError) as error:
        read(bytes(damaged))
    assert str(error.value) == (
        "layer.tar is no tar, or damaged: the checksum in the header at byte 0 is b'zz\\x00\\x00\\x00\\x00\\x00\\x00'. "
        "Make it again."
    )


@pytest.mark.parametrize("body", [b"5 a=b\n", b"99 a=b\n", b"x a=b\n", b"0 a=b\n", b"6 aaa\n", b"99999999999 a=b\n"])
def test_refuses_bad_pax_records(body: bytes) -> None:
    header = tarfile.TarInfo("pax")
    header.type = tarfile.XHDTYPE
    header.size = len(body)
    archive = header.tobuf(tarfile.USTAR_FORMAT) + body.ljust(512, b"\0") + ARCHIVE
    with pytest.raises(TarError) as error:
        read(archive)
    assert str(error.value) == "layer.tar is damaged: bad pax header before byte 1024. Make it again."


def test_refuses_a_huge_extended_header() -> None:
    header = tarfile.TarInfo("pax")
    header.type = tarfile.XHDTYPE
    header.size = 1 << 32
    with pytest.raises(TarError) as error:
        read(header.tobuf(tarfile.USTAR_FORMAT))
    assert str(error.value) == (
        "layer.tar has an extended header of 4294967296 bytes at byte 512; more than 1048576 are refused. "
        "Make the tar without such names or attributes."
    )


def test_refuses_sparse_files() -> None:
    archive = written(tarfile.PAX_FORMAT, info("a", b"a", pax_headers={"GNU.sparse.major": "1"}))
    with pytest.raises(TarError) as error:
        read(archive)
    assert str(error.value) == ("layer.tar holds a sparse file, which no layer may hold. Write the tar without them.")
