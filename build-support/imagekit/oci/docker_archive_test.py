from __future__ import annotations

import errno
import io
import json
import os
import tarfile
from pathlib import Path
from typing import BinaryIO

import pytest

from imagekit.oci import docker_archive
from imagekit.oci.conftest import SampleImage
from imagekit.oci.digest import Digest
from imagekit.oci.docker_archive import (
    ArchiveError,
    is_archive_of,
    write_docker_archive,
    write_docker_archive_file,
)
from imagekit.oci.layout import Layout

TAG = "c5c3/keystone:28.0.0"


def write(image: SampleImage, output: Path, *tags: str) -> None:
    layout = Layout(image.path)
    write_docker_archive_file(layout, layout.read_image(), tags or (TAG,), output)


def test_holds_configuration_and_plain_layers(tmp_path: Path, sample_image: SampleImage) -> None:
    write(sample_image, tmp_path / "image.tar")
    config = Layout(sample_image.path).read_image().manifest.config.digest
    with tarfile.open(tmp_path / "image.tar", "r:") as tar:
        contents = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        assert {(member.mtime, member.uid, member.mode) for member in tar} == {(1735689600, 0, 0o644)}
    layers = [f"{layer.diff_id.hex}.tar" for layer in sample_image.layers]
    assert list(contents) == ["manifest.json", f"{config.hex}.json", *layers]
    assert json.loads(contents["manifest.json"]) == [
        {"Config": f"{config.hex}.json", "RepoTags": [TAG], "Layers": layers}
    ]
    for name, content in contents.items():
        if name != "manifest.json":
            assert name.startswith(Digest.of(content).hex)


def test_same_image_gives_the_same_bytes(tmp_path: Path, sample_image: SampleImage) -> None:
    write(sample_image, tmp_path / "one.tar")
    write(sample_image, tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_goes_through_a_pipe(tmp_path: Path, sample_image: SampleImage) -> None:
    write(sample_image, tmp_path / "image.tar")
    layout = Layout(sample_image.path)
    buffer = io.BytesIO()
    write_docker_archive(layout, layout.read_image(), (TAG,), buffer)
    assert buffer.getvalue() == (tmp_path / "image.tar").read_bytes()


def test_a_layer_that_comes_twice_is_written_once(sample_image: SampleImage, tmp_path: Path) -> None:
    layout = Layout(sample_image.path)
    image = layout.read_image()
    object.__setattr__(image.manifest, "layers", image.manifest.layers[:1] * 2)
    object.__setattr__(image.config, "diff_ids", image.config.diff_ids[:1] * 2)
    write_docker_archive_file(layout, image, (TAG,), tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar", "r:") as tar:
        assert len(tar.getnames()) == 3


def test_recognises_its_own_archive(tmp_path: Path, sample_image: SampleImage) -> None:
    layout = Layout(sample_image.path)
    image = layout.read_image()
    path = tmp_path / "image.tar"
    assert not is_archive_of(path, layout, image, (TAG,))
    write(sample_image, path)
    assert is_archive_of(path, layout, image, (TAG,))
    assert not is_archive_of(path, layout, image, ("c5c3/keystone:other",))
    whole = path.read_bytes()
    for position in (600, len(whole) // 2):
        path.write_bytes(whole[:position] + bytes((whole[position] ^ 1,)) + whole[position + 1 :])
        assert not is_archive_of(path, layout, image, (TAG,))
    path.write_bytes(whole[:-512])
    assert not is_archive_of(path, layout, image, (TAG,))


@pytest.mark.parametrize("tag", ["keystone", "Keystone:1", "keystone:", ":1", "a b:1", "keystone:-1", "a//b:1", ""])
def test_refuses_tags(tmp_path: Path, sample_image: SampleImage, tag: str) -> None:
    with pytest.raises(ArchiveError) as error:
        write(sample_image, tmp_path / "image.tar", tag)
    assert str(error.value) == (
        f"{tag!r} is no tag that engines accept. Write it as 'repository:tag' in lower case, for example "
        "'c5c3/keystone:28.0.0'."
    )


@pytest.mark.parametrize("tag", ["keystone:1", "registry.example:5000/c5c3/keystone:28.0.0-p1", "localhost/image:0a"])
def test_accepts_tags(tmp_path: Path, sample_image: SampleImage, tag: str) -> None:
    write(sample_image, tmp_path / "image.tar", tag)


def test_refuses_another_layer(tmp_path: Path, sample_image: SampleImage) -> None:
    other, layer = sample_image.layers
    sample_image.blob(1).write_bytes(b"")
    with pytest.raises(ArchiveError) as error:
        write(sample_image, tmp_path / "image.tar")
    assert str(error.value) == (
        f"The layer {sample_image.blob(1)} is damaged: it has the diff_id {Digest.of(b'')}, but the image says "
        f"{layer.diff_id}. Build the image again."
    )
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_full_disk(tmp_path: Path, sample_image: SampleImage, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_all(file: BinaryIO, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(docker_archive, "write_all", write_all)
    with pytest.raises(ArchiveError) as error:
        write(sample_image, tmp_path / "image.tar")
    assert str(error.value) == (
        f"The docker archive {tmp_path}/image.tar does not fit: No space left on device. "
        "Make room, or name an output on another disk."
    )
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []
