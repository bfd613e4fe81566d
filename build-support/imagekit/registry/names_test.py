from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from imagekit.registry.challenge import Challenge, parse_challenges
from imagekit.registry.credentials import Credentials, CredentialStore
from imagekit.registry.errors import AccessRefused, BadReference
from imagekit.registry.reference import RegistryAddress, RepositoryName, check_tag

KEYSTONE = RepositoryName.parse("ghcr.io/c5c3/keystone")


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("localhost:5000", True), ("127.0.0.1:5000", True), ("[::1]:5000", True), ("127.0.0.2", True), ("ghcr.io", False)],
)
def test_plain_http_is_for_this_machine(address: str, loopback: bool) -> None:
    assert RegistryAddress(address).is_loopback is loopback


def test_docker_hub_answers_elsewhere() -> None:
    assert RegistryAddress("docker.io").server == "registry-1.docker.io"


@pytest.mark.parametrize("address", ["https://ghcr.io", "", "a b", "user@host"])
def test_a_bad_address_is_refused(address: str) -> None:
    with pytest.raises(BadReference) as refusal:
        RegistryAddress(address)
    assert str(refusal.value) == (
        f"{address!r} is no address of a registry. Write a host and, where needed, a port, without a scheme: 'ghcr.io' or "
        "'registry.example:5000'."
    )


def test_bad_tags_and_repositories_are_refused() -> None:
    for tag in ("", "-a", ".a", "a/b", "a+b", "a" * 129):
        with pytest.raises(BadReference, match="is no tag"):
            check_tag(tag)
    for path in ("C5C3/keystone", "a//b", "a_-b", "a/"):
        with pytest.raises(BadReference, match="is no name of a repository"):
            RepositoryName(RegistryAddress("ghcr.io"), path)


def test_challenges_are_read() -> None:
    header = 'Bearer realm="https://auth.example/token?a=b,c",service="reg \\"x\\"",scope=push, Basic realm=me'
    assert parse_challenges([header]) == (
        Challenge("bearer", {"realm": "https://auth.example/token?a=b,c", "service": 'reg "x"', "scope": "push"}),
        Challenge("basic", {"realm": "me"}),
    )


def store(folder: Path, config: object) -> CredentialStore:
    file = folder / ".docker/config.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(config))
    return CredentialStore.of_user({"HOME": str(folder), "PATH": f"{folder}:/usr/bin:/bin"})


def auth(text: str) -> object:
    return {"auth": base64.b64encode(text.encode()).decode()}


def helper(folder: Path, name: str, script: str) -> None:
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_the_closest_entry_is_taken(tmp_path: Path) -> None:
    auths = {"https://ghcr.io": auth("other:x"), "ghcr.io/c5c3": auth("team:a:b")}
    assert store(tmp_path, {"auths": auths}).find(KEYSTONE) == Credentials("team", "a:b")


def test_podmans_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"auths": {"ghcr.io": {"identitytoken": "t"}}}))
    found = CredentialStore.of_user({"HOME": str(tmp_path), "REGISTRY_AUTH_FILE": str(file)}).find(KEYSTONE)
    assert found == Credentials(refresh_token="t")


def test_helpers_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    helper(tmp_path, "one", """test "$(cat)" = ghcr.io && echo '{"Username": "<token>", "Secret": "refresh"}'""")
    helper(tmp_path, "none", "echo credentials not found in native keychain; exit 1")
    assert store(tmp_path, {"credHelpers": {"ghcr.io": "one"}}).find(KEYSTONE) == Credentials(refresh_token="refresh")
    assert store(tmp_path, {"auths": {"ghcr.io": {}}, "credsStore": "one"}).find(KEYSTONE) is not None
    assert store(tmp_path, {"credsStore": "none"}).find(KEYSTONE) is None


def test_a_helper_that_fails_is_named_and_not_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    helper(tmp_path, "bad", "echo secret-of-mine; exit 3")
    with pytest.raises(AccessRefused) as refusal:
        store(tmp_path, {"credHelpers": {"ghcr.io": "bad"}}).find(KEYSTONE)
    assert str(refusal.value) == (
        "The credential helper docker-credential-bad failed for ghcr.io with exit code 3. See what 'echo ghcr.io | "
        "docker-credential-bad get' says."
    )
    with pytest.raises(AccessRefused, match="docker-credential-gone, which your Docker configuration names, is not on"):
        store(tmp_path, {"credHelpers": {"ghcr.io": "gone"}}).find(KEYSTONE)


def test_secrets_are_not_shown() -> None:
    assert "s3cret" not in repr(Credentials("me", "s3cret", "s3cret"))
