from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from imagekit.fetch import cli
from imagekit.fetch.http import Client, DownloadError, ExpectedFile, NotFound, WrongContent
from imagekit.fetch.python_file import fetch_python_file
from imagekit.fetch.settings import FetchSettings

CONTENT = b"sdist"
EXPECTED = ExpectedFile("keystone-28.0.0.tar.gz", len(CONTENT), sha256(CONTENT).hexdigest())


def index(folder: Path, content: bytes, sha: str = "") -> str:
    project = folder / "keystone"
    project.mkdir(parents=True)
    (project / EXPECTED.name).write_bytes(content)
    fragment = f"#sha256={sha}" if sha else ""
    (project / "index.html").write_text(f'<a href="{EXPECTED.name}{fragment}">{EXPECTED.name}</a>')
    return f"file://{folder}"


def fetch(settings: FetchSettings, destination: Path) -> None:
    fetch_python_file(settings, Client(settings.http), "keystone", EXPECTED, destination)


def refusal(settings: FetchSettings, destination: Path) -> str:
    with pytest.raises(DownloadError) as error:
        fetch(settings, destination)
    assert not destination.exists()
    return str(error.value)


def test_find_links_come_first(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / EXPECTED.name).write_bytes(CONTENT)

    fetch(FetchSettings("file:///nowhere", find_links=(str(tmp_path / "wheels"),)), tmp_path / "out")

    assert (tmp_path / "out").read_bytes() == CONTENT


def test_every_index_is_tried_until_one_has_the_right_bytes(tmp_path: Path) -> None:
    said = index(tmp_path / "said", b"other", sha256(b"other").hexdigest())
    unsaid = index(tmp_path / "unsaid", b"other")
    right = index(tmp_path / "right", CONTENT, EXPECTED.sha256)

    fetch(FetchSettings("file:///nowhere", extra_index_urls=(said, unsaid, right)), tmp_path / "out")

    assert (tmp_path / "out").read_bytes() == CONTENT


def test_a_file_that_is_gone_names_every_place(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    settings = FetchSettings(f"file://{tmp_path}/simple", find_links=(f"{tmp_path}/wheels",))

    assert refusal(settings, tmp_path / "out") == (
        f"keystone-28.0.0.tar.gz of keystone (SHA-256 {EXPECTED.sha256}) is gone:\n"
        f"  {tmp_path}/wheels: it does not list keystone-28.0.0.tar.gz.\n"
        f"  file://{tmp_path}/simple: There is no file {tmp_path}/simple/keystone.\n"
        "Add an index that has it to your pip or uv configuration, or make the lock again."
    )
    with pytest.raises(NotFound):
        fetch(settings, tmp_path / "out")


def test_wrong_bytes_everywhere_are_refused(tmp_path: Path) -> None:
    said = index(tmp_path / "said", b"other", sha256(b"other").hexdigest())
    unsaid = index(tmp_path / "unsaid", b"other")
    settings = FetchSettings(said, extra_index_urls=(unsaid,))

    assert refusal(settings, tmp_path / "out") == (
        f"keystone-28.0.0.tar.gz of keystone (SHA-256 {EXPECTED.sha256}) was found with other bytes:\n"
        f"  {said}: its keystone-28.0.0.tar.gz has SHA-256 {sha256(b'other').hexdigest()}.\n"
        f"  {unsaid}: {unsaid}/keystone/keystone-28.0.0.tar.gz has SHA-256 {sha256(b'other').hexdigest()}, but "
        f"keystone-28.0.0.tar.gz must have {EXPECTED.sha256}.\n"
        "Someone replaced the file or the lock is wrong. Compare it with the publisher's, then make the lock again, or "
        "add an index with the right file to your pip or uv configuration."
    )
    with pytest.raises(WrongContent):
        fetch(settings, tmp_path / "out")


def test_without_any_place_the_remedy_is_named(tmp_path: Path) -> None:
    assert refusal(FetchSettings(None), tmp_path / "out") == (
        f"keystone-28.0.0.tar.gz of keystone (SHA-256 {EXPECTED.sha256}) cannot be fetched: no index and no find-links "
        "location is configured. Set index-url in your pip or uv configuration."
    )


def test_fetching_needs_only_the_standard_library() -> None:
    root = Path(cli.__file__).parents[2]
    code = f"import sys; sys.path.insert(0, {str(root)!r}); import {cli.__name__}"

    # -S leaves installed packages out, -I the environment.
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
