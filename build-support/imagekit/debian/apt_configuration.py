"""Where this machine's own apt downloads from: its mirrors and proxies, asked of apt itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import List, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from imagekit.errors import ImagekitError
from imagekit.fetch.settings import FetchSettings, HttpSettings

_URI = re.compile(r"^'([^']*)/dists/[^']*/InRelease'", re.MULTILINE)
_OPTION = re.compile(r'^([^ ]+) "(.*)";$', re.MULTILINE)
_SCHEMES = ("http", "https", "file", "copy")


class AptError(ImagekitError):
    """apt is missing, or refuses."""


@dataclass(frozen=True)
class AptConfiguration:
    """The archives (roots of mirrors) in the order of apt's sources, and the ``Acquire`` options as apt has them."""

    archives: Tuple[str, ...]
    options: Tuple[Tuple[str, str], ...]

    def option(self, name: str) -> Optional[str]:
        """The value of an option; ``None`` when it is not set. Names compare without case."""
        values = [value for key, value in self.options if key.lower() == name.lower() and value]
        return values[-1] if values else None


def read_apt_configuration() -> AptConfiguration:
    """Ask apt; without apt on this machine, there are no archives and no options. Raises AptError."""
    if shutil.which("apt-get") is None:
        return AptConfiguration((), ())
    # Neither touches the network nor needs downloaded package lists.
    uris = _output(["apt-get", "update", "--print-uris"])
    return AptConfiguration(parse_archives(uris), parse_options(_output(["apt-config", "dump"])))


def _output(command: Sequence[str]) -> str:
    # Without the locale, apt's own numbers and messages are the same everywhere.
    finished = subprocess.run(command, capture_output=True, text=True, env={"PATH": _PATH, "LC_ALL": "C.UTF-8"})
    if finished.returncode != 0:
        raise AptError(
            f"'{' '.join(command)}' failed: {finished.stderr.strip()}\n"
            "Mend this machine's apt configuration, or name mirrors in the download settings (deb_mirrors)."
        )
    return finished.stdout


_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def parse_archives(uris: str) -> Tuple[str, ...]:
    """The roots of archives, without a trailing slash, from what ``apt-get update --print-uris`` prints.

    A list of mirrors in a file (``mirror+file:``, apt-transport-mirror(1)) is read in its order of priority; sources of
    other transports (cdrom, tor) are left out.
    """
    roots: List[str] = []
    for uri in _URI.findall(uris):
        scheme = uri.partition(":")[0]
        if scheme in ("mirror+file", "mirror+copy"):
            roots += _mirror_list(Path(urlsplit(uri).path))
        elif scheme in _SCHEMES:
            roots.append(uri)
    plain = [re.sub(r"^copy:", "file:", root).rstrip("/") for root in roots]
    return tuple(dict.fromkeys(re.sub(r"^file:(?=/[^/])", "file://", root) for root in plain))


def _mirror_list(file: Path) -> Sequence[str]:
    try:
        lines = [line.split() for line in file.read_text().splitlines() if line.strip() and line[0] != "#"]
    except OSError as error:
        raise AptError(
            f"the list of mirrors {file}, which apt's sources name, cannot be read: {error.strerror}."
        ) from None
    return [words[0] for words in sorted(lines, key=lambda words: _priority(words[1:]))]


def _priority(metadata: Sequence[str]) -> int:
    for item in metadata:
        name, _, value = item.partition(":")
        if name == "priority" and value.isdigit():
            return int(value)
    return 1 << 30


def parse_options(dump: str) -> Tuple[Tuple[str, str], ...]:
    """The ``Acquire`` options of what ``apt-config dump`` prints."""
    return tuple((name, value) for name, value in _OPTION.findall(dump) if name.lower().startswith("acquire::"))


def archives_and_http(settings: FetchSettings) -> Tuple[Tuple[str, ...], HttpSettings]:
    """Where .debs come from and how: as the settings say, else as apt is configured. Raises AptError without either."""
    if settings.deb_mirrors:
        return tuple(mirror.rstrip("/") for mirror in settings.deb_mirrors), settings.http
    apt = read_apt_configuration()
    if not apt.archives:
        raise AptError(
            "no mirror for .debs is known: apt has no sources on this machine. "
            "Name mirrors in the download settings (deb_mirrors)."
        )
    http = settings.http
    proxy = apt.option("Acquire::http::Proxy")
    tls_proxy = apt.option("Acquire::https::Proxy")
    return apt.archives, replace(
        http,
        http_proxy=_proxy(proxy, http.http_proxy),
        # apt speaks https through the http proxy when it has none for https.
        https_proxy=_proxy(tls_proxy or proxy, http.https_proxy),
        ca_bundle=apt.option("Acquire::https::CaInfo") or http.ca_bundle,
    )


def _proxy(configured: Optional[str], otherwise: Optional[str]) -> Optional[str]:
    if configured is None:
        return otherwise
    return None if configured == "DIRECT" else configured
