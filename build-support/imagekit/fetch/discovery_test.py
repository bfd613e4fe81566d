from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Mapping

import pytest

from imagekit.fetch import discovery
from imagekit.fetch.discovery import discover
from imagekit.fetch.settings import FetchSettings, SettingsError

DEFAULT = "https://default.example/simple"


class Machine:
    """A machine with an empty configuration below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.working_directory = root / "work"

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def discover(self, **environ: str) -> FetchSettings:
        return discover(environ, self.home, self.root, self.working_directory, lambda: DEFAULT)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_without_configuration_has_the_default_index(machine: Machine) -> None:
    settings = machine.discover()

    assert settings == FetchSettings(index_url=DEFAULT, git_environment=(("HOME", str(machine.home)),))


def test_stronger_pip_configuration_wins(machine: Machine) -> None:
    expected = []
    for number, path in enumerate(
        ["etc/xdg/pip/pip.conf", "etc/pip.conf", "home/.pip/pip.conf", "home/.config/pip/pip.conf", "explicit.conf"]
    ):
        machine.write(path, f"[global]\nindex-url = https://{number}.example/simple\n")
        expected.append(f"https://{number}.example/simple")
        found = machine.discover(PIP_CONFIG_FILE=str(machine.root / "explicit.conf")).index_url
        assert found == expected[-1]

    environment = {"PIP_CONFIG_FILE": str(machine.root / "explicit.conf"), "PIP_INDEX_URL": "https://env.example"}
    assert machine.discover(**environment).index_url == "https://env.example"


def test_pip_configuration_can_be_switched_off(machine: Machine) -> None:
    machine.write("etc/pip.conf", "[global]\nindex-url = https://a.example/simple\n")

    assert machine.discover(PIP_CONFIG_FILE="/dev/null").index_url == DEFAULT


def test_pip_lists_and_paths(machine: Machine) -> None:
    machine.write(
        "home/.config/pip/pip.conf",
        "[global]\nextra_index_url =\n    https://a.example/simple\n    mirror/simple\nfind-links = ~/wheels /w\n"
        "trusted-host = a.example\n[install]\nno-index = false\n",
    )

    settings = machine.discover()

    assert settings.index_urls == (DEFAULT, "https://a.example/simple", f"{machine.working_directory}/mirror/simple")
    assert settings.find_links == (f"{machine.home}/wheels", "/w")
    assert settings.http.trusted_hosts == ("a.example",)


@pytest.mark.parametrize("environ", [{"PIP_NO_INDEX": "1"}, {"UV_NO_INDEX": "true"}])
def test_indexes_can_be_switched_off(machine: Machine, environ: Mapping[str, str]) -> None:
    settings = machine.discover(PIP_EXTRA_INDEX_URL="https://a.example", PIP_FIND_LINKS="/wheels", **environ)

    assert settings.index_urls == ()
    assert settings.find_links == ("/wheels",)


def test_uv_wins_over_pip(machine: Machine) -> None:
    settings = machine.discover(
        PIP_INDEX_URL="https://pip.example",
        PIP_EXTRA_INDEX_URL="https://pip-extra.example",
        PIP_FIND_LINKS="/pip",
        UV_DEFAULT_INDEX="https://uv.example",
        UV_INDEX="https://uv-extra.example",
    )

    assert settings.index_urls == ("https://uv.example", "https://uv-extra.example")
    assert settings.find_links == ("/pip",)


def test_uv_configuration_files(machine: Machine) -> None:
    pytest.importorskip("toml")
    machine.write("etc/uv/uv.toml", 'index-url = "https://system.example"\nfind-links = ["links"]\n')
    machine.write(
        "home/.config/uv/uv.toml",
        '[[index]]\nname = "internal"\nurl = "https://internal.example/simple"\ndefault = true\n'
        '[[index]]\nurl = "https://extra.example/simple"\n'
        '[[index]]\nname = "torch"\nurl = "https://explicit.example/simple"\nexplicit = true\n'
        '[pip]\nextra-index-url = ["https://pip-table.example"]\n',
    )

    settings = machine.discover(UV_INDEX_INTERNAL_USERNAME="me", UV_INDEX_INTERNAL_PASSWORD="a/b")

    assert settings.index_urls == (
        "https://me:a%2Fb@internal.example/simple",
        "https://extra.example/simple",
        "https://pip-table.example",
    )
    assert settings.find_links == (f"{machine.root}/etc/uv/links",)
    assert machine.discover(UV_NO_CONFIG="1").index_urls == (DEFAULT,)


def test_named_uv_indexes_of_the_environment_get_their_credentials(machine: Machine) -> None:
    settings = machine.discover(
        UV_INDEX="in-house=https://a.example/simple?x=1 https://b.example/simple",
        UV_INDEX_IN_HOUSE_USERNAME="me",
        UV_INDEX_IN_HOUSE_PASSWORD="secret",
    )

    assert settings.extra_index_urls == ("https://me:secret@a.example/simple?x=1", "https://b.example/simple")


def test_a_broken_pip_configuration_is_named(machine: Machine) -> None:
    machine.write("etc/pip.conf", "index-url = https://a.example\n")

    with pytest.raises(SettingsError) as error:
        machine.discover()

    assert str(error.value) == (
        f"The pip configuration {machine.root}/etc/pip.conf cannot be read: File contains no section headers. "
        f"file: '{machine.root}/etc/pip.conf', line: 1 'index-url = https://a.example\\n'. Mend it or remove it."
    )


def test_a_wrong_type_in_a_uv_configuration_is_named(machine: Machine) -> None:
    pytest.importorskip("toml")
    machine.write("home/.config/uv/uv.toml", 'extra-index-url = "https://a.example"\n')

    with pytest.raises(SettingsError) as error:
        machine.discover()

    assert str(error.value) == (
        f"The uv configuration {machine.home}/.config/uv/uv.toml: 'extra-index-url' must be a list of strings."
    )


def test_proxies_and_trust(machine: Machine) -> None:
    machine.write("etc/ssl/certs/ca-certificates.crt", "")
    machine.write("home/.netrc", "")
    bundle = f"{machine.root}/etc/ssl/certs/ca-certificates.crt"

    http = machine.discover(HTTPS_PROXY="http://p.example:1", http_proxy="http://q.example", NO_PROXY="a, .b").http

    assert (http.http_proxy, http.https_proxy, http.no_proxy) == ("http://q.example", "http://p.example:1", ("a", ".b"))
    assert (http.ca_bundle, http.netrc) == (bundle, f"{machine.home}/.netrc")
    assert machine.discover(PIP_CERT="/pip.pem").http.ca_bundle == "/pip.pem"
    assert machine.discover(PIP_CERT="/pip.pem", SSL_CERT_FILE="/uv.pem").http.ca_bundle == "/uv.pem"
    by_pip = machine.discover(PIP_PROXY="http://pip.example", https_proxy="http://p.example", PIP_TIMEOUT="7").http
    assert (by_pip.https_proxy, by_pip.timeout) == ("http://pip.example", 7)


def test_numbers_are_checked(machine: Machine) -> None:
    with pytest.raises(SettingsError) as error:
        machine.discover(PIP_RETRIES="many")

    assert str(error.value) == "The pip or uv setting 'retries' must be a number, but was 'many'."


def test_git_finds_the_user(machine: Machine) -> None:
    settings = machine.discover(SSH_AUTH_SOCK="/run/agent", GIT_DIR="/elsewhere")

    assert settings.git_environment == (("HOME", str(machine.home)), ("SSH_AUTH_SOCK", "/run/agent"))


def test_the_default_index_is_told_by_the_standard_library_s_own_pip() -> None:
    url = discovery._index_of_ensurepip()

    # Distributions may leave ensurepip out.
    assert url is None or url.startswith("https://") and url.endswith("/simple")


def test_without_any_pip_an_index_must_be_configured(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for finder in ("_index_of_pip", "_index_of_pex", "_index_of_ensurepip"):
        monkeypatch.setattr(discovery, finder, lambda: None)

    with pytest.raises(SettingsError) as error:
        discover({}, machine.home, machine.root, machine.working_directory)

    assert str(error.value) == (
        "No Python index is configured, and no installed pip tells the usual one. Set index-url in your pip "
        "configuration, or PIP_INDEX_URL."
    )
    configured = discover({"PIP_INDEX_URL": "https://a.example"}, machine.home, machine.root, machine.working_directory)
    assert replace(configured, git_environment=()) == FetchSettings(index_url="https://a.example")
