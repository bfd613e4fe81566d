from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import List, Sequence

import pytest

from imagekit.sandbox import store as store_module
from imagekit.sandbox.store import RootfsStore, StoreError, layer_digest, stack_digest


class Unpacker:
    """Writes one file per layer, and counts."""

    def __init__(self) -> None:
        self.calls: List[Sequence[Path]] = []

    def __call__(self, layers: Sequence[Path], output: Path) -> None:
        self.calls.append(tuple(layers))
        (output / "etc").mkdir()
        for layer in layers:
            (output / "etc" / layer.name).write_bytes(layer.read_bytes())


@pytest.fixture
def layers(tmp_path: Path) -> Sequence[Path]:
    (tmp_path / "base").write_text("base")
    (tmp_path / "more").write_text("more")
    return [tmp_path / "base", tmp_path / "more"]


@pytest.fixture
def unpacker() -> Unpacker:
    return Unpacker()


@pytest.fixture
def store(tmp_path: Path, unpacker: Unpacker) -> RootfsStore:
    return RootfsStore(tmp_path / "store", unpacker)


def test_the_digest_of_a_blob_is_its_name(tmp_path: Path) -> None:
    blob = tmp_path / "blobs/sha256" / ("a" * 64)
    blob.parent.mkdir(parents=True)
    blob.write_text("anything")
    assert layer_digest(blob) == "sha256:" + "a" * 64


def test_the_digest_of_another_file_is_its_hash(tmp_path: Path) -> None:
    (tmp_path / "layer.tar").write_bytes(b"x")
    assert layer_digest(tmp_path / "layer.tar") == "sha256:" + hashlib.sha256(b"x").hexdigest()


def test_a_missing_layer_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as error:
        layer_digest(tmp_path / "no.tar")
    assert str(error.value) == f"cannot read the layer '{tmp_path}/no.tar': No such file or directory."


def test_a_root_file_system_is_unpacked_once(store: RootfsStore, unpacker: Unpacker, layers: Sequence[Path]) -> None:
    with store.rootfs(layers) as first, store.rootfs(layers) as second:
        assert first == second
        assert first.digest == stack_digest([layer_digest(layer) for layer in layers])
        assert (first.path / "etc/more").read_text() == "more"
    assert len(unpacker.calls) == 1


def test_the_order_of_layers_matters(store: RootfsStore, layers: Sequence[Path]) -> None:
    with store.rootfs(layers) as first, store.rootfs(layers[::-1]) as second:
        assert first.digest != second.digest
        assert first.path != second.path


def test_an_entry_that_lost_a_file_is_made_again(
    store: RootfsStore, unpacker: Unpacker, layers: Sequence[Path]
) -> None:
    with store.rootfs(layers) as rootfs:
        (rootfs.path / "etc/more").unlink()
    with store.rootfs(layers) as rootfs:
        assert (rootfs.path / "etc/more").read_text() == "more"
    assert len(unpacker.calls) == 2


def test_after_a_reboot_the_contents_are_looked_at_too(
    store: RootfsStore, unpacker: Unpacker, layers: Sequence[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.rootfs(layers) as rootfs:
        pass
    monkeypatch.setattr(store_module, "_boot", lambda: "another boot")
    with store.rootfs(layers):
        assert len(unpacker.calls) == 1
    monkeypatch.setattr(store_module, "_boot", lambda: "a third boot")
    os.truncate(rootfs.path / "etc/more", 0)
    with store.rootfs(layers):
        assert (rootfs.path / "etc/more").read_text() == "more"
    assert len(unpacker.calls) == 2


def test_a_half_made_entry_of_a_killed_process_is_not_used_and_goes_away(
    store: RootfsStore, unpacker: Unpacker, layers: Sequence[Path], tmp_path: Path
) -> None:
    with store.rootfs(layers) as rootfs:
        entry = rootfs.path.parent
    leftover = Path(f"{entry}.tmp.1")
    (leftover / "root/locked").mkdir(parents=True)
    (leftover / "root/locked").chmod(0o500)
    (entry / "state").unlink()
    with store.rootfs(layers):
        assert len(unpacker.calls) == 2
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == [entry.name, f"{entry.name}.lock"]


def test_nothing_stays_when_unpacking_fails(tmp_path: Path, layers: Sequence[Path]) -> None:
    def fails(layers: Sequence[Path], output: Path) -> None:
        (output / "half").write_text("")
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError) as error:
        with RootfsStore(tmp_path / "store", fails).rootfs(layers):
            pass
    assert str(error.value) == (
        f"cannot unpack a root file system into '{tmp_path}/store': No space left on device. "
        "Free space there or give another store."
    )
    assert [path.suffix for path in (tmp_path / "store").iterdir()] == [".lock"]


def test_entries_unused_for_long_are_removed_when_another_is_made(
    store: RootfsStore, layers: Sequence[Path], tmp_path: Path
) -> None:
    with store.rootfs(layers[:1]) as old:
        pass
    with store.rootfs(layers[1:]) as in_use:
        os.utime(old.path.parent / "state", (1, 1))
        os.utime(in_use.path.parent / "state", (1, 1))
        with store.rootfs(layers):
            assert not old.path.exists()
            assert in_use.path.exists()


def test_the_entries_that_were_used_least_recently_make_room(
    tmp_path: Path, unpacker: Unpacker, layers: Sequence[Path]
) -> None:
    layers = [*layers, tmp_path / "third"]
    layers[2].write_text("third")
    # Room for the block of one file, and for that of a second.
    store = RootfsStore(tmp_path / "store", unpacker, max_bytes=2 * 4096)
    paths = []
    for age, layer in zip((30, 20), layers):
        with store.rootfs([layer]) as rootfs:
            paths.append(rootfs.path.parent)
        then = time.time() - age
        os.utime(paths[-1] / "state", (then, then))
    with store.rootfs([layers[0]]):
        with store.rootfs([layers[2]]) as third:
            assert paths[0].exists() and not paths[1].exists() and third.path.exists()


def test_an_entry_in_use_stays_although_there_is_no_room(
    tmp_path: Path, unpacker: Unpacker, layers: Sequence[Path]
) -> None:
    store = RootfsStore(tmp_path / "store", unpacker, max_bytes=0)
    with store.rootfs([layers[0]]) as first, store.rootfs([layers[1]]) as second:
        assert first.path.exists() and second.path.exists()


def test_no_layers_are_refused(store: RootfsStore) -> None:
    with pytest.raises(StoreError) as error:
        with store.rootfs([]):
            pass
    assert str(error.value) == (
        "a root file system needs at least one layer. Pass --rootfs LAYERFILE, bottom layer first."
    )


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path, layers: Sequence[Path]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as error:
        with RootfsStore(tmp_path / "file/store").rootfs(layers):
            pass
    assert str(error.value) == (
        f"cannot use '{tmp_path}/file/store' as the store of root file systems: Not a directory. "
        "Give a directory you may write to."
    )
