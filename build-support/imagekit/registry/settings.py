"""How registries are reached from this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Mapping, Optional, Tuple

from imagekit.fetch.discovery import CA_BUNDLES
from imagekit.fetch.settings import HttpSettings
from imagekit.registry.credentials import CredentialStore
from imagekit.registry.reference import RegistryAddress

#: Folders with certificates for each registry, below the root and below the user's home.
_SYSTEM_CERTIFICATES = ("etc/docker/certs.d", "etc/containers/certs.d")
_USER_CERTIFICATES = (".docker/certs.d", ".config/containers/certs.d")


@dataclass(frozen=True)
class RegistrySettings:
    """Proxies, trust and credentials; ``insecure`` names registries that may be asked over plain HTTP."""

    http: HttpSettings
    credentials: CredentialStore
    certificate_folders: Tuple[Path, ...] = ()
    insecure: Tuple[str, ...] = ()
    #: Seconds before the second try of a request; each further pause is twice as long.
    first_pause: float = field(default=0.5)

    @classmethod
    def of_user(
        cls, environment: Mapping[str, str], insecure: Tuple[str, ...] = (), root: Path = Path("/")
    ) -> RegistrySettings:
        """The settings of a user with this environment.

        Only what is meant for every program is read: a host that pip is told to trust is no registry to trust.
        """
        home = Path(environment.get("HOME") or "/")
        return cls(
            http=HttpSettings(
                ca_bundle=environment.get("SSL_CERT_FILE") or _system_bundle(root),
                http_proxy=_variable(environment, "http_proxy") or _variable(environment, "all_proxy"),
                https_proxy=_variable(environment, "https_proxy") or _variable(environment, "all_proxy"),
                no_proxy=tuple(re.findall(r"[^\s,]+", _variable(environment, "no_proxy") or "")),
                timeout=60,
            ),
            credentials=CredentialStore.of_user(environment),
            certificate_folders=(
                *(home / folder for folder in _USER_CERTIFICATES),
                *(root / folder for folder in _SYSTEM_CERTIFICATES),
            ),
            insecure=insecure,
        )

    def authorities(self, address: RegistryAddress) -> Tuple[str, ...]:
        """PEM files of the certificate authorities that are trusted for one registry, besides the system's."""
        return tuple(
            str(path) for folder in self.certificate_folders for path in sorted((folder / address.name).glob("*.crt"))
        )

    def allows_plain_http(self, address: RegistryAddress) -> bool:
        return address.is_loopback or address.name in self.insecure


def _variable(environment: Mapping[str, str], name: str) -> Optional[str]:
    return environment.get(name) or environment.get(name.upper()) or None


def _system_bundle(root: Path) -> Optional[str]:
    # An interpreter that was not built by the distribution may look for certificates where there are none.
    return next((str(root / bundle) for bundle in CA_BUNDLES if (root / bundle).is_file()), None)
