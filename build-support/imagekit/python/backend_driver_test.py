from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Optional, Tuple

import pytest

from imagekit.python.backend_driver import Refusal, unpack


def archive(folder: Path, *members: Tuple[str, bytes, str, int]) -> Path:
    """A tar of (name, type, content or link, mode)."""
    path = folder / "source.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind, text, mode in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = kind, mode, 1
            if kind == tarfile.REGTYPE:
                info.size = len(text)
            else:
                info.linkname = text
            tar.addfile(info, io.BytesIO(text.encode()) if kind == tarfile.REGTYPE else None)
    return path


def test_an_sdist_is_unpacked_without_its_top_directory_and_with_one_time(tmp_path: Path) -> None:
    sdist = archive(
        tmp_path,
        ("x-1/setup.py", tarfile.REGTYPE, "setup()", 0o600),
        ("x-1/bin/run", tarfile.REGTYPE, "#!", 0o777),
        ("x-1", tarfile.DIRTYPE, "", 0o700),
        ("x-1/alias", tarfile.SYMTYPE, "setup.py", 0o777),
    )
    target = tmp_path / "src"
    unpack(sdist, target, strip_top=True, mtime=1735689600)
    assert (target / "setup.py").read_text() == "setup()"
    assert os.readlink(target / "alias") == "setup.py"
    modes = {path.name: path.stat().st_mode & 0o777 for path in (target / "setup.py", target / "bin/run")}
    assert modes == {"setup.py": 0o644, "run": 0o755}
    assert {path.lstat().st_mtime for path in [target, *target.rglob("*")]} == {1735689600}


def test_an_sdist_may_be_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "x-1.zip"
    with zipfile.ZipFile(path, "w") as sdist:
        script = zipfile.ZipInfo("x-1/run")
        script.external_attr = 0o100755 << 16
        sdist.writestr(script, "#!")
        sdist.writestr("x-1/doc/", "")
        sdist.writestr("x-1/setup.py", "setup()")
    target = tmp_path / "src"
    unpack(path, target, strip_top=True, mtime=1735689600)
    assert {path.name: path.stat().st_mode & 0o777 for path in target.iterdir() if path.is_file()} == {
        "run": 0o755,
        "setup.py": 0o644,
    }
    assert (target / "doc").is_dir() and (target / "setup.py").read_text() == "setup()"


@pytest.mark.parametrize(
    "name, kind, link, message",
    [
        ("../evil", tarfile.REGTYPE, None, "'../evil' points out of the source tree"),
        ("/evil", tarfile.REGTYPE, None, "'/evil' points out of the source tree"),
        ("dev", tarfile.CHRTYPE, None, "'dev' of the source tree is no file, directory or link"),
        ("a/b", tarfile.REGTYPE, "/etc", "'a/b' lies behind a symbolic link of the source tree"),
    ],
)
def test_a_member_that_does_not_belong_into_a_source_tree_is_refused(
    tmp_path: Path, name: str, kind: bytes, link: Optional[str], message: str
) -> None:
    links = (("a", tarfile.SYMTYPE, link, 0o777),) if link else ()
    with pytest.raises(Refusal) as refusal:
        unpack(archive(tmp_path, *links, (name, kind, "", 0o644)), tmp_path / "src", strip_top=False, mtime=1)
    assert str(refusal.value) == message
