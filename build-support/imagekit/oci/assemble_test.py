from __future__ import annotations

import json
from pathlib import Path
from typing import Dict

import pytest

from imagekit.oci.assemble import AssembleError, ImageSpec, assemble, write_assembled
from imagekit.oci.digest import Digest
from imagekit.oci.json_document import DocumentError

LAYER: Dict[str, object] = {
    "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd",
    "digest": f"sha256:{'1' * 64}",
    "size": 1000,
    "diff_id": f"sha256:{'2' * 64}",
    "unpacked_size": 5120,
    "entries": 3,
    "created_by": "bookworm",
}
CONFIG: Dict[str, object] = {
    "User": "42424:42424",
    "Env": ["PATH=/var/lib/openstack/bin:/usr/bin"],
    "Entrypoint": [],
    "Cmd": ["keystone-manage"],
    "WorkingDir": "/",
    "Labels": {"org.opencontainers.image.version": "28.0.0"},
    "ExposedPorts": {"5000/tcp": {}},
}
SPEC: Dict[str, object] = {
    "architecture": "amd64",
    "layers": [LAYER, {**LAYER, "digest": f"sha256:{'3' * 64}", "created_by": "keystone 28.0.0"}],
    "config": CONFIG,
    "created": 1735689600,
    "ref_names": ["28.0.0-p1"],
    "annotations": {"org.opencontainers.image.version": "28.0.0"},
}


def parsed(**fields: object) -> ImageSpec:
    return ImageSpec.parse(json.dumps({**SPEC, **fields}).encode(), "spec.json")


def test_documents(tmp_path: Path) -> None:
    image = assemble(parsed())
    write_assembled(image, tmp_path)
    index = json.loads((tmp_path / "index.json").read_bytes())
    (descriptor,) = index["manifests"]
    assert descriptor["annotations"] == {"org.opencontainers.image.ref.name": "28.0.0-p1"}
    assert descriptor["platform"] == {"architecture": "amd64", "os": "linux"}
    manifest_bytes = (tmp_path / "blobs/sha256" / descriptor["digest"][7:]).read_bytes()
    assert Digest.of(manifest_bytes) == image.digest and len(manifest_bytes) == descriptor["size"]
    manifest = json.loads(manifest_bytes)
    assert [layer["digest"] for layer in manifest["layers"]] == [f"sha256:{'1' * 64}", f"sha256:{'3' * 64}"]
    assert manifest["annotations"] == SPEC["annotations"]
    config_bytes = (tmp_path / "blobs/sha256" / manifest["config"]["digest"][7:]).read_bytes()
    config = json.loads(config_bytes)
    assert config["history"] == [
        {"created": "2025-01-01T00:00:00Z", "created_by": "bookworm"},
        {"created": "2025-01-01T00:00:00Z", "created_by": "keystone 28.0.0"},
    ]
    assert config["rootfs"] == {"type": "layers", "diff_ids": [f"sha256:{'2' * 64}"] * 2}
    assert config["created"] == "2025-01-01T00:00:00Z"
    assert config["config"] == {key: value for key, value in CONFIG.items() if value}
    assert json.loads((tmp_path / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    summary = json.loads((tmp_path / "image.json").read_bytes())
    assert summary == {
        "digest": str(image.digest),
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "size": 2000 + len(config_bytes) + len(manifest_bytes),
        "architecture": "amd64",
        "layers": SPEC["layers"],
    }


def test_each_name_is_a_descriptor_of_the_same_image() -> None:
    names = ["28.0.0", "28.0.0-p1"]
    index = assemble(parsed(ref_names=names)).index
    assert [manifest.annotations["org.opencontainers.image.ref.name"] for manifest in index.manifests] == names
    assert len({manifest.digest for manifest in index.manifests}) == 1


def test_no_name_is_one_descriptor_without_annotation() -> None:
    (manifest,) = assemble(parsed(ref_names=[])).index.manifests
    assert manifest.annotations == {}


def test_the_order_of_keys_does_not_count() -> None:
    reordered = dict(reversed(list(SPEC.items())))
    assert assemble(ImageSpec.parse(json.dumps(reordered).encode(), "spec.json")) == assemble(parsed())


@pytest.mark.parametrize("count", [0, 101])
def test_refuses_numbers_of_layers(count: int) -> None:
    with pytest.raises(AssembleError) as error:
        assemble(parsed(layers=[LAYER] * count))
    assert str(error.value) == (
        f"An image has 1 to 100 layers, but this one would have {count}. "
        "Put more pieces into one layer, or give the base at least."
    )


@pytest.mark.parametrize(
    "fields, message",
    [
        (
            {"config": {"Environment": []}},
            "spec.json: 'config.Environment' is not known. Use one of: "
            "Cmd, Entrypoint, Env, ExposedPorts, Labels, StopSignal, User, Volumes, WorkingDir.",
        ),
        ({"created": "now"}, "spec.json: 'created' must be an integer, but was a string."),
        ({"layers": [LAYER, {}]}, "spec.json: 'layers[1].mediaType' is missing. It must be a string."),
    ],
)
def test_refuses_bad_specifications(fields: Dict[str, object], message: str) -> None:
    with pytest.raises(DocumentError) as error:
        parsed(**fields)
    assert str(error.value) == message
