from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Callable, Dict, List

import pytest

from imagekit.oci.conftest import SampleImage
from imagekit.oci.digest import Digest
from imagekit.oci.layout import Layout
from imagekit.oci.validate import ValidationError, find_problems, validate_layout

Fields = Dict[str, object]


def problems(image: SampleImage) -> List[str]:
    return list(find_problems(image.path))


def rewrite(
    path: Path,
    config: Callable[[Fields], Fields] = lambda fields: fields,
    manifest: Callable[[Fields], Fields] = lambda fields: fields,
) -> None:
    """Change the documents of the image and keep the chain of digests sound."""
    blobs = path / "blobs/sha256"

    def store(fields: Fields) -> Fields:
        data = json.dumps(fields).encode()
        (blobs / Digest.of(data).hex).write_bytes(data)
        return {"digest": str(Digest.of(data)), "size": len(data)}

    image = Layout(path).read_image()
    manifest_path = blobs / image.descriptor.digest.hex
    config_path = blobs / image.manifest.config.digest.hex
    fields = json.loads(manifest_path.read_bytes())
    fields["config"].update(store(config(json.loads(config_path.read_bytes()))))
    index = json.loads((path / "index.json").read_bytes())
    index["manifests"][0].update(store(manifest(fields)))
    (path / "index.json").write_text(json.dumps(index))


def test_sound_layout(sample_image: SampleImage) -> None:
    validate_layout(sample_image.path)


def test_unnamed_blobs_are_checked(sample_image: SampleImage) -> None:
    blobs = sample_image.path / "blobs/sha256"
    data = b"an old blob"
    (blobs / Digest.of(data).hex).write_bytes(data)
    assert problems(sample_image) == []
    (blobs / Digest.of(data).hex).write_bytes(b"another")
    (blobs / "notes.txt").touch()
    assert sorted(problems(sample_image)) == sorted(
        [
            f"the blob {blobs}/{Digest.of(data).hex} really has the digest {Digest.of(b'another')}",
            f"{blobs}/notes.txt is no blob: its name is no digest",
        ]
    )


def test_reports_all_faults_at_once(sample_image: SampleImage) -> None:
    lower, upper = sample_image.layers
    damaged = bytearray(sample_image.blob(0).read_bytes())
    damaged[-1] ^= 1
    sample_image.blob(0).write_bytes(bytes(damaged))
    truncated = sample_image.blob(1).read_bytes()[:-20]
    sample_image.blob(1).write_bytes(truncated)
    with pytest.raises(ValidationError) as error:
        validate_layout(sample_image.path)
    lines = str(error.value).splitlines()
    assert lines[0] == f"{sample_image.path} has {len(lines) - 2} faults:"
    assert f"  layer {lower.digest} really has the digest {Digest.of(bytes(damaged))}" in lines
    assert f"  layer {upper.digest} has {upper.size - 20} bytes, but the manifest says {upper.size}" in lines
    assert f"  layer {upper.digest} really has the digest {Digest.of(truncated)}" in lines
    reason = "cannot be decompressed: it breaks off. Fetch or build it again."
    assert f"  layer {upper.digest}: {sample_image.blob(1)} {reason}" in lines
    assert lines[-1] == "Build the image again, or fetch it again."


def test_the_same_tar_compressed_otherwise(sample_image: SampleImage) -> None:
    upper = sample_image.layers[1]
    other = gzip.compress(gzip.decompress(sample_image.blob(1).read_bytes()), 1, mtime=0)
    sample_image.blob(1).write_bytes(other)
    assert problems(sample_image) == [
        f"layer {upper.digest} has {len(other)} bytes, but the manifest says {upper.size}",
        f"layer {upper.digest} really has the digest {Digest.of(other)}",
    ]


def test_missing_layer(sample_image: SampleImage) -> None:
    sample_image.blob(0).unlink()
    with pytest.raises(ValidationError) as error:
        validate_layout(sample_image.path)
    assert str(error.value) == (
        f"{sample_image.path} has 1 fault:\n  layer {sample_image.layers[0].digest} is missing\n"
        "Build the image again, or fetch it again."
    )


def test_wrong_diff_id(sample_image: SampleImage) -> None:
    wrong = f"sha256:{'0' * 64}"
    right = sample_image.layers[0].diff_id

    def config(fields: Fields) -> Fields:
        text = json.dumps(fields).replace(str(right), wrong)
        changed: Fields = json.loads(text)
        return changed

    rewrite(sample_image.path, config)
    assert problems(sample_image) == [
        f"layer {sample_image.layers[0].digest} really has the diff_id {right}, but the configuration says {wrong}"
    ]


def test_wrong_size_and_media_type(sample_image: SampleImage) -> None:
    def manifest(fields: Fields) -> Fields:
        text = json.dumps(fields).replace("tar+gzip", "tar+xz")
        text = text.replace(f'"size": {sample_image.layers[0].size}', '"size": 7')
        changed: Fields = json.loads(text)
        return changed

    rewrite(sample_image.path, manifest=manifest)
    lower, upper = sample_image.layers
    assert problems(sample_image) == [
        f"layer {lower.digest} has {lower.size} bytes, but the manifest says 7",
        f"layer {upper.digest} has the media type application/vnd.oci.image.layer.v1.tar+xz, which is no layer of an "
        "OCI image",
    ]


def test_wrong_platform_and_history(sample_image: SampleImage) -> None:
    rewrite(sample_image.path, lambda fields: {**fields, "architecture": "arm64", "history": [{}, {}, {}]})
    image = Layout(sample_image.path).read_image()
    assert problems(sample_image) == [
        f"index.json says that {image.descriptor.digest} is for linux/amd64, its configuration linux/arm64",
        f"the configuration {image.manifest.config.digest} has 3 history entries with a layer, but 2 layers",
    ]


def test_fewer_diff_ids_than_layers(sample_image: SampleImage) -> None:
    rewrite(sample_image.path, manifest=lambda fields: {**fields, "layers": []})
    (problem,) = problems(sample_image)
    assert problem.endswith("has 0 layers, but its configuration has 2 diff_ids. Make the image again.")


@pytest.mark.parametrize(
    "name, type, link", [("../evil", b"0", ""), ("/evil", b"0", ""), ("x", tarfile.LNKTYPE, "../evil")]
)
def test_hostile_paths(sample_image: SampleImage, name: str, type: bytes, link: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:") as tar:
        info = tarfile.TarInfo(name)
        info.type = type
        info.linkname = link
        tar.addfile(info)
    blob = gzip.compress(buffer.getvalue())
    digest, diff_id = Digest.of(blob), Digest.of(buffer.getvalue())
    (sample_image.path / "blobs/sha256" / digest.hex).write_bytes(blob)
    upper = sample_image.layers[1]

    def config(fields: Fields) -> Fields:
        changed: Fields = json.loads(json.dumps(fields).replace(str(upper.diff_id), str(diff_id)))
        return changed

    def manifest(fields: Fields) -> Fields:
        text = json.dumps(fields).replace(str(upper.digest), str(digest))
        changed: Fields = json.loads(text.replace(f'"size": {upper.size}', f'"size": {len(blob)}'))
        return changed

    rewrite(sample_image.path, config, manifest)
    evil = link or name
    assert problems(sample_image) == [f"layer {digest} holds the path {evil!r}, which is not inside the image"]


def test_no_layout(tmp_path: Path) -> None:
    assert list(find_problems(tmp_path)) == [
        f"{tmp_path} is no OCI image layout: it has no oci-layout. Give the directory that holds index.json."
    ]


def test_no_images(sample_image: SampleImage) -> None:
    (sample_image.path / "index.json").write_text('{"schemaVersion": 2, "manifests": []}')
    assert problems(sample_image) == ["index.json names no image"]


def test_missing_blobs_folder(sample_image: SampleImage) -> None:
    shutil.rmtree(sample_image.path / "blobs")
    (problem,) = problems(sample_image)
    assert problem.startswith(f"The blob {sample_image.path}/blobs/sha256/")
