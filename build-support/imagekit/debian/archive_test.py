from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.debian.archive import ArchiveError, open_member, read_control
from imagekit.debian.conftest import MakeDeb, ar_of, member


@pytest.mark.parametrize("ending", ["", ".gz", ".xz"])
def test_the_control_file_and_the_data(make_deb: MakeDeb, ending: str) -> None:
    deb = make_deb("hello", members=[member("./etc/hello")], contents={"./etc/hello": b"hi"}, ending=ending)
    assert read_control(deb).require("Package") == "hello"
    with open_member(deb, "data.tar") as tar:
        names = [(item.name, item.size) for item in tar]
    assert names == [("./etc/hello", 2)]


def test_a_zstd_deb(tmp_path: Path, make_deb: MakeDeb) -> None:
    zstandard = pytest.importorskip("zstandard")
    plain = make_deb("hello", ending="").read_bytes()
    # The members of an uncompressed .deb, compressed one by one.
    control = plain[8 + 60 + 4 + 60 :]
    size = int(plain[8 + 60 + 4 + 48 : 8 + 60 + 4 + 58])
    compressed = zstandard.ZstdCompressor().compress(control[:size])
    deb = tmp_path / "zst.deb"
    deb.write_bytes(ar_of({"debian-binary": b"2.0\n", "control.tar.zst": compressed}))
    assert read_control(deb).require("Package") == "hello"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "{} is not a .deb: it is no ar archive."),
        (b"<html>gone</html>", "{} is not a .deb: it is no ar archive."),
        (ar_of({"debian-binary": b"2.0\n"}), "{} is not a .deb: it has no member control.tar."),
        (b"!<arch>\nrubbish" + b" " * 60, "{} is not a .deb: it has no member control.tar."),
        (
            ar_of({"control.tar.rar": b""}),
            "{} is compressed as '.rar', which is unknown; known are .xz, .zst, .gz, .bz2 and .lzma.",
        ),
    ],
)
def test_what_is_not_a_deb(tmp_path: Path, content: bytes, message: str) -> None:
    deb = tmp_path / "x.deb"
    deb.write_bytes(content)
    with pytest.raises(ArchiveError) as error:
        read_control(deb)
    assert str(error.value) == message.format(deb)


@pytest.mark.parametrize("ending", [".gz", ".xz"])
def test_a_truncated_deb(make_deb: MakeDeb, ending: str) -> None:
    deb = make_deb("hello", ending=ending)
    deb.write_bytes(deb.read_bytes()[:200])
    with pytest.raises(ArchiveError) as error:
        read_control(deb)
    assert str(error.value).startswith(f"{deb}: its control.tar is damaged: ")
    assert str(error.value).endswith(". Fetch it again.")


def test_a_deb_without_a_control_file(tmp_path: Path) -> None:
    deb = tmp_path / "x.deb"
    deb.write_bytes(ar_of({"control.tar": b"\0" * 1024}))
    with pytest.raises(ArchiveError) as error:
        read_control(deb)
    assert str(error.value) == f"{deb} has no control file. Fetch it again."
