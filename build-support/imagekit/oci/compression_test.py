from __future__ import annotations

import gzip

import pytest
import zstandard

from imagekit.oci.compression import GZIP, ZSTD, Algorithm, Compression, CompressionError
from imagekit.oci.digest import Digest

DATA = b"".join(b"%d entries of a tar\n" % number for number in range(20_000))


def compress(compression: Compression, block: int) -> bytes:
    compressor = compression.compressor(len(DATA))
    blocks = [compressor.compress(DATA[start : start + block]) for start in range(0, len(DATA), block)]
    return b"".join(blocks) + compressor.flush()


def test_zstd_frame_has_size_but_no_checksum() -> None:
    compressed = compress(ZSTD, 1 << 16)
    frame = zstandard.get_frame_parameters(compressed)
    assert (frame.content_size, frame.has_checksum, frame.dict_id) == (len(DATA), False, 0)
    assert zstandard.ZstdDecompressor().decompress(compressed) == DATA


def test_gzip_header_is_fixed() -> None:
    compressed = compress(GZIP, 1 << 16)
    assert compressed[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    assert gzip.decompress(compressed) == DATA


@pytest.mark.parametrize("compression", [ZSTD, GZIP])
def test_same_bytes_each_time(compression: Compression) -> None:
    assert compress(compression, 1 << 16) == compress(compression, 1 << 16)


def test_level_counts() -> None:
    assert len(compress(Compression(Algorithm.ZSTD, 19), 1 << 16)) < len(compress(ZSTD, 1 << 16))


@pytest.mark.parametrize(
    "compression, digest",
    [
        (ZSTD, "c1c87d0a835155d53cadcacdd8d2670248698fc0c31b5f24098c7164ed6a8503"),
        (GZIP, "fa660735aeedb43e58fcf4ffbe4351f47b378cf55b34e68ea4e595043b77e444"),
    ],
)
def test_bytes_of_the_pinned_library(compression: Compression, digest: str) -> None:
    # A change of these is a change of every image's digest: raise the pin of the library on purpose only.
    assert Digest.of(compress(compression, 1 << 16)).hex == digest


@pytest.mark.parametrize(
    "algorithm, level, message",
    [
        (Algorithm.ZSTD, 0, "The level of zstd must be from 1 to 19, but was 0. Leave it out for the default, 3."),
        (Algorithm.ZSTD, 22, "The level of zstd must be from 1 to 19, but was 22. Leave it out for the default, 3."),
        (Algorithm.GZIP, 10, "The level of gzip must be from 1 to 9, but was 10. Leave it out for the default, 6."),
    ],
)
def test_refuses_levels(algorithm: Algorithm, level: int, message: str) -> None:
    with pytest.raises(CompressionError) as error:
        Compression(algorithm, level)
    assert str(error.value) == message
