from __future__ import annotations

from pathlib import Path

import pytest
from imagekit.debian.apt_configuration import AptError, archives_and_http
from imagekit.debian.deb_file import fetch_deb
from imagekit.fetch.http import Client, DownloadError, ExpectedFile
from imagekit.fetch.settings import FetchSettings, HttpSettings

from c5c3.util_rules.host import in_option_names


def test_a_machine_without_mirrors_is_told_the_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AptError) as error:
        archives_and_http(FetchSettings(None))
    assert in_option_names(str(error.value)) == (
        "no mirror for .debs is known: apt has no sources on this machine. Name mirrors in the option "
        "--debian-mirrors=<URL>."
    )


def test_a_package_that_is_gone_is_told_the_option(tmp_path: Path) -> None:
    expected = ExpectedFile("a.deb", 1, "0" * 64)
    with pytest.raises(DownloadError) as error:
        fetch_deb([f"file://{tmp_path}"], Client(HttpSettings()), "pool/a.deb", expected, tmp_path / "a.deb")
    message = in_option_names(str(error.value))
    assert message.endswith(
        "Make the .deb lock again, or name a mirror that has it (the option --debian-mirrors=<URL>)."
    )


def test_other_messages_stay_as_they_are() -> None:
    assert in_option_names("a .deb is in deb_mirrors.") == "a .deb is in deb_mirrors."
