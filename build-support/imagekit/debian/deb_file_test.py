from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from imagekit.debian.deb_file import fetch_deb
from imagekit.fetch.http import Client, DownloadError, ExpectedFile, NotFound, Unreachable, WrongContent
from imagekit.fetch.settings import HttpSettings

FILENAME = "pool/main/b/bash/bash_5.2_amd64.deb"
EXPECTED = ExpectedFile("bash_5.2_amd64.deb", 4, hashlib.sha256(b"bash").hexdigest())
WHAT = f"{FILENAME} (SHA-256 {EXPECTED.sha256})"


def archive(path: Path, content: bytes) -> str:
    file = path / FILENAME
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return f"file://{path}"


def fetch(destination: Path, *archives: str) -> None:
    fetch_deb(archives, Client(HttpSettings(retries=0)), FILENAME, EXPECTED, destination)


def test_the_first_mirror_with_the_right_bytes_is_used(tmp_path: Path) -> None:
    wrong = archive(tmp_path / "wrong", b"BASH")
    right = archive(tmp_path / "right", b"bash")
    fetch(tmp_path / "bash.deb", f"file://{tmp_path}/none", wrong, right)
    assert (tmp_path / "bash.deb").read_bytes() == b"bash"


def test_a_deb_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as error:
        fetch(tmp_path / "bash.deb", f"file://{tmp_path}/a", f"file://{tmp_path}/b")
    assert str(error.value) == (
        f"{WHAT} is gone:\n"
        f"  file://{tmp_path}/a: There is no file {tmp_path}/a/{FILENAME}.\n"
        f"  file://{tmp_path}/b: There is no file {tmp_path}/b/{FILENAME}.\n"
        "The mirrors replaced this version by a newer one, or do not carry the suite. Make the .deb lock again, or "
        "name a mirror that has it (deb_mirrors in the download settings)."
    )
    assert not (tmp_path / "bash.deb").exists()


def test_a_deb_with_other_bytes(tmp_path: Path) -> None:
    wrong = archive(tmp_path / "wrong", b"BASH")
    with pytest.raises(WrongContent) as error:
        fetch(tmp_path / "bash.deb", wrong)
    assert str(error.value) == (
        f"{WHAT} was found with other bytes:\n"
        f"  {wrong}: {wrong}/{FILENAME} has SHA-256 {hashlib.sha256(b'BASH').hexdigest()}, but bash_5.2_amd64.deb must "
        f"have {EXPECTED.sha256}.\n"
        "A mirror is damaged or the lock is wrong. Try another mirror, or make the .deb lock again."
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wrong"]


def test_no_network(tmp_path: Path) -> None:
    # Nothing listens on port 1.
    with pytest.raises(Unreachable) as error:
        fetch(tmp_path / "bash.deb", "http://user:secret@127.0.0.1:1/debian", f"file://{tmp_path}/none")
    assert str(error.value) == (
        f"{WHAT} could not be fetched:\n"
        f"  http://127.0.0.1:1/debian: http://127.0.0.1:1/debian/{FILENAME} cannot be reached: connection refused.\n"
        f"  file://{tmp_path}/none: There is no file {tmp_path}/none/{FILENAME}.\n"
        "Check the network, and the sources and proxies of this machine's apt configuration."
    )


def test_other_failures_are_listed(tmp_path: Path) -> None:
    (tmp_path / FILENAME).mkdir(parents=True)
    with pytest.raises(DownloadError) as error:
        fetch(tmp_path / "bash.deb", f"file://{tmp_path}")
    assert str(error.value).startswith(f"{WHAT} could not be fetched:\n  file://{tmp_path}: ")
