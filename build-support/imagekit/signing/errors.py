"""What signing and verifying refuse."""

from __future__ import annotations

from imagekit.errors import ImagekitError


class SigningError(ImagekitError):
    """A key that cannot be used, or something that cannot be signed."""


class VerificationError(ImagekitError):
    """A signature that is missing, damaged, by another key, or for something else. The message says which artifact."""
