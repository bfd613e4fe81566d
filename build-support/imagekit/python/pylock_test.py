from __future__ import annotations

import pytest

from imagekit.python.lock import Artifact, LockError
from imagekit.python.pylock import ResolvedPackage, parse_pylock

SHA_A, SHA_B = "a" * 64, "b" * 64

PYLOCK = f"""\
lock-version = "1.0"
created-by = "uv"
requires-python = ">=3.11"

[[packages]]
name = "keystone"
version = "28.0.0"
archive = {{ path = "input/keystone-28.0.0-py3-none-any.whl", hashes = {{ sha256 = "{SHA_A}" }} }}

[[packages]]
name = "legacy-cgi"
version = "2.6.3"
marker = "python_full_version >= '3.13'"
sdist = {{ url = "https://index.example/legacy_cgi-2.6.3.tar.gz", size = 10, hashes = {{ sha256 = "{SHA_A}" }} }}
wheels = [{{ url = "https://index.example/a/legacy_cgi-2.6.3-py3-none-any.whl", size = 20, hashes = {{ sha256 = "{SHA_B}" }} }}]

[[packages]]
name = "torch"
version = "2.13.0+cpu"
wheels = [{{ url = "https://index.example/torch-2.13.0%2Bcpu-py3-none-any.whl#x", size = 30, hashes = {{ sha256 = "{SHA_B}" }} }}]
"""


def test_packages_are_read_without_their_urls() -> None:
    assert parse_pylock(PYLOCK, ignoring=("keystone",)) == (
        ResolvedPackage(
            "legacy-cgi",
            "2.6.3",
            "python_full_version >= '3.13'",
            (Artifact("legacy_cgi-2.6.3-py3-none-any.whl", 20, SHA_B),),
            Artifact("legacy_cgi-2.6.3.tar.gz", 10, SHA_A),
        ),
        ResolvedPackage(
            "torch", "2.13.0+cpu", None, (Artifact("torch-2.13.0+cpu-py3-none-any.whl", 30, SHA_B),), None
        ),
    )


def test_a_package_of_no_index_is_refused() -> None:
    with pytest.raises(LockError) as refusal:
        parse_pylock('[[packages]]\nname = "tool"\ndirectory = { path = "../tool" }\n')
    assert str(refusal.value) == (
        "tool was resolved to something that is not a release of a package index. "
        "Only names and versions may be required, no URLs and no folders."
    )


@pytest.mark.parametrize(
    "given, missing", [(f'hashes = {{ sha256 = "{SHA_B}" }}', "size"), ("size = 20", "SHA-256"), ("size = 20, hashes = {}", "SHA-256")]
)
def test_an_index_that_does_not_say_enough_is_refused(given: str, missing: str) -> None:
    text = f'[[packages]]\nname = "x"\nversion = "1"\nwheels = [{{ url = "http://i/x-1-py3-none-any.whl", {given} }}]\n'
    with pytest.raises(LockError) as refusal:
        parse_pylock(text)
    assert str(refusal.value) == (
        f"the package index does not tell the {missing} of x-1-py3-none-any.whl of x. "
        "Make the lock with an index that does (one with the JSON API of PEP 691); any index can then be used to build."
    )
