"""Package URLs (purl-spec): one name for a package across ecosystems."""

from __future__ import annotations

from typing import Mapping
from urllib.parse import quote


def deb_purl(name: str, version: str, architecture: str, distribution: str) -> str:
    """A Debian package of the suite ``distribution``."""
    return _purl(f"deb/debian/{_encoded(name.lower())}", version, {"arch": architecture, "distro": distribution})


def pypi_purl(name: str, version: str, qualifiers: Mapping[str, str] = {}) -> str:
    """A Python distribution; ``name`` is in PEP 503 form."""
    return _purl(f"pypi/{_encoded(name)}", version, qualifiers)


def oci_purl(name: str, digest: str, architecture: str) -> str:
    """An image by the digest of its manifest."""
    return _purl(f"oci/{_encoded(name.lower())}", digest, {"arch": architecture})


def _purl(path: str, version: str, qualifiers: Mapping[str, str]) -> str:
    ending = "&".join(f"{key}={quote(value, safe='.-_~:/')}" for key, value in sorted(qualifiers.items()))
    return f"pkg:{path}@{_encoded(version)}{'?' + ending if ending else ''}"


def _encoded(text: str) -> str:
    return quote(text, safe=".-_~:")
