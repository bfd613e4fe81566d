"""A signing key behind a command: a PKCS#11 token, a cloud's key service, anything that keeps its key to itself.

The command is started with one more argument: ``public-key`` prints the public key as PEM; ``sign`` reads what is to be
signed from standard input and prints the signature, its bytes and nothing else (DER for ECDSA). It hashes by itself,
with SHA-256; Ed25519 takes the data as it is.
"""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass
from typing import Tuple

from imagekit.signing.errors import SigningError
from imagekit.signing.public_key import PublicKey, parse_public_key

#: Seconds: a token may wait for a touch, and a build must not wait for ever.
TIMEOUT = 120


@dataclass(frozen=True)
class KeyCommand:
    """A signer that runs ``arguments``."""

    arguments: Tuple[str, ...]
    public_key: PublicKey

    @property
    def repeatable(self) -> bool:
        # Tokens and services take a random number for each ECDSA signature.
        return False

    def sign(self, data: bytes) -> bytes:
        """Raises :class:`SigningError` when the command fails or its signature is not that of its public key."""
        signature = _run(self.arguments, "sign", data)
        if not self.public_key.verifies(signature, data):
            raise SigningError(
                f"The signature that `{shlex.join(self.arguments)} sign` printed is not by the key that "
                f"`{shlex.join(self.arguments)} public-key` printed. It must print the bytes of the signature alone."
            )
        return signature


def open_key_command(command: str) -> KeyCommand:
    """The signer behind ``command``, words as a shell would split them; no shell is started."""
    try:
        arguments = tuple(shlex.split(command))
    except ValueError as error:
        raise SigningError(f"The signing command {command!r} cannot be split into words: {error}.") from None
    if not arguments:
        raise SigningError("The signing command is empty. Give the program that signs and its arguments.")
    pem = _run(arguments, "public-key", b"")
    return KeyCommand(arguments, parse_public_key(pem, f"what `{shlex.join(arguments)} public-key` printed"))


def _run(arguments: Tuple[str, ...], verb: str, data: bytes) -> bytes:
    shown = f"{shlex.join(arguments)} {verb}"
    try:
        done = subprocess.run([*arguments, verb], input=data, capture_output=True, timeout=TIMEOUT)
    except OSError as error:
        raise SigningError(f"`{shown}` cannot be started: {error.strerror}.") from None
    except subprocess.TimeoutExpired:
        raise SigningError(f"`{shown}` did not end in {TIMEOUT} seconds.") from None
    if done.returncode != 0:
        message = done.stderr.decode(errors="replace").strip() or "it said nothing"
        raise SigningError(f"`{shown}` failed with exit code {done.returncode}: {message}")
    return done.stdout
