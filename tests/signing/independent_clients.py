"""Programs by others that verify signatures, from the lock beside this file and from Debian 13."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

import pytest

from imagekit.debian.apt_configuration import archives_and_http
from imagekit.debian.deb_file import fetch_deb
from imagekit.errors import ImagekitError
from imagekit.fetch.discovery import discover
from imagekit.fetch.http import Client, ExpectedFile

_COSIGN = "pool/main/c/cosign/cosign_2.5.0-2+b5_amd64.deb"
_COSIGN_SIZE = 14892716
_COSIGN_SHA256 = "3b6eadd27f3c4c00bfa7eab5c2397a6a15a763630c7a1d40d06ff60d24799eef"
#: What cosign's options call the predicates.
TYPES = ("https://sigstore.dev/cosign/sign/v1", "cyclonedx", "slsaprovenance1")


@dataclass(frozen=True)
class SigstoreJs:
    """Sigstore's JavaScript client, installed in ``folder``."""

    folder: Path

    def verify(self, bundle: Path, trust: Path, *identity: str) -> str:
        """The payload of a bundle by a public key, or by an identity and its issuer; fails unless it is accepted."""
        done = self.run(bundle, trust, *identity)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, bundle: Path, trust: Path, *identity: str) -> "subprocess.CompletedProcess[str]":
        command = ["node", str(self.folder / "verify.mjs"), str(bundle), str(trust), *identity]
        return subprocess.run(command, capture_output=True, text=True)

    @contextmanager
    def services(self, issuer: str, folder: Path) -> Iterator[Path]:
        """Fulcio and Rekor on 127.0.0.1 while the block runs: the file with their trust configuration."""
        command = ["node", str(self.folder / "services.mjs"), issuer]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                path = folder / "trust.json"
                path.write_text(process.stdout.readline())
                yield path
            finally:
                process.terminate()


def install_sigstore_js(folder: Path) -> SigstoreJs:
    """From where the user's npm is told to fetch; the lock says what."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: apt-get install npm")
    shutil.copytree(Path(__file__).parent / "sigstore", folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return SigstoreJs(folder)


@dataclass(frozen=True)
class Cosign:
    """cosign 2.5: the last that knows the older layout alone by default."""

    program: Path

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        registry = ["--allow-http-registry", "--allow-insecure-registry"]
        command = [str(self.program), arguments[0], *registry, "--insecure-ignore-tlog", *arguments[1:]]
        environment = {"PATH": os.defpath, "HOME": str(self.program.parent)}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    def statements(self, reference: str, key: Path, types: Sequence[str] = TYPES) -> Sequence[str]:
        """The payloads of the bundles that are attached to an image, one for each of ``types``."""
        # cosign fetches the roots of trust of the public instance unless it gets others, also for keys.
        root = self.program.parent / "trusted_root.json"
        root.write_text(json.dumps({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}))
        found = []
        for kind in types:
            bundles = ["--new-bundle-format", f"--trusted-root={root}"]
            done = self.run("verify-attestation", f"--key={key}", f"--type={kind}", *bundles, reference)
            assert done.returncode == 0, done.stderr
            found.append(done.stdout)
        return found


def fetch_cosign(folder: Path) -> Cosign:
    """The package of Debian 13 from the mirrors of this machine's apt, unpacked into ``folder``."""
    if platform.machine() != "x86_64":
        pytest.skip("the package of cosign that is named here is for amd64")
    archives, http = archives_and_http(discover(os.environ, Path.home()))
    expected = ExpectedFile(Path(_COSIGN).name, _COSIGN_SIZE, _COSIGN_SHA256)
    package = folder / expected.name
    try:
        fetch_deb(archives, Client(http, credential_urls=archives), _COSIGN, expected, package)
    except ImagekitError as error:
        pytest.skip(f"no mirror of this machine's apt has cosign of Debian 13: {error}")
    subprocess.run(["dpkg-deb", "--extract", str(package), str(folder / "root")], check=True)
    return Cosign(folder / "root/usr/bin/cosign")
