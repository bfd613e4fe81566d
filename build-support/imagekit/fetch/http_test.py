from __future__ import annotations

import resource
from hashlib import sha256
from pathlib import Path

import pytest

from imagekit.fetch.http import (
    Client,
    DownloadError,
    ExpectedFile,
    NotFound,
    WrongContent,
    as_url,
)
from imagekit.fetch.settings import HttpSettings

CONTENT = b"wheel"
EXPECTED = ExpectedFile("a.whl", len(CONTENT), sha256(CONTENT).hexdigest())
CLIENT = Client(HttpSettings())


def test_paths_become_urls() -> None:
    assert as_url("/a b/c") == "file:///a%20b/c"
    assert as_url("https://a.example/b") == "https://a.example/b"


def test_a_local_file_is_copied(tmp_path: Path) -> None:
    (tmp_path / "from.whl").write_bytes(CONTENT)

    CLIENT.download(f"file://{tmp_path}/from.whl", tmp_path / "to.whl", EXPECTED)

    assert (tmp_path / "to.whl").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"weel", "has 4 bytes, but a.whl must have 5."),
        (b"wheels", "is larger than the 5 bytes that a.whl must have."),
        (b"whale", f"has SHA-256 {sha256(b'whale').hexdigest()}, but a.whl must have {EXPECTED.sha256}."),
    ],
)
def test_wrong_bytes_leave_the_old_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "from.whl").write_bytes(content)
    (tmp_path / "to.whl").write_bytes(b"old")

    with pytest.raises(WrongContent) as error:
        CLIENT.download(f"file://{tmp_path}/from.whl", tmp_path / "to.whl", EXPECTED)

    assert str(error.value) == f"file://{tmp_path}/from.whl {message}"
    assert (tmp_path / "to.whl").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["from.whl", "to.whl"]


def test_a_missing_local_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as error:
        CLIENT.download(f"file://{tmp_path}/a.whl", tmp_path / "to.whl", EXPECTED)

    assert str(error.value) == f"There is no file {tmp_path}/a.whl."


def test_a_destination_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "from.whl").write_bytes(CONTENT)

    with pytest.raises(DownloadError) as error:
        CLIENT.download(f"file://{tmp_path}/from.whl", tmp_path / "missing" / "to.whl", EXPECTED)

    assert str(error.value) == f"{tmp_path}/missing/to.whl cannot be written: No such file or directory."


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "from.whl").write_bytes(CONTENT)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The nearest thing to a full disk that needs no privilege.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        with pytest.raises(DownloadError) as error:
            CLIENT.download(f"file://{tmp_path}/from.whl", tmp_path / "to.whl", EXPECTED)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert str(error.value) == f"{tmp_path}/to.whl cannot be written: File too large."
    assert [path.name for path in tmp_path.iterdir()] == ["from.whl"]


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as error:
        CLIENT.page("ftp://user:secret@index.example/simple/")

    assert str(error.value) == (
        "'ftp://index.example/simple/' is not a URL that can be downloaded from; use http, https or file."
    )


def test_a_proxy_that_is_not_http_is_refused() -> None:
    client = Client(HttpSettings(https_proxy="socks5://me:secret@proxy.example:1080"))

    with pytest.raises(DownloadError) as error:
        client.page("https://index.example/simple/")

    assert str(error.value) == (
        "The proxy 'socks5://proxy.example:1080' cannot be used: only proxies with an http:// URL are. Set https_proxy "
        "to such a URL, or list index.example in no_proxy."
    )


def test_a_ca_bundle_that_cannot_be_read_is_named() -> None:
    client = Client(HttpSettings(ca_bundle="/nowhere/ca.pem"))

    with pytest.raises(DownloadError) as error:
        client.page("https://127.0.0.1:1/")

    assert str(error.value) == (
        "The certificate authorities in /nowhere/ca.pem cannot be read: no such file or directory. Name a PEM file "
        "with SSL_CERT_FILE or PIP_CERT."
    )
