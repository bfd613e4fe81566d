"""Names of registries, repositories and tags (distribution-spec, "Pulling manifests")."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Tuple

from imagekit.oci.digest import Digest, DigestError
from imagekit.registry.errors import BadReference

_ADDRESS = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?\Z")
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")

#: Docker Hub answers at another host than the one it is known by.
_DOCKER_HUB_NAMES = ("docker.io", "index.docker.io")
_DOCKER_HUB_SERVER = "registry-1.docker.io"


@dataclass(frozen=True)
class RegistryAddress:
    """A registry as ``host`` or ``host:port``; raises :class:`BadReference` for anything else."""

    name: str

    def __post_init__(self) -> None:
        if not _ADDRESS.match(self.name):
            raise BadReference(
                f"{self.name!r} is no address of a registry. Write a host and, where needed, a port, without a scheme: "
                "'ghcr.io' or 'registry.example:5000'."
            )

    @property
    def server(self) -> str:
        """The ``host:port`` that requests go to."""
        return _DOCKER_HUB_SERVER if self.name in _DOCKER_HUB_NAMES else self.name

    @property
    def is_loopback(self) -> bool:
        """Whether the registry is on this machine, so that plain HTTP gives nothing away."""
        host = self.name.rpartition(":")[0] if re.search(r":[0-9]+\Z", self.name) else self.name
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host.strip("[]")).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class RepositoryName:
    """A repository of a registry; raises :class:`BadReference` for a name that registries refuse."""

    registry: RegistryAddress
    path: str

    def __post_init__(self) -> None:
        if not _NAME.match(self.path) or len(self.path) > 255:
            raise BadReference(
                f"{self.path!r} is no name of a repository. Write lower-case words of letters and digits, parted by '/', "
                "'.', '_' or '-': 'c5c3/keystone'."
            )

    @classmethod
    def parse(cls, text: str) -> RepositoryName:
        """``registry/path``; the registry is always said."""
        registry, slash, path = text.partition("/")
        if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
            raise BadReference(f"{text!r} names no registry. Write it in front: 'registry.example/{text}'.")
        return cls(RegistryAddress(registry), path)

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}"


def split_reference(text: str) -> Tuple[RepositoryName, str]:
    """``registry/path:tag`` or ``registry/path@sha256:…`` as repository, and tag or digest."""
    name, at, reference = text.partition("@")
    if at:
        try:
            return RepositoryName.parse(name), str(Digest.parse(reference))
        except DigestError as error:
            raise BadReference(f"{text!r} names no image: {error}") from None
    name, colon, reference = text.rpartition(":")
    if not colon or "/" in reference:
        raise BadReference(f"{text!r} names no image. Write a tag or a digest behind it: '{text}:28.0.0'.")
    return RepositoryName.parse(name), check_tag(reference)


def check_tag(tag: str) -> str:
    """``tag`` itself; raises :class:`BadReference` when registries refuse it."""
    if not _TAG.match(tag):
        raise BadReference(
            f"{tag!r} is no tag. A tag has up to 128 letters, digits, '_', '.' and '-', and does not start with '.' or "
            "'-'."
        )
    return tag
