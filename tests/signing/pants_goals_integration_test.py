"""``./pants publish`` pushes and signs, ``./pants verify`` checks, in a scratch repository with images of one file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import pytest
from imagekit.oci.layout import Layout
from imagekit.registry.pushes import repository as registry_repository
from imagekit.registry.registry_servers import registry
from imagekit.registry.settings import RegistrySettings


@dataclass(frozen=True)
class Repository:
    """A scratch repository in ``folder``, whose image goes to the registry at ``address``."""

    folder: Path
    address: str

    def pants(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "pants", *arguments, "hello::"],
            cwd=self.folder,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": os.environ["HOME"],
                "NO_SCIE_WARNING": "1",
                "PANTS_PANTSD": "false",
                "PANTS_DYNAMIC_UI": "false",
                "PANTS_BACKEND_PACKAGES": "['c5c3']",
                # Sections of backends that are not loaded here.
                "PANTS_VERIFY_CONFIG": "false",
                "PANTS_IMAGES_REGISTRIES": str({"test": {"address": self.address, "default": True}}),
                "PANTS_SIGNING_PUBLIC_KEY": "cosign.pub",
                **variables,
            },
            capture_output=True,
            text=True,
        )

    def new_key(self, name: str) -> str:
        """A private key, whose public half is the file ``name``."""
        make = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        pem = subprocess.run(make, check=True, capture_output=True, text=True).stdout
        command = ["openssl", "pkey", "-pubout", "-out", str(self.folder / name)]
        subprocess.run(command, input=pem, check=True, capture_output=True, text=True)
        return pem


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    folder = tmp_path / "repository"
    shutil.copytree("build-support", folder / "build-support", ignore=shutil.ignore_patterns("__pycache__", "BUILD"))
    shutil.copytree("3rdparty/tools", folder / "3rdparty/tools", ignore=shutil.ignore_patterns("BUILD"))
    shutil.copy("pants.toml", folder)
    (folder / "hello/files/etc").mkdir(parents=True)
    (folder / "hello/files/etc/greeting").write_text("hello\n")
    (folder / "hello/BUILD").write_text('docker_image(name="hello", image_tags=["1.0"])\n')
    (folder / ".gitignore").write_text("/.pants.d/\n/.pids\n")
    for arguments in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=x", "-c", "user.email=x@y.example", "commit", "-qmx"],
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    with registry(tmp_path / "registry") as server:
        yield Repository(folder, server.address)


def test_published_signed_and_verified(repository: Repository) -> None:
    key = repository.new_key("cosign.pub")
    repository.new_key("other.pub")
    published = repository.pants(
        "-ldebug", "--keep-sandboxes=always", "publish", PANTS_SIGNING_KEY="env://SIGNING_KEY", SIGNING_KEY=key
    )
    assert published.returncode == 0, published.stderr
    secret = key.splitlines()[1]
    assert secret not in published.stdout + published.stderr
    # Pants' own log and records. A reader of `ps` could not see it either: it is no argument.
    assert not [path for path in repository.folder.rglob("*") if path.is_file() and secret in path.read_text("latin-1")]

    verified = repository.pants("--verify-rebuild", "verify")
    assert verified.returncode == 0, verified.stderr
    name = f"{repository.address}/c5c3/hello"
    assert verified.stdout.startswith(f"{name}@sha256:")
    for what in ("image", "SBOM", "provenance"):
        assert f"  {what} is signed by the key " in verified.stdout

    by_another = repository.pants("verify", PANTS_SIGNING_PUBLIC_KEY="other.pub")
    assert by_another.returncode == 1
    assert "error: The signature of the image is by another key: " in by_another.stderr

    (repository.folder / "hello/files/etc/greeting").write_text("changed\n")
    changed = repository.pants("--verify-rebuild", "verify")
    assert changed.returncode == 1
    assert f"error: The manifest of {name}:1.0 is sha256:" in changed.stderr
    assert ", but this tree builds sha256:" in changed.stderr


def test_one_image_that_fails_does_not_stop_or_hide_the_others(repository: Repository, tmp_path: Path) -> None:
    with registry(tmp_path / "read-only", read_only=True) as closed:
        (repository.folder / "hello/BUILD").write_text(
            'docker_image(name="one", image_tags=["1.0"])\n'
            f'docker_image(name="refused", image_tags=["1.0"], registries=["{closed.address}"])\n'
            'docker_image(name="two", image_tags=["1.0"])\n'
            f'docker_image(name="both", image_tags=["1.0"], registries=["@test", "{closed.address}"])\n'
        )
        done = repository.pants("publish", "--publish-output=published.json")
    assert done.returncode == 1, done.stderr
    open_names = [f"{repository.address}/c5c3/{name}:1.0" for name in ("both", "one", "two")]
    closed_names = [f"{closed.address}/c5c3/{name}:1.0" for name in ("both", "refused")]
    outcomes = json.loads((repository.folder / "published.json").read_text())
    assert sorted(name for item in outcomes if item["published"] for name in item["names"]) == sorted(open_names)
    assert sorted(name for item in outcomes if not item["published"] for name in item["names"]) == sorted(closed_names)
    # Pushed by one process, whose lines count the images.
    progress = [line for line in done.stderr.splitlines() if "/5] " in line]
    assert [line.split("]")[0] for line in progress] == [f"[{number}/5" for number in range(1, 6)]
    assert sum(line.endswith(": failed") for line in progress) == 2
    assert done.stderr.count("it is read-only.") == 2
    for name in ("both", "one", "two"):
        assert done.stdout.count(f"{repository.address}/c5c3/{name}@sha256:") == 1
        assert f"  {repository.address}/c5c3/{name}:1.0 (new)" in done.stdout
    # The images share their layer: it was sent once, and mounted by the others.
    settings = RegistrySettings.of_user({"HOME": str(tmp_path)}, root=tmp_path)
    for name in ("both", "one", "two"):
        assert registry_repository(repository.address, settings, f"c5c3/{name}").get_manifest("1.0") is not None
    assert done.stdout.count("mounted") == 2


def test_packaged_signed_and_verified(repository: Repository) -> None:
    (repository.folder / "cosign.key").touch(0o600)
    (repository.folder / "cosign.key").write_text(repository.new_key("cosign.pub"))
    image = repository.folder / "dist/hello/hello"
    sbom, provenance = (image.with_name(f"hello{ending}") for ending in (".cdx.json", ".provenance.json"))

    def package() -> None:
        done = repository.pants("package")
        assert done.returncode == 0, done.stderr

    def refusal() -> str:
        done = repository.pants("--verify-packaged", "verify")
        assert done.returncode == 1 and "hello:hello is refused." in done.stderr
        return done.stderr

    package()
    assert f"The image has no signature: {image}.sigstore.json cannot be read" in refusal()
    signed = subprocess.run(
        [sys.executable, "-m", "imagekit", "sign", "--sign-with=cosign.key", f"--layout={image}", f"--sbom={sbom}"]
        + [f"--provenance={provenance}"],
        cwd=repository.folder,
        env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert signed.returncode == 0, signed.stderr
    verified = repository.pants("--verify-packaged", "--verify-rebuild", "verify")
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout.startswith(f"{image}@sha256:")
    for what in ("image", "SBOM", "provenance"):
        assert f"  {what} is signed by the key " in verified.stdout

    sbom.write_text(json.dumps({**json.loads(sbom.read_text()), "version": 2}))
    assert "error: The SBOM is not the one that was signed: " in refusal()
    # The layout is not what this tree builds, so it is written again; the same image has the same signatures.
    package()
    layer = Layout(image).read_image().manifest.layers[-1].digest
    Layout(image).blob_path(layer).write_bytes(b"changed")
    assert f"layer {layer} has 7 bytes" in refusal()
