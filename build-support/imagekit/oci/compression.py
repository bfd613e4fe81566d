"""Compression of layers whose bytes are the same on every machine.

The compressed bytes decide a layer's digest, so the library comes from a wheel that is pinned by hash (``zstandard``
brings its own libzstd, ``zlib-ng`` its own zlib-ng), never from the machine, and every parameter is written here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from imagekit.errors import ImagekitError
from imagekit.oci import media_types


class CompressionError(ImagekitError):
    """A compression that is not offered."""


class Algorithm(Enum):
    ZSTD = "zstd"
    GZIP = "gzip"


_LEVELS = {Algorithm.ZSTD: range(1, 20), Algorithm.GZIP: range(1, 10)}
_DEFAULT_LEVEL = {Algorithm.ZSTD: 3, Algorithm.GZIP: 6}
_MEDIA_TYPE = {Algorithm.ZSTD: media_types.LAYER_ZSTD, Algorithm.GZIP: media_types.LAYER_GZIP}


class Compressor(Protocol):
    def compress(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


@dataclass(frozen=True)
class Compression:
    """An algorithm and its level: 1–19 for zstd, 1–9 for gzip."""

    algorithm: Algorithm
    level: int

    def __post_init__(self) -> None:
        levels = _LEVELS[self.algorithm]
        if self.level not in levels:
            raise CompressionError(
                f"The level of {self.algorithm.value} must be from {levels[0]} to {levels[-1]}, but was {self.level}. "
                f"Leave it out for the default, {_DEFAULT_LEVEL[self.algorithm]}."
            )

    @classmethod
    def default(cls, algorithm: Algorithm) -> Compression:
        return cls(algorithm, _DEFAULT_LEVEL[algorithm])

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPE[self.algorithm]

    def compressor(self, size: int) -> Compressor:
        """A compressor for exactly ``size`` bytes."""
        if self.algorithm is Algorithm.GZIP:
            return _Gzip(self.level)
        import zstandard

        # One thread: the bytes of zstd depend on its thread setting. No checksum: the digest is one. The size goes into
        # the frame, so that a reader knows the size of the tar without decompressing it.
        parameters = zstandard.ZstdCompressionParameters.from_level(
            self.level, source_size=size, threads=0, write_checksum=False, write_content_size=True, write_dict_id=False
        )
        compressor: Compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=size)
        return compressor


ZSTD = Compression.default(Algorithm.ZSTD)
GZIP = Compression.default(Algorithm.GZIP)


class _Gzip:
    """RFC 1952 with a fixed header: no name, no time, unknown operating system."""

    def __init__(self, level: int) -> None:
        from zlib_ng import zlib_ng

        self._crc32 = zlib_ng.crc32
        self._deflate = zlib_ng.compressobj(level, zlib_ng.DEFLATED, -15, 8, zlib_ng.Z_DEFAULT_STRATEGY)
        self._crc = 0
        self._size = 0
        self._header = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"

    def compress(self, data: bytes) -> bytes:
        self._crc = self._crc32(data, self._crc)
        self._size += len(data)
        header, self._header = self._header, b""
        compressed: bytes = self._deflate.compress(data)
        return header + compressed

    def flush(self) -> bytes:
        trailer = struct.pack("<II", self._crc, self._size & 0xFFFFFFFF)
        rest: bytes = self._deflate.flush()
        header, self._header = self._header, b""
        return header + rest + trailer
