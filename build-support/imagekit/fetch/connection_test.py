from __future__ import annotations

import pytest

from imagekit.fetch.connection import bypasses_proxy, redact


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@index.example:8443/simple/?token=t#f", "https://index.example:8443/simple/"),
        ("file:///wheels", "file:///wheels"),
        ("/wheels", "/wheels"),
    ],
)
def test_messages_show_no_credentials(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize(
    ("host", "no_proxy", "bypasses"),
    [
        ("index.example", "index.example", True),
        ("index.example", ".example", True),
        ("index.example", "example", True),
        ("index.example", "dex.example", False),
        ("index.example", "*", True),
        ("index.example", "", False),
    ],
)
def test_no_proxy(host: str, no_proxy: str, bypasses: bool) -> None:
    assert bypasses_proxy(host, (no_proxy,)) is bypasses
