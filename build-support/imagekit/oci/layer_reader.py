"""Read the blob of a layer: decompress it and compute its digests on the way."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Iterator, Optional, cast

from imagekit.errors import ImagekitError
from imagekit.oci import media_types
from imagekit.oci.digest import Digest

_READ_SIZE = 1 << 20


class BlobError(ImagekitError):
    """The blob of a layer that cannot be read."""


class Encoding(Enum):
    """How a layer's blob holds its tar; the value is the media type."""

    TAR = media_types.LAYER_TAR
    GZIP = media_types.LAYER_GZIP
    ZSTD = media_types.LAYER_ZSTD

    @classmethod
    def detect(cls, path: Path) -> Encoding:
        """The encoding by the first bytes of the file (RFC 1952 and RFC 8878), for blobs without a descriptor."""
        with path.open("rb") as file:
            start = file.read(4)
        if start == b"\x28\xb5\x2f\xfd":
            return cls.ZSTD
        return cls.GZIP if start[:2] == b"\x1f\x8b" else cls.TAR


@dataclass(frozen=True)
class LayerSums:
    """What a blob really is; sizes in bytes."""

    digest: Digest
    size: int
    diff_id: Digest
    unpacked_size: int


class LayerStream:
    """The tar of a layer, decompressed from ``file``; :meth:`finish` gives the sums of what was read."""

    def __init__(self, file: BinaryIO, encoding: Encoding, origin: str) -> None:
        self._origin = origin
        self._blob = _HashingReader(file)
        self._diff_id = hashlib.sha256()
        self._unpacked_size = 0
        self._blocks = _decompressed(self._blob, encoding)
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes of the tar; fewer only at its end."""
        if size <= len(self._rest):
            data = bytes(self._rest[:size])
            self._rest = self._rest[size:]
            return data
        parts = [bytes(self._rest)]
        missing = size - len(self._rest)
        while missing:
            block = self._next_block()
            parts.append(block[:missing])
            self._rest = memoryview(block)[missing:]
            missing -= len(parts[-1])
            if not block:
                break
        return b"".join(parts)

    def blocks(self) -> Iterator[bytes]:
        """The tar in blocks, from where the stream is."""
        if self._rest:
            rest, self._rest = bytes(self._rest), memoryview(b"")
            yield rest
        while True:
            block = self._next_block()
            if not block:
                return
            yield block

    def finish(self) -> LayerSums:
        """Read to the end of the blob, also behind the end mark of the tar."""
        for _ in self.blocks():
            pass
        return LayerSums(
            Digest(self._blob.sha256.hexdigest()),
            self._blob.size,
            Digest(self._diff_id.hexdigest()),
            self._unpacked_size,
        )

    def _next_block(self) -> bytes:
        try:
            block = next(self._blocks, b"")
        except _DecompressionError as error:
            raise BlobError(f"{self._origin} cannot be decompressed: {error}. Fetch or build it again.") from None
        self._diff_id.update(block)
        self._unpacked_size += len(block)
        return block


@contextmanager
def open_layer(path: Path, media_type: Optional[str] = None) -> Iterator[LayerStream]:
    """The tar in a blob; without a media type the encoding is taken from the first bytes.

    Raises :class:`BlobError` for a blob that is not there or of another media type, and while it is read for one that
    cannot be decompressed. A wrong digest raises nothing: compare :meth:`LayerStream.finish` with what it should be.
    """
    try:
        encoding = Encoding.detect(path) if media_type is None else Encoding(media_type)
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        raise BlobError(f"The layer {path} does not exist. Fetch or build it again.") from None
    except ValueError:
        raise BlobError(
            f"{path} has the media type {media_type!r}, which is no layer of an OCI image. "
            "Convert the image first: skopeo copy --format oci."
        ) from None
    with file:
        yield LayerStream(file, encoding, str(path))


def unpacked_size(path: Path, media_type: str) -> int:
    """Bytes of the tar in a blob: read from the zstd frame where it says so, else by decompressing."""
    if media_type == media_types.LAYER_ZSTD:
        import zstandard

        with path.open("rb") as file:
            # A blob may have several frames, and then says nothing of the others: the sums decide in the end.
            size: int = zstandard.frame_content_size(file.read(18))
        if size > 0:
            return size
    with open_layer(path, media_type) as stream:
        return stream.finish().unpacked_size


class _DecompressionError(Exception):
    """Why a blob cannot be decompressed."""


class _HashingReader:
    """Reads a file in blocks and hashes what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.size = 0

    def read(self, size: int = _READ_SIZE) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        self.size += len(data)
        return data


def _decompressed(blob: _HashingReader, encoding: Encoding) -> Iterator[bytes]:
    if encoding is Encoding.ZSTD:
        return _zstd(blob)
    if encoding is Encoding.GZIP:
        return _gzip(blob)
    return iter(blob.read, b"")


def _zstd(blob: _HashingReader) -> Iterator[bytes]:
    import zstandard

    # The library calls nothing of the file but read.
    source = cast(BinaryIO, blob)
    reader = zstandard.ZstdDecompressor().stream_reader(source, read_size=_READ_SIZE, read_across_frames=True)
    try:
        yield from iter(lambda: reader.read(_READ_SIZE), b"")
    except zstandard.ZstdError as error:
        raise _DecompressionError(str(error)) from None


def _gzip(blob: _HashingReader) -> Iterator[bytes]:
    from zlib_ng import zlib_ng

    data = blob.read()
    while data:
        member = zlib_ng.decompressobj(31)
        while not member.eof:
            if not data:
                raise _DecompressionError("it breaks off")
            try:
                # A limit, since a few bytes of input may become gigabytes.
                block = member.decompress(data, _READ_SIZE)
            except zlib_ng.error as error:  # type: ignore[misc]  # its stub declares an instance
                raise _DecompressionError(str(error)) from None
            data = member.unconsumed_tail or (b"" if member.eof else blob.read())
            if block:
                yield block
        data = member.unused_data or blob.read()
