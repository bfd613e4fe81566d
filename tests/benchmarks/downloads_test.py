from __future__ import annotations

import stat
from pathlib import Path

from benchmarks.downloads import Downloads, Suite, uv_toml
from imagekit.debian.apt_configuration import AptConfiguration
from imagekit.fetch.settings import FetchSettings, HttpSettings

PYTHON = FetchSettings(
    index_url="https://user:secret@index.example/simple",
    extra_index_urls=("file:///srv/simple", "https://more.example/simple"),
    find_links=("/srv/wheels", "https://files.example/links.html"),
    http=HttpSettings(trusted_hosts=("index.example",)),
)
APT = AptConfiguration(
    ("http://mirror.example/debian",),
    (("Acquire::http::Proxy", "http://proxy.example:3142"), ("Acquire::Languages", "none"), ("Acquire::Retries", "")),
)
DOWNLOADS = Downloads(PYTHON, APT, "http://mirror.example/debian", Suite("bookworm", ("main", "contrib")))


def test_uv_gets_what_a_container_can_reach() -> None:
    assert uv_toml(PYTHON) == (
        "no-index = false\n"
        'find-links = ["https://files.example/links.html"]\n'
        'allow-insecure-host = ["index.example"]\n'
        "\n"
        "[[index]]\n"
        'url = "https://user:secret@index.example/simple"\n'
        "default = true\n"
        "\n"
        "[[index]]\n"
        'url = "https://more.example/simple"\n'
        "default = false\n"
    )


def test_uv_without_an_index() -> None:
    assert uv_toml(FetchSettings(index_url=None)) == "no-index = true\nfind-links = []\nallow-insecure-host = []\n"


def test_apt_gets_how_to_reach_mirrors_and_nothing_else() -> None:
    assert DOWNLOADS.apt_conf("/run/secrets/ca.pem", "/run/secrets/sources.list") == (
        'Acquire::http::Proxy "http://proxy.example:3142";\n'
        'Acquire::https::CaInfo "/run/secrets/ca.pem";\n'
        'Dir::Etc::SourceList "/run/secrets/sources.list";\n'
    )
    assert DOWNLOADS.sources_list == (
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
        "http://mirror.example/debian bookworm main contrib\n"
    )


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    secrets = DOWNLOADS.write_secrets(tmp_path / "secrets")
    assert [path.name for path in secrets] == ["apt.conf", "sources.list", "uv.toml", "ca.pem", "netrc"]
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert (tmp_path / "secrets/ca.pem").read_text() == ""
