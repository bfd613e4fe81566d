"""The one exception that every refusal of imagekit derives from."""

from __future__ import annotations


class ImagekitError(Exception):
    """A refusal that the user can act on.

    The message names what was refused, where, the bad value, and the command or edit that mends it. Each subject has a
    subclass of its own (``PatchError``, ``LockError``, …); the command line prints the message without a traceback.
    """
