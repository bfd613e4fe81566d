"""What a download needs to know of the user's machine: indexes, proxies, trust, credentials.

The locks name no download host. The user's own pip and uv configuration says where from, a lock's hash says what.
:func:`imagekit.fetch.discovery.discover` reads that configuration once; fetch steps get the result as a JSON file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Optional

from imagekit.errors import ImagekitError
from imagekit.fetch.json_record import JsonRecord, JsonRecordError, parse_json_record
from imagekit.fetch.whole_file import whole_file

FORMAT = 1


class SettingsError(ImagekitError):
    """Download settings that cannot be used."""


@dataclass(frozen=True)
class HttpSettings:
    """How to speak HTTP from this machine."""

    #: PEM file of the certificate authorities to trust; ``None`` for those of the ``ssl`` module.
    ca_bundle: Optional[str] = None
    #: PEM file with a client certificate and its key.
    client_certificate: Optional[str] = None
    #: ``host`` or ``host:port`` whose certificate is not verified.
    trusted_hosts: tuple[str, ...] = ()
    http_proxy: Optional[str] = None
    https_proxy: Optional[str] = None
    #: Host names, domains or ``*`` that are reached without a proxy.
    no_proxy: tuple[str, ...] = ()
    #: Seconds that a connection may stay silent.
    timeout: int = 30
    #: How often a request is repeated after a server error or a broken connection.
    retries: int = 4
    #: netrc file with credentials.
    netrc: Optional[str] = None


@dataclass(frozen=True)
class FetchSettings:
    """Where Python distributions and .debs come from on this machine."""

    #: The index that stands first; ``None`` when the user has switched indexes off.
    index_url: Optional[str]
    extra_index_urls: tuple[str, ...] = ()
    #: Folders, files, or URLs of HTML pages with links to distributions.
    find_links: tuple[str, ...] = ()
    #: Mirrors of a Debian archive; empty to use those of the machine's apt configuration.
    deb_mirrors: tuple[str, ...] = ()
    #: Variables, by name, that let git find the user's configuration and credentials.
    git_environment: tuple[tuple[str, str], ...] = ()
    http: HttpSettings = field(default_factory=HttpSettings)

    @property
    def index_urls(self) -> tuple[str, ...]:
        """Every index, the one that stands first first."""
        first = () if self.index_url is None else (self.index_url,)
        return first + tuple(url for url in self.extra_index_urls if url not in first)


def to_json(settings: FetchSettings) -> str:
    """``settings`` as a JSON document with sorted keys."""
    fields = {**asdict(settings), "format": FORMAT, "git_environment": dict(settings.git_environment)}
    return json.dumps(fields, indent=2, sort_keys=True) + "\n"


def from_json(text: str, origin: str) -> FetchSettings:
    """The settings that :func:`to_json` wrote; ``origin`` names the document in errors.

    Raises :class:`SettingsError`.
    """
    try:
        document = parse_json_record(text, origin)
        if document.integer("format") != FORMAT:
            raise SettingsError(
                f"{origin}: 'format' must be {FORMAT}, but was {document.integer('format')}. "
                "Write the settings again with this version of imagekit."
            )
        document.require_only("format", *FetchSettings.__dataclass_fields__)
        return FetchSettings(
            index_url=document.optional_text("index_url"),
            extra_index_urls=document.texts("extra_index_urls"),
            find_links=document.texts("find_links"),
            deb_mirrors=document.texts("deb_mirrors"),
            git_environment=_text_pairs(document.record("git_environment")),
            http=_http_settings(document.record("http")),
        )
    except JsonRecordError as error:
        raise SettingsError(str(error)) from None


def _text_pairs(record: JsonRecord) -> tuple[tuple[str, str], ...]:
    return tuple((name, record.text(name)) for name in sorted(record.fields))


def _http_settings(record: JsonRecord) -> HttpSettings:
    record.require_only(*HttpSettings.__dataclass_fields__)
    return HttpSettings(
        ca_bundle=record.optional_text("ca_bundle"),
        client_certificate=record.optional_text("client_certificate"),
        trusted_hosts=record.texts("trusted_hosts"),
        http_proxy=record.optional_text("http_proxy"),
        https_proxy=record.optional_text("https_proxy"),
        no_proxy=record.texts("no_proxy"),
        timeout=record.integer("timeout"),
        retries=record.integer("retries"),
        netrc=record.optional_text("netrc"),
    )


def read_settings(path: Path) -> FetchSettings:
    """The settings in the file ``path``; raises :class:`SettingsError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"Download settings {path} cannot be read: {error.strerror}.") from None
    return from_json(text, str(path))


def write_settings(settings: FetchSettings, path: Path) -> None:
    """Write ``settings`` to ``path``, readable by its owner only: index URLs may hold passwords."""
    with whole_file(path, mode=0o600) as stream:
        stream.write(to_json(settings).encode("utf-8"))
