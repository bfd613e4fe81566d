"""What can go wrong with a registry. Messages name no password, token or query."""

from __future__ import annotations

from imagekit.errors import ImagekitError


class RegistryError(ImagekitError):
    """A registry that cannot be reached, or that refuses what it is asked."""


class AccessRefused(RegistryError):
    """Credentials that are missing, wrong, expired, or not good for this."""


class Unreachable(RegistryError):
    """No sound answer, also after several tries."""


class BadReference(RegistryError):
    """A text that names no registry, repository or tag."""
