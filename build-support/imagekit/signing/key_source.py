"""Where keys and passwords come from: files, environment variables, a command, the terminal."""

from __future__ import annotations

import getpass
import os
import stat
import sys
from pathlib import Path
from typing import Mapping, Optional

from imagekit.signing.errors import SigningError
from imagekit.signing.key_command import open_key_command
from imagekit.signing.private_key import PasswordSource, Signer, parse_private_key
from imagekit.signing.public_key import PublicKey, parse_public_key

ENVIRONMENT_PREFIX = "env://"
COMMAND_PREFIX = "command://"

#: The variable that cosign reads too.
PASSWORD_VARIABLE = "COSIGN_PASSWORD"

_MAX_KEY_SIZE = 64 << 10


def open_signer(reference: str, password: PasswordSource, environment: Mapping[str, str]) -> Signer:
    """The signer that ``reference`` names: a path, ``env://VARIABLE``, or ``command://PROGRAM ARGUMENT…``.

    Raises :class:`SigningError`, also for a key file that every user of the machine may read.
    """
    if reference.startswith(COMMAND_PREFIX):
        return open_key_command(reference[len(COMMAND_PREFIX) :])
    if reference.startswith(ENVIRONMENT_PREFIX):
        return parse_private_key(_variable(reference, environment), password, f"The private key {reference}")
    return parse_private_key(_read_secret(Path(reference), "private key"), password, f"The private key {reference}")


def open_public_key(reference: str, environment: Mapping[str, str]) -> PublicKey:
    """The public key that ``reference`` names: a path or ``env://VARIABLE``."""
    if reference.startswith(ENVIRONMENT_PREFIX):
        return parse_public_key(_variable(reference, environment), f"The public key {reference}")
    return parse_public_key(_read(Path(reference), "public key"), f"The public key {reference}")


def password_source(file: Optional[Path], environment: Mapping[str, str]) -> PasswordSource:
    """Asks ``file``, else the variable :data:`PASSWORD_VARIABLE`, else the terminal."""

    def ask() -> bytes:
        if file is not None:
            return _read_secret(file, "password file").rstrip(b"\r\n")
        if PASSWORD_VARIABLE in environment:
            return environment[PASSWORD_VARIABLE].encode()
        if not sys.stdin.isatty():
            raise SigningError(
                f"The private key is encrypted and there is no terminal to ask at. Set {PASSWORD_VARIABLE}, or name a "
                "file with --password-file."
            )
        return getpass.getpass("Password of the private key: ").encode()

    return ask


def _variable(reference: str, environment: Mapping[str, str]) -> bytes:
    name = reference[len(ENVIRONMENT_PREFIX) :]
    if not environment.get(name):
        raise SigningError(
            f"The environment variable {name}, which should hold the key, is not set. Set it to the PEM."
        )
    return environment[name].encode()


def _read_secret(path: Path, what: str) -> bytes:
    data = _read(path, what)
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & 0o007:
        raise SigningError(
            f"The {what} {path} can be used by every user of this machine (mode {mode:04o}), so it is refused. "
            f"Make a new one if others could have read it, or run `chmod 600 {path}`."
        )
    return data


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY_SIZE)
    except OSError as error:
        raise SigningError(f"The {what} {path} cannot be read: {error.strerror}. Check the path.") from None
