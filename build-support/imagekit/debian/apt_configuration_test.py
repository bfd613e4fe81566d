from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.debian import apt_configuration
from imagekit.debian.apt_configuration import (
    AptConfiguration,
    AptError,
    archives_and_http,
    parse_archives,
    parse_options,
)
from imagekit.fetch.settings import FetchSettings, HttpSettings

URIS = """\
'http://deb.example/debian/dists/bookworm/InRelease' deb.example_debian_dists_bookworm_InRelease 0 
'http://deb.example/debian/dists/bookworm-updates/InRelease' deb.example_InRelease 0 
'http://deb.example/debian-security/dists/bookworm-security/InRelease' deb.example_InRelease 0 
'cdrom:[Debian]/dists/bookworm/InRelease' cdrom 0 
'file:/srv/mirror/dists/bookworm/InRelease' srv 0 
'copy:/srv/copy/dists/bookworm/InRelease' srv 0 
'http://flat.example/./InRelease' flat 0 
'http://deb.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' deb.example_Packages 0 
"""  # noqa: W291


def test_archives_in_the_order_of_the_sources() -> None:
    assert parse_archives(URIS) == (
        "http://deb.example/debian",
        "http://deb.example/debian-security",
        "file:///srv/mirror",
        "file:///srv/copy",
    )


def test_a_list_of_mirrors_is_read_in_its_order_of_priority(tmp_path: Path) -> None:
    (tmp_path / "mirrors").write_text(
        "# near\nhttp://last.example/debian/\n\nhttp://second.example/debian\tpriority:2 arch:amd64\n"
        "http://first.example/debian\tpriority:1\n"
    )
    uris = f"'mirror+file:{tmp_path}/mirrors/dists/bookworm/InRelease' x 0 \n"
    assert parse_archives(uris) == (
        "http://first.example/debian",
        "http://second.example/debian",
        "http://last.example/debian",
    )


def test_a_missing_list_of_mirrors(tmp_path: Path) -> None:
    with pytest.raises(AptError) as error:
        parse_archives(f"'mirror+file:{tmp_path}/mirrors/dists/bookworm/InRelease' x 0 \n")
    assert str(error.value) == (
        f"the list of mirrors {tmp_path}/mirrors, which apt's sources name, cannot be read: No such file or directory."
    )


def test_only_options_of_downloads_are_kept() -> None:
    dump = (
        'APT::Architecture "amd64";\nAcquire "";\nAcquire::http::Proxy "http://proxy.example:3128";\n'
        'Acquire::x:: "";\n'
    )
    options = parse_options(dump)
    assert options == (("Acquire::http::Proxy", "http://proxy.example:3128"), ("Acquire::x::", ""))
    assert AptConfiguration((), options).option("acquire::HTTP::proxy") == "http://proxy.example:3128"
    assert AptConfiguration((), options).option("Acquire::x::") is None


ENVIRONMENT_PROXY = HttpSettings(http_proxy="http://env.example", https_proxy="http://env.example", ca_bundle="/pem")


def with_apt(monkeypatch: pytest.MonkeyPatch, *options: "tuple[str, str]") -> HttpSettings:
    configuration = AptConfiguration(("http://deb.example/debian",), options)
    monkeypatch.setattr(apt_configuration, "read_apt_configuration", lambda: configuration)
    archives, http = archives_and_http(FetchSettings(None, http=ENVIRONMENT_PROXY))
    assert archives == ("http://deb.example/debian",)
    return http


def test_proxies_of_the_environment_hold_unless_apt_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_apt(monkeypatch) == ENVIRONMENT_PROXY
    http = with_apt(monkeypatch, ("Acquire::http::Proxy", "http://apt.example"))
    assert (http.http_proxy, http.https_proxy) == ("http://apt.example", "http://apt.example")
    http = with_apt(
        monkeypatch,
        ("Acquire::http::Proxy", "http://apt.example"),
        ("Acquire::https::Proxy", "DIRECT"),
        ("Acquire::https::CaInfo", "/apt.pem"),
    )
    assert (http.http_proxy, http.https_proxy, http.ca_bundle) == ("http://apt.example", None, "/apt.pem")


def test_mirrors_of_the_settings_go_before_apts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt_configuration, "read_apt_configuration", lambda: pytest.fail("apt was asked"))
    settings = FetchSettings(None, deb_mirrors=("http://mine.example/debian/",), http=ENVIRONMENT_PROXY)
    assert archives_and_http(settings) == (("http://mine.example/debian",), ENVIRONMENT_PROXY)


def test_a_machine_without_apt_needs_mirrors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AptError) as error:
        archives_and_http(FetchSettings(None))
    assert str(error.value) == (
        "no mirror for .debs is known: apt has no sources on this machine. "
        "Name mirrors in the download settings (deb_mirrors)."
    )
