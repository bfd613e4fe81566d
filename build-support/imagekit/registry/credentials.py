"""Credentials for registries, from where Docker and Podman keep them.

Implements the configuration file of the Docker client (``auths``, ``credHelpers``, ``credsStore`` and the protocol of
credential helpers) and containers-auth.json(5).
"""

from __future__ import annotations

import base64
import binascii
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator, Mapping, Optional, Tuple

from imagekit.oci.json_document import Document, DocumentError
from imagekit.registry.errors import AccessRefused
from imagekit.registry.reference import RepositoryName

#: The key of Docker Hub in configuration files.
_DOCKER_HUB_KEY = "https://index.docker.io/v1/"
#: The user name under which helpers keep a refresh token instead of a password.
_TOKEN_USER = "<token>"
_HELPER_SECONDS = 60


@dataclass(frozen=True)
class Credentials:
    """A user with a password, or a refresh token. Never part of a message."""

    user: str = ""
    password: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)


@dataclass(frozen=True)
class CredentialStore:
    """The configuration of one user: ``files`` are read in order, ``environment`` is what helpers run with."""

    files: Tuple[Path, ...]
    environment: Mapping[str, str] = field(repr=False)

    @classmethod
    def of_user(cls, environment: Mapping[str, str]) -> CredentialStore:
        """The files that Docker and Podman read for a user with this environment, Docker's first."""
        home = Path(environment.get("HOME") or "/")
        docker = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
        config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
        named = environment.get("REGISTRY_AUTH_FILE")
        runtime = environment.get("XDG_RUNTIME_DIR")
        files = [Path(named)] if named else []
        files.append(docker / "config.json")
        files += [Path(runtime, "containers/auth.json")] if runtime else []
        files.append(config / "containers/auth.json")
        return cls(tuple(files), environment)

    def find(self, repository: RepositoryName) -> Optional[Credentials]:
        """The credentials for ``repository``; ``None`` for a user who has none.

        Raises :class:`AccessRefused` for a configuration that cannot be read and a helper that fails.
        """
        for path in self.files:
            try:
                data = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise AccessRefused(f"{path} cannot be read: {error.strerror}. Make it readable.") from None
            try:
                found = self._find_in(Document.parse(data, str(path)), repository)
            except DocumentError as error:
                raise AccessRefused(f"{error} Mend it, or log in again with 'docker login'.") from None
            if found is not None:
                return found
        return None

    def _find_in(self, config: Document, repository: RepositoryName) -> Optional[Credentials]:
        helpers = config.string_map("credHelpers") if config.has("credHelpers") else {}
        auths = config.document("auths") if config.has("auths") else Document(config.origin, "auths", {})
        store = config.optional_string("credsStore")
        for key in _keys(repository):
            if key in helpers:
                return self._ask_helper(helpers[key], key)
            if auths.has(key):
                entry = _of_entry(auths.document(key))
                if entry is not None:
                    return entry
        if not store:
            return None
        # A store keeps whole registries by one of these names.
        for key in _host_keys(repository):
            found = self._ask_helper(store, key)
            if found is not None:
                return found
        return None

    def _ask_helper(self, name: str, server: str) -> Optional[Credentials]:
        program = f"docker-credential-{name}"
        try:
            done = subprocess.run(
                [program, "get"],
                input=server.encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(self.environment),
                timeout=_HELPER_SECONDS,
            )
        except FileNotFoundError:
            raise AccessRefused(
                f"The credential helper {program}, which your Docker configuration names, is not on the PATH. Install "
                "it, or remove it from 'credHelpers' or 'credsStore'."
            ) from None
        except subprocess.TimeoutExpired:
            raise AccessRefused(
                f"The credential helper {program} did not answer for {server} in {_HELPER_SECONDS} s. Unlock its store "
                "and try again."
            ) from None
        except OSError as error:
            raise AccessRefused(f"The credential helper {program} cannot be started: {error.strerror}.") from None
        if done.returncode != 0:
            said = (done.stdout or done.stderr).decode(errors="replace").strip()
            if "not found" in said:
                return None
            # Its words are not repeated: they may hold what it keeps.
            raise AccessRefused(
                f"The credential helper {program} failed for {server} with exit code {done.returncode}. See what "
                f"'echo {server} | {program} get' says."
            )
        try:
            answer = Document.parse(done.stdout, program)
            user, secret = answer.string("Username"), answer.string("Secret")
        except DocumentError:
            raise AccessRefused(f"The credential helper {program} gave no sound answer for {server}.") from None
        return Credentials(refresh_token=secret) if user == _TOKEN_USER else Credentials(user, secret)


def _host_keys(repository: RepositoryName) -> Iterator[str]:
    name = repository.registry.name
    if repository.registry.server != name:
        yield _DOCKER_HUB_KEY
    yield from (name, f"https://{name}", f"http://{name}", f"https://{name}/", f"https://{name}/v1/", f"https://{name}/v2/")


def _keys(repository: RepositoryName) -> Iterator[str]:
    """The names of an entry for ``repository``, the closest first."""
    words = str(repository).split("/")
    for count in range(len(words), 1, -1):
        yield "/".join(words[:count])
    yield from _host_keys(repository)


def _of_entry(entry: Document) -> Optional[Credentials]:
    token = entry.optional_string("identitytoken")
    if token:
        return Credentials(refresh_token=token)
    if entry.optional_string("username"):
        return Credentials(entry.string("username"), entry.optional_string("password") or "")
    auth = entry.optional_string("auth")
    if not auth:
        return None
    try:
        user, colon, password = base64.b64decode(auth, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if not colon:
        raise DocumentError(f"{entry.origin}: '{entry.place}.auth' is not 'user:password' in base64.")
    return Credentials(user, password)
