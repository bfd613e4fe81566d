from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagekit.fetch.settings import (
    FetchSettings,
    HttpSettings,
    SettingsError,
    from_json,
    read_settings,
    to_json,
    write_settings,
)

SETTINGS = FetchSettings(
    index_url="https://user:secret@index.example/simple",
    extra_index_urls=("https://extra.example/simple", "file:///mirror/simple"),
    find_links=("/wheels",),
    deb_mirrors=("http://mirror.example/debian",),
    git_environment=(("GIT_SSH", "/bin/ssh"), ("HOME", "/home/user")),
    http=HttpSettings(
        ca_bundle="/etc/ca.pem",
        client_certificate="/etc/client.pem",
        trusted_hosts=("extra.example",),
        http_proxy="http://proxy.example:3128",
        https_proxy="http://proxy.example:3128",
        no_proxy=("localhost",),
        timeout=15,
        retries=2,
        netrc="/home/user/.netrc",
    ),
)


@pytest.mark.parametrize("settings", [SETTINGS, FetchSettings(index_url=None)])
def test_settings_survive_a_round_trip(settings: FetchSettings) -> None:
    assert from_json(to_json(settings), "settings.json") == settings


def test_every_index_is_listed_once_and_the_first_one_first() -> None:
    settings = FetchSettings(index_url="https://a.example", extra_index_urls=("https://b.example", "https://a.example"))

    assert settings.index_urls == ("https://a.example", "https://b.example")


def test_only_the_owner_can_read_a_settings_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.touch(mode=0o644)

    write_settings(SETTINGS, path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert read_settings(path) == SETTINGS
    assert list(tmp_path.iterdir()) == [path]


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(SettingsError) as error:
        from_json(json.dumps({**json.loads(to_json(SETTINGS)), "format": 2}), "settings.json")

    assert str(error.value) == (
        "settings.json: 'format' must be 1, but was 2. Write the settings again with this version of imagekit."
    )


def test_an_unknown_key_is_refused() -> None:
    document = json.loads(to_json(SETTINGS))
    document["http"]["time_out"] = 1

    with pytest.raises(SettingsError, match="^settings.json: http: unknown key 'time_out'. Known keys: ca_bundle, "):
        from_json(json.dumps(document), "settings.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings(tmp_path / "settings.json")

    assert str(error.value) == (
        f"Download settings {tmp_path}/settings.json cannot be read: No such file or directory."
    )
