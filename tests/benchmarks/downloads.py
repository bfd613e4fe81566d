"""Hand this machine's own download configuration to a container build, as secrets: no host name enters an image."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence

from imagekit.debian.apt_configuration import AptConfiguration, read_apt_configuration
from imagekit.fetch.discovery import discover
from imagekit.fetch.settings import FetchSettings

from benchmarks.commands import BenchmarkError, run

#: The options of apt that say how to reach a mirror, not what to choose from it.
_TRANSPORT = re.compile(r"Acquire::(https?::.*|Retries|Check-Date|Check-Valid-Until|ForceIPv[46])", re.IGNORECASE)
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SECRETS = "/run/secrets"


@dataclass(frozen=True)
class Suite:
    """What to take of a Debian archive."""

    name: str
    components: tuple[str, ...]


@dataclass(frozen=True)
class Downloads:
    """Where packages come from on this machine; ``archive`` is the root of a mirror that carries the suite."""

    python: FetchSettings
    apt: AptConfiguration
    archive: str
    suite: Suite

    @classmethod
    def of_this_machine(cls, suite: Suite, scratch: Path) -> Downloads:
        apt = read_apt_configuration()
        return cls(discover(os.environ, Path.home()), apt, _archive_with(suite, apt.archives, scratch), suite)

    @property
    def sources_list(self) -> str:
        return f"deb [signed-by={KEYRING}] {self.archive} {self.suite.name} {' '.join(self.suite.components)}\n"

    def apt_conf(self, ca_bundle: Optional[str], sources_list: Optional[str] = None) -> str:
        """Configuration for an apt that finds the trusted authorities and its sources in these files."""
        options = [(name, value) for name, value in self.apt.options if value and _TRANSPORT.fullmatch(name)]
        if ca_bundle is not None:
            options.append(("Acquire::https::CaInfo", ca_bundle))
        if sources_list is not None:
            options.append(("Dir::Etc::SourceList", sources_list))
        return "".join(f'{name} "{value}";\n' for name, value in options)

    def write_secrets(self, folder: Path) -> Sequence[Path]:
        """Write the files that ``tests/benchmarks/Dockerfile`` expects as secrets, readable by their owner only."""
        http = self.python.http
        bundle = None if http.ca_bundle is None else f"{SECRETS}/ca.pem"
        contents = {
            "apt.conf": self.apt_conf(bundle, f"{SECRETS}/sources.list"),
            "sources.list": self.sources_list,
            "uv.toml": uv_toml(self.python),
            "ca.pem": "" if http.ca_bundle is None else Path(http.ca_bundle).read_text(encoding="utf-8"),
            "netrc": "" if http.netrc is None else Path(http.netrc).read_text(encoding="utf-8"),
        }
        folder.mkdir(mode=0o700)
        for name, content in contents.items():
            (folder / name).write_text(content, encoding="utf-8")
        return tuple(folder / name for name in contents)


def uv_toml(settings: FetchSettings) -> str:
    """The settings as uv's configuration. Folders of this machine are left out: a container does not see them."""
    lines = [f"no-index = {'true' if settings.index_url is None else 'false'}"]
    lines.append(f"find-links = {_toml_list([link for link in settings.find_links if _is_remote(link)])}")
    lines.append(f"allow-insecure-host = {_toml_list(settings.http.trusted_hosts)}")
    for url in settings.index_urls:
        if _is_remote(url):
            default = "true" if url == settings.index_url else "false"
            lines += ["", "[[index]]", f'url = "{url}"', f"default = {default}"]
    return "\n".join(lines) + "\n"


def _toml_list(words: Sequence[str]) -> str:
    quoted = ", ".join(f'"{word}"' for word in words)
    return f"[{quoted}]"


def _is_remote(location: str) -> bool:
    return location.startswith(("http://", "https://"))


def _archive_with(suite: Suite, archives: Sequence[str], scratch: Path) -> str:
    for archive in archives:
        index = f"{archive}/dists/{suite.name}/InRelease"
        try:
            run(["/usr/lib/apt/apt-helper", "download-file", index, str(scratch / "InRelease")])
        except BenchmarkError:
            continue
        return archive
    raise BenchmarkError(
        f"no mirror of this machine's apt configuration carries the suite {suite.name}. Add one to apt's sources."
    )
