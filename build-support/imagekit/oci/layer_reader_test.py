from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard

from imagekit.oci import media_types
from imagekit.oci.digest import Digest
from imagekit.oci.layer_reader import BlobError, LayerSums, open_layer, unpacked_size

TAR = bytes(range(256)) * 20_000
BLOBS = {
    media_types.LAYER_TAR: TAR,
    media_types.LAYER_GZIP: gzip.compress(TAR),
    media_types.LAYER_ZSTD: zstandard.ZstdCompressor().compress(TAR),
}
SEVERAL = {
    media_types.LAYER_GZIP: gzip.compress(TAR[:1000]) + gzip.compress(TAR[1000:]),
    media_types.LAYER_ZSTD: zstandard.ZstdCompressor().compress(TAR[:1000])
    + zstandard.ZstdCompressor().compress(TAR[1000:]),
}


def blob_file(tmp_path: Path, blob: bytes) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(blob)
    return path


@pytest.mark.parametrize(
    "media_type, blob",
    [*BLOBS.items(), *SEVERAL.items()],
    ids=["tar", "gzip", "zstd", "several gzip members", "several zstd frames"],
)
@pytest.mark.parametrize("known", [True, False])
def test_reads_and_sums(tmp_path: Path, media_type: str, blob: bytes, known: bool) -> None:
    with open_layer(blob_file(tmp_path, blob), media_type if known else None) as stream:
        assert stream.read(70_000) == TAR[:70_000]
        assert stream.finish() == LayerSums(Digest.of(blob), len(blob), Digest.of(TAR), len(TAR))


def test_blocks_give_everything(tmp_path: Path) -> None:
    with open_layer(blob_file(tmp_path, BLOBS[media_types.LAYER_GZIP])) as stream:
        assert stream.read(100) + b"".join(stream.blocks()) == TAR


@pytest.mark.parametrize("media_type", BLOBS)
def test_unpacked_size(tmp_path: Path, media_type: str) -> None:
    assert unpacked_size(blob_file(tmp_path, BLOBS[media_type]), media_type) == len(TAR)


def test_unpacked_size_of_a_frame_that_does_not_say(tmp_path: Path) -> None:
    blob = zstandard.ZstdCompressor(write_content_size=False).compress(TAR)
    assert unpacked_size(blob_file(tmp_path, blob), media_types.LAYER_ZSTD) == len(TAR)


@pytest.mark.parametrize(
    "media_type, blob, reason",
    [
        (media_types.LAYER_GZIP, b"no gzip", "Error -3 while decompressing data: incorrect header check"),
        (media_types.LAYER_GZIP, BLOBS[media_types.LAYER_GZIP][:-20], "it breaks off"),
        (
            media_types.LAYER_GZIP,
            BLOBS[media_types.LAYER_GZIP] + b"more",
            "Error -3 while decompressing data: incorrect header check",
        ),
        (media_types.LAYER_ZSTD, b"no zstd", "zstd decompress error: Unknown frame descriptor"),
        (
            media_types.LAYER_ZSTD,
            BLOBS[media_types.LAYER_ZSTD] + b"more",
            "zstd decompress error: Unknown frame descriptor",
        ),
    ],
    ids=["no gzip", "half a gzip", "more than gzip", "no zstd", "more than zstd"],
)
def test_refuses_what_cannot_be_decompressed(tmp_path: Path, media_type: str, blob: bytes, reason: str) -> None:
    path = blob_file(tmp_path, blob)
    with pytest.raises(BlobError) as error, open_layer(path, media_type) as stream:
        stream.finish()
    assert str(error.value) == f"{path} cannot be decompressed: {reason}. Fetch or build it again."


def test_refuses_other_media_types(tmp_path: Path) -> None:
    path = blob_file(tmp_path, b"")
    with pytest.raises(BlobError) as error, open_layer(path, "text/plain"):
        pass
    assert str(error.value) == (
        f"{path} has the media type 'text/plain', which is no layer of an OCI image. "
        "Convert the image first: skopeo copy --format oci."
    )


def test_refuses_a_missing_blob(tmp_path: Path) -> None:
    with pytest.raises(BlobError) as error, open_layer(tmp_path / "none"):
        pass
    assert str(error.value) == f"The layer {tmp_path}/none does not exist. Fetch or build it again."
