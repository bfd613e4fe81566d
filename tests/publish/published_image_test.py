"""Keystone, published to Debian's docker-registry on 127.0.0.1 and got from there by other programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Mapping, Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from imagekit.oci.docker_daemon import docker_daemon
from imagekit.oci.layout import Image, Layout
from imagekit.provenance import statement
from imagekit.provenance.statement import ImageBuild, render_provenance
from imagekit.registry.pushes import name, repository
from imagekit.registry.registry_servers import RunningRegistry, registry
from imagekit.registry.settings import RegistrySettings
from imagekit.sbom import cyclonedx
from publish.changed_image import change_image

KEYSTONE = Path("images/keystone/2025.2")
TAGS = ("28.0.0-p1", "28.0.0", "main-2025.2")
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


@dataclass(frozen=True)
class Publisher:
    """Publishes images as ``c5c3/keystone`` of ``server``, signed; ``folder`` is for what that needs."""

    server: RunningRegistry
    folder: Path
    settings: RegistrySettings

    @property
    def repository(self) -> str:
        return str(name(self.server.address))

    def publish(self, layout: Path) -> str:
        """What the command says."""
        image = Layout(layout).read_image()
        attachments = [
            _attachment(self._sbom(image), cyclonedx.MEDIA_TYPE),
            _attachment(self._provenance(image), statement.MEDIA_TYPE),
        ]
        push = {
            "layout": str(layout),
            "repository": self.repository,
            "tags": [{"name": tag} for tag in TAGS],
            "attachments": attachments,
        }
        request = self.folder / "push.json"
        request.write_text(json.dumps({"images": [push]}))
        command = [sys.executable, "-m", "imagekit", "push-image", f"--request={request}"]
        environment = {"PATH": os.defpath, "HOME": str(self.folder), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(
            [*command, f"--sign-with={self.folder / 'key.pem'}"], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _sbom(self, image: Image) -> Path:
        """The SBOM of Keystone; that of a changed image says whose it is."""
        document = json.loads(Path(f"{KEYSTONE}.cdx.json").read_text(encoding="utf-8"))
        document["metadata"]["component"]["hashes"][0]["content"] = image.descriptor.digest.hex
        path = self.folder / "sbom.json"
        path.write_text(json.dumps(document))
        return path

    def _provenance(self, image: Image) -> Path:
        build = ImageBuild(
            image="keystone",
            digest=image.descriptor.digest,
            target="services/keystone#image@release=2025.2",
            release="2025.2",
            architecture="amd64",
            compression="zstd",
            compression_level=9,
            builder="https://ci.example",
            commit="1" * 40,
            why_no_commit="",
            inputs=(),
        )
        path = self.folder / "provenance.json"
        path.write_bytes(render_provenance(build))
        return path


def _attachment(path: Path, media_type: str) -> Mapping[str, str]:
    return {"path": str(path), "artifact_type": media_type, "media_type": media_type}


def _writes(requests: Sequence[str]) -> Sequence[str]:
    """What was stored, as ``blob`` or the reference of a manifest, in order."""
    stored = []
    for line in requests:
        _, quote, asked = line.partition('"PUT ')
        if quote:
            path = asked.split(" ")[0]
            stored.append("blob" if "/blobs/uploads/" in path else path.rpartition("/")[2])
    return stored


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").touch(0o600)
    (tmp_path / "key.pem").write_bytes(pem)
    settings = RegistrySettings.of_user({"HOME": str(tmp_path)}, root=tmp_path)
    with registry(tmp_path / "registry") as server:
        yield Publisher(server, tmp_path, settings)


def skopeo(*arguments: str) -> str:
    program = shutil.which("skopeo")
    if program is None:
        pytest.skip("skopeo is not installed: apt-get install skopeo")
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_arrives_before_the_tags_and_once(publisher: Publisher) -> None:
    image = Layout(KEYSTONE).read_image()
    said = publisher.publish(KEYSTONE)
    assert said.splitlines()[0] == f"{publisher.repository}@{image.descriptor.digest}"
    first = _writes(publisher.server.requests())
    assert tuple(first[-len(TAGS) :]) == TAGS
    manifests = [reference for reference in first if reference.startswith("sha256:")]
    # The image, then SBOM, provenance and a signature of each of the three.
    assert manifests[0] == str(image.descriptor.digest) and len(manifests) == 6
    attached = repository(publisher.server.address, publisher.settings).referrers(image.descriptor.digest)
    assert [item.artifact_type for item in attached] == [cyclonedx.MEDIA_TYPE, statement.MEDIA_TYPE, *[BUNDLE] * 3]

    before = len(publisher.server.requests())
    assert publisher.publish(KEYSTONE).splitlines()[0].endswith("  nothing to send")
    again = publisher.server.requests()[before:]
    assert _writes(again) == [] and not [line for line in again if '"POST ' in line]


def test_after_a_patch_one_layer_is_sent(publisher: Publisher) -> None:
    publisher.publish(KEYSTONE)
    before = len(publisher.server.requests())
    changed = change_image(KEYSTONE, publisher.folder / "changed")
    said = publisher.publish(publisher.folder / "changed")
    written = _writes(publisher.server.requests()[before:])
    # A layer, a configuration, SBOM, provenance, three signatures.
    assert written.count("blob") == 7
    manifests = [reference for reference in written if reference.startswith("sha256:")]
    assert manifests[0] == str(changed.descriptor.digest) and len(manifests) == 6
    assert {reference for reference in written if reference not in ("blob", *manifests)} == {
        f"sha256-{changed.descriptor.digest.hex}",
        *TAGS,
    }
    assert f"{publisher.repository}:28.0.0-p1 (moved from {Layout(KEYSTONE).read_image().descriptor.digest})" in said


def test_skopeo_gets_it_by_tag_and_by_digest(publisher: Publisher) -> None:
    publisher.publish(KEYSTONE)
    image = Layout(KEYSTONE).read_image()
    for reference in (*(f":{tag}" for tag in TAGS), f"@{image.descriptor.digest}"):
        source = f"docker://{publisher.repository}{reference}"
        said = json.loads(skopeo("inspect", "--tls-verify=false", source))
        assert said["Digest"] == str(image.descriptor.digest)
        assert said["Labels"]["org.opencontainers.image.version"] == "28.0.0-p1"
    copy = publisher.folder / "copy"
    skopeo("copy", "--insecure-policy", "--src-tls-verify=false", source, f"oci:{copy}:1")
    assert Layout(copy).read_image().descriptor.digest == image.descriptor.digest


def test_docker_pulls_it_by_tag_and_by_digest(publisher: Publisher) -> None:
    # Docker 20.10 reads no zstd. What is compared is the content: the same layers unpacked.
    compressed = publisher.folder / "gzip"
    skopeo(
        *("copy", "--insecure-policy", "--dest-compress-format=gzip", "--dest-compress-level=1"),
        *(f"oci:{KEYSTONE}", f"oci:{compressed}:1"),
    )
    publisher.publish(compressed)
    image = Layout(compressed).read_image()
    original = Layout(KEYSTONE).read_image()
    assert image.config.diff_ids == original.config.diff_ids
    with docker_daemon() as host:

        def docker(*arguments: str) -> str:
            done = subprocess.run(
                ["/usr/bin/docker", "--host", host, *arguments], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        for reference in (f":{TAGS[0]}", f"@{image.descriptor.digest}"):
            docker("pull", "--quiet", f"{publisher.repository}{reference}")
            (pulled,) = json.loads(docker("image", "inspect", f"{publisher.repository}{reference}"))
            assert pulled["RepoDigests"] == [f"{publisher.repository}@{image.descriptor.digest}"]
            assert pulled["RootFS"]["Layers"] == [str(diff_id) for diff_id in original.config.diff_ids]
        ran = docker("run", "--rm", "--network=none", f"{publisher.repository}:{TAGS[0]}", "keystone-manage", "--version")
        assert ran.strip() == "28.0.0"
