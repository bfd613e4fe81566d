from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.oci.digest import Digest, DigestError

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_round_trip() -> None:
    assert str(Digest.parse(f"sha256:{EMPTY}")) == f"sha256:{EMPTY}"


def test_of_bytes_and_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert Digest.of(b"") == Digest.of_file(tmp_path / "empty") == Digest(EMPTY)


@pytest.mark.parametrize("text", [EMPTY, f"sha512:{EMPTY}", "", "sha256"])
def test_refuses_other_algorithms(text: str) -> None:
    with pytest.raises(DigestError) as error:
        Digest.parse(text)
    assert str(error.value) == (
        f"A digest is written 'sha256:' and 64 hexadecimal digits, but got {text!r}. "
        "Other algorithms are not used here: recompute it with sha256sum."
    )


@pytest.mark.parametrize("text", [EMPTY.upper(), EMPTY[:-1], EMPTY + "0", EMPTY[:-1] + "g", EMPTY + "\n", "../../x"])
def test_refuses_bad_hex(text: str) -> None:
    with pytest.raises(DigestError) as error:
        Digest.parse(f"sha256:{text}")
    assert str(error.value) == (
        f"A SHA-256 digest has 64 lower-case hexadecimal digits, but got {text!r}. "
        "Copy the digest again from where it was printed."
    )
