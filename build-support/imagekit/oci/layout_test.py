from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, Dict, List

import pytest

from imagekit.oci.conftest import SampleImage
from imagekit.oci.layout import Layout, LayoutError


def edit_index(path: Path, change: Callable[[List[Dict[str, object]]], List[Dict[str, object]]]) -> None:
    index = json.loads((path / "index.json").read_bytes())
    index["manifests"] = change(index["manifests"])
    (path / "index.json").write_text(json.dumps(index))


def refusal(path: Path) -> str:
    with pytest.raises(LayoutError) as error:
        Layout(path).read_image()
    return str(error.value)


def test_reads_the_image(sample_image: SampleImage) -> None:
    image = Layout(sample_image.path).read_image()
    assert [layer.digest for layer in image.manifest.layers] == [layer.digest for layer in sample_image.layers]
    assert image.config.config.user == "42424"


def test_several_names_of_one_image(sample_image: SampleImage) -> None:
    edit_index(sample_image.path, lambda manifests: manifests * 2)
    Layout(sample_image.path).read_image()


def test_architecture_chooses(sample_image: SampleImage) -> None:
    digest = f"sha256:{'0' * 64}"
    platform = {"os": "linux", "architecture": "arm64"}
    edit_index(
        sample_image.path, lambda manifests: [*manifests, {**manifests[0], "digest": digest, "platform": platform}]
    )
    image = Layout(sample_image.path).read_image("amd64")
    assert image.config.platform.architecture == "amd64"
    assert refusal(sample_image.path) == (
        f"{sample_image.path} must hold one image, but holds {image.descriptor.digest} (linux/amd64), "
        f"{digest} (linux/arm64). "
        "Give an architecture that names one of them, or copy one image into a layout of its own."
    )


def test_refuses_an_empty_index(sample_image: SampleImage) -> None:
    edit_index(sample_image.path, lambda manifests: [])
    assert refusal(sample_image.path) == (
        f"{sample_image.path} must hold one image, but holds none. "
        "Give an architecture that names one of them, or copy one image into a layout of its own."
    )


def test_refuses_what_is_no_layout(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"{tmp_path} is no OCI image layout: it has no oci-layout. Give the directory that holds index.json."
    )


def test_refuses_other_versions(sample_image: SampleImage) -> None:
    (sample_image.path / "oci-layout").write_text('{"imageLayoutVersion": "2.0.0"}')
    assert refusal(sample_image.path) == (
        f"{sample_image.path}/oci-layout has the version '2.0.0', but only 1.0.0 is known. "
        "Write the layout again with another tool, for example skopeo copy."
    )


def test_refuses_a_tampered_manifest(sample_image: SampleImage) -> None:
    digest = Layout(sample_image.path).read_image().descriptor.digest
    path = sample_image.path / "blobs/sha256" / digest.hex
    path.write_bytes(path.read_bytes().replace(b"gzip", b"zstd"))
    assert refusal(sample_image.path).startswith(f"The blob {path} is damaged: it has ")


def test_refuses_a_missing_manifest(sample_image: SampleImage) -> None:
    path = sample_image.path / "blobs/sha256" / Layout(sample_image.path).read_image().descriptor.digest.hex
    path.unlink()
    assert refusal(sample_image.path) == (f"The blob {path} is missing. Make the layout {sample_image.path} again.")


def test_refuses_a_huge_manifest(sample_image: SampleImage) -> None:
    edit_index(sample_image.path, lambda manifests: [{**manifests[0], "size": 1 << 40}])
    assert refusal(sample_image.path).endswith(
        "should have 1099511627776 bytes, but application/vnd.oci.image.manifest.v1+json of more than 4194304 bytes "
        "is refused. Make the image again."
    )


def test_refuses_other_manifests(sample_image: SampleImage) -> None:
    docker = "application/vnd.docker.distribution.manifest.v2+json"
    edit_index(sample_image.path, lambda manifests: [{**manifests[0], "mediaType": docker}])
    digest = json.loads((sample_image.path / "index.json").read_bytes())["manifests"][0]["digest"]
    assert refusal(sample_image.path) == (
        f"{sample_image.path}/index.json names {digest} as {docker}, but only "
        "application/vnd.oci.image.manifest.v1+json is an image here. Convert it first: skopeo copy --format oci."
    )
