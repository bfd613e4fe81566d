from __future__ import annotations

import errno
import io
import json
import os
import tarfile
from pathlib import Path
from typing import BinaryIO, List, Sequence

import pytest
import zstandard

from imagekit.oci import layer as layer_module
from imagekit.oci.compression import GZIP, ZSTD, Compression
from imagekit.oci.digest import Digest
from imagekit.oci.entry import Entry, EntryKind, Piece, directory, whiteout
from imagekit.oci.json_document import Document
from imagekit.oci.layer import Layer, LayerError, write_layer
from imagekit.oci.piece import tar_piece
from imagekit.oci.tree import tree_entries


def file(path: str, content: bytes = b"", mode: int = 0o644) -> Entry:
    return Entry(path, EntryKind.FILE, mode, content=content)


def hardlink(path: str, target: str) -> Entry:
    return Entry(path, EntryKind.HARDLINK, 0o644, link_target=target)


def members(output_dir: Path, layer: Layer) -> List[tarfile.TarInfo]:
    blob = (output_dir / "blobs/sha256" / layer.digest.hex).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(zstandard.ZstdDecompressor().decompress(blob)), mode="r:") as tar:
        return tar.getmembers()


def write(output_dir: Path, *pieces: Piece, compression: Compression = ZSTD) -> Layer:
    return write_layer(pieces, output_dir, created_by="test", compression=compression)


def refusal(output_dir: Path, *pieces: Piece) -> str:
    with pytest.raises(LayerError) as error:
        write(output_dir, *pieces)
    assert not list(output_dir.rglob("*")), "nothing is left behind"
    return str(error.value)


def test_entries_are_sorted_and_parents_added(tmp_path: Path) -> None:
    layer = write(
        tmp_path,
        Piece("one", [file("var/lib/openstack/x", mode=0o755), file("etc/z"), file("a-b")]),
        Piece("two", [file("a/b"), directory("var/lib/openstack", 0o700), file("tmp/x")]),
    )
    assert [(member.name, member.mode, member.mtime) for member in members(tmp_path, layer)] == [
        (name, mode, 1735689600)
        for name, mode in (
            ("a", 0o755),
            ("a/b", 0o644),
            ("a-b", 0o644),
            ("etc", 0o755),
            ("etc/z", 0o644),
            ("tmp", 0o1777),
            ("tmp/x", 0o644),
            ("var", 0o755),
            ("var/lib", 0o755),
            ("var/lib/openstack", 0o700),
            ("var/lib/openstack/x", 0o755),
        )
    ]


def test_the_value_says_what_the_blob_is(tmp_path: Path) -> None:
    layer = write(tmp_path, Piece("one", [file("etc/x", b"x" * 5000)]))
    blob = (tmp_path / "blobs/sha256" / layer.digest.hex).read_bytes()
    tar = zstandard.ZstdDecompressor().decompress(blob)
    assert layer == Layer(
        "application/vnd.oci.image.layer.v1.tar+zstd",
        Digest.of(blob),
        len(blob),
        Digest.of(tar),
        len(tar),
        2,
        "test",
    )
    text = (tmp_path / "layer.json").read_bytes()
    assert Layer.from_document(Document.parse(text, "layer.json")) == layer
    assert json.loads(text)["mediaType"] == layer.media_type
    assert sorted(path.name for path in (tmp_path / "blobs/sha256").iterdir()) == [layer.digest.hex]


CONTENT = bytes(range(256)) * 10_000


def pieces_of(tmp_path: Path) -> Sequence[Sequence[Piece]]:
    """The same entries as values, as a directory tree, as a tar in another order, and as two tars."""
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    for folder in (root / "usr", root / "usr/bin"):
        folder.chmod(0o755)
    for name in ("usr/bin/a", "usr/bin/b", "usr/c"):
        (root / name).write_bytes(CONTENT + name.encode())
        (root / name).chmod(0o644)
        os.utime(root / name, (1, 1))
    (root / "usr/bin/s").symlink_to("a")
    os.link(root / "usr/bin/a", root / "usr/bin/0")
    uid, gid = root.stat().st_uid, root.stat().st_gid

    def tar(name: str, *paths: str) -> Piece:
        with tarfile.open(tmp_path / name, "w:", format=tarfile.GNU_FORMAT) as archive:
            for path in paths:
                archive.add(root / path, path, recursive=False)
        return tar_piece(tmp_path / name)

    values = [
        Entry("usr", EntryKind.DIRECTORY, 0o755, uid=uid, gid=gid),
        Entry("usr/bin", EntryKind.DIRECTORY, 0o755, uid=uid, gid=gid),
        Entry("usr/bin/0", EntryKind.FILE, 0o644, content=CONTENT + b"usr/bin/a", uid=uid, gid=gid),
        Entry("usr/bin/a", EntryKind.HARDLINK, 0o644, link_target="usr/bin/0", uid=uid, gid=gid),
        Entry("usr/bin/b", EntryKind.FILE, 0o644, content=CONTENT + b"usr/bin/b", uid=uid, gid=gid),
        Entry("usr/bin/s", EntryKind.SYMLINK, 0o777, link_target="a", uid=uid, gid=gid),
        Entry("usr/c", EntryKind.FILE, 0o644, content=CONTENT + b"usr/c", uid=uid, gid=gid),
    ]
    return (
        [Piece("values", values)],
        [Piece("reversed", values[::-1])],
        [Piece("tree", tree_entries(root))],
        [tar("all.tar", "usr/c", "usr/bin/s", "usr/bin/b", "usr/bin/a", "usr/bin/0", "usr/bin", "usr")],
        [
            tar("one.tar", "usr", "usr/bin", "usr/bin/0", "usr/bin/a", "usr/c"),
            tar("two.tar", "usr", "usr/bin/b", "usr/bin/s", "usr/bin"),
        ],
    )


@pytest.mark.parametrize("compression", [ZSTD, GZIP])
def test_same_entries_give_the_same_layer(tmp_path: Path, compression: Compression) -> None:
    layers = [
        write(tmp_path / f"out-{number}", *pieces, compression=compression)
        for number, pieces in enumerate(pieces_of(tmp_path))
    ]
    assert len(set(layers)) == 1


def test_digest_does_not_move(tmp_path: Path) -> None:
    # Any change of the form of layers changes this, and with it every image's digest: change it on purpose only.
    layer = write(tmp_path, Piece("one", [file("etc/x", b"x" * 5000), whiteout("etc/y"), hardlink("etc/z", "etc/x")]))
    assert layer.diff_id.hex == "7a66cd264b3a75c629e1b3979c82c8b6810cf38c21d8cda7d077969b582e59db"
    assert layer.digest.hex == "8094b0852d08ba89f3d8c6ffbdc0bc738b25f125adc3f1e45ad030a0bd9ceeed"


def test_equal_paths_of_two_pieces(tmp_path: Path) -> None:
    (tmp_path / "root/d").mkdir(parents=True)
    (tmp_path / "root/d/x").write_bytes(b"same")
    (tmp_path / "root/d/x").chmod(0o644)
    (tmp_path / "root/d").chmod(0o755)
    status = (tmp_path / "root/d").stat()
    value = Entry("d/x", EntryKind.FILE, 0o644, status.st_uid, status.st_gid, b"same")
    layer = write(tmp_path / "out", Piece("one", [value]), Piece("two", tree_entries(tmp_path / "root")))
    assert [member.name for member in members(tmp_path / "out", layer)] == ["d", "d/x"]


@pytest.mark.parametrize(
    "one, two, difference",
    [
        (file("x", b"a"), file("x", b"b"), "its content differs"),
        (file("x"), file("x", mode=0o755), "its mode is 0644 in the first and 0755 in the second"),
        (file("x"), Entry("x", EntryKind.FILE, 0o644, 1, 2), "its owner is 0:0 in the first and 1:2 in the second"),
        (file("x"), directory("x"), "it is a file in the first and a directory in the second"),
        (directory("x"), directory("x", 0o700), "its mode is 0755 in the first and 0700 in the second"),
        (
            Entry("x", EntryKind.SYMLINK, 0o777, link_target="a"),
            Entry("x", EntryKind.SYMLINK, 0o777, link_target="b"),
            "it points to 'a' in the first and to 'b' in the second",
        ),
    ],
)
def test_refuses_colliding_pieces(tmp_path: Path, one: Entry, two: Entry, difference: str) -> None:
    assert refusal(tmp_path, Piece("one.tar", [one]), Piece("two.tar", [two])) == (
        f"one.tar and two.tar both hold 'x', and {difference}. "
        "One path has one owner: leave it out of one of them, or put them into different layers."
    )


@pytest.mark.parametrize("order", [1, -1])
def test_refuses_a_path_below_a_file(tmp_path: Path, order: int) -> None:
    pieces = [Piece("one.tar", [file("etc/x")]), Piece("two.tar", [file("etc/x/y/z")])][::order]
    assert refusal(tmp_path, *pieces) == (
        "two.tar holds 'etc/x/y/z', but one.tar holds 'etc/x' as a file. "
        "Only a directory has paths below it: leave one of them out."
    )


def test_refuses_a_path_twice_in_a_piece(tmp_path: Path) -> None:
    assert refusal(tmp_path, Piece("one.tar", [file("x"), file("x")])) == (
        "one.tar holds 'x' twice. Make the piece again."
    )


def test_refuses_parents_that_are_symlinks_in_a_base(tmp_path: Path) -> None:
    assert refusal(tmp_path, Piece("one.tar", [file("lib/udev/rules.d/x")])) == (
        "one.tar holds 'lib/udev/rules.d/x', but 'lib' is a symlink in a base, and a layer with this path would "
        "replace the symlink. Write it as 'usr/lib/udev/rules.d/x'."
    )


def test_a_base_may_hold_such_a_directory_itself(tmp_path: Path) -> None:
    write(tmp_path, Piece("base", [directory("lib"), file("lib/x")]))


def test_refuses_a_hardlink_out_of_its_piece(tmp_path: Path) -> None:
    assert refusal(tmp_path, Piece("one.tar", [file("a")]), Piece("two.tar", [hardlink("b", "a")])) == (
        "two.tar holds 'b' as a hardlink to 'a', which is no file of that piece. "
        "Put both into one piece, or make it a copy."
    )


def test_refuses_a_file_that_became_shorter(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/x").write_bytes(b"x" * 100)
    entries = list(tree_entries(tmp_path / "root"))
    (tmp_path / "root/x").write_bytes(b"x" * 40)
    with pytest.raises(LayerError) as error:
        write(tmp_path / "out", Piece("tree", entries))
    assert str(error.value) == (
        f"{tmp_path}/root/x changed while 'x' was read from it: 60 bytes are missing. Run the build again."
    )
    assert not list((tmp_path / "out/blobs/sha256").iterdir())


@pytest.mark.parametrize("kind", ["full disk", "interrupt"])
def test_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    def write_all(target: BinaryIO, data: bytes) -> None:
        target.write(data[:10])
        raise KeyboardInterrupt if kind == "interrupt" else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(layer_module, "write_all", write_all)
    with pytest.raises(KeyboardInterrupt if kind == "interrupt" else LayerError) as error:
        write(tmp_path, Piece("one", [file("x")]))
    if kind == "full disk":
        assert str(error.value) == (
            f"The layer 'test' does not fit: No space left on device in {tmp_path}. "
            "It needs up to 1 MB: make room there and run the build again."
        )
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_many_files_do_not_stay_open(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    for number in range(300):
        (tmp_path / "root" / str(number)).write_bytes(b"x")
    before = len(os.listdir("/proc/self/fd"))
    layer = write(tmp_path / "out", Piece("tree", tree_entries(tmp_path / "root")))
    assert layer.entries == 300
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "field, value, message",
    [
        (
            "mediaType",
            "text/plain",
            "layer.json: 'mediaType' is wrong: no layer has the media type 'text/plain'; use one of "
            "['application/vnd.oci.image.layer.v1.tar', 'application/vnd.oci.image.layer.v1.tar+gzip', "
            "'application/vnd.oci.image.layer.v1.tar+zstd'].",
        ),
        (
            "diff_id",
            "md5:1",
            "layer.json: 'diff_id' is wrong: A digest is written 'sha256:' and 64 hexadecimal digits, but got 'md5:1'. "
            "Other algorithms are not used here: recompute it with sha256sum.",
        ),
    ],
)
def test_refuses_bad_layer_json(tmp_path: Path, field: str, value: str, message: str) -> None:
    write(tmp_path, Piece("one", [file("x")]))
    fields = json.loads((tmp_path / "layer.json").read_bytes())
    fields[field] = value
    with pytest.raises(Exception) as error:
        Layer.from_document(Document.parse(json.dumps(fields).encode(), "layer.json"))
    assert str(error.value) == message
