from __future__ import annotations

from pathlib import Path

from benchmarks.blobs import Blob, received_bytes, stored_blobs


def store(storage: Path, name: str, content: bytes) -> None:
    folder = storage / "docker/registry/v2/blobs/sha256" / name[:2] / name
    folder.mkdir(parents=True)
    (folder / "data").write_bytes(content)


def test_stored_blobs(tmp_path: Path) -> None:
    store(tmp_path, "ab" * 32, b"layer")
    # Links of a repository to its blobs, and uploads that have not ended, are no blobs.
    for path in ("_layers/sha256/cd/link", "_uploads/1/data"):
        file = tmp_path / "docker/registry/v2/repositories/keystone" / path
        file.parent.mkdir(parents=True)
        file.write_text("")
    assert stored_blobs(tmp_path) == {Blob(f"sha256:{'ab' * 32}", 5)}


def test_a_registry_without_images_has_no_blobs(tmp_path: Path) -> None:
    assert stored_blobs(tmp_path) == frozenset()


def test_only_new_blobs_were_received(tmp_path: Path) -> None:
    store(tmp_path, "ab" * 32, b"base layer")
    before = stored_blobs(tmp_path)
    store(tmp_path, "cd" * 32, b"layer")
    store(tmp_path, "ef" * 32, b"{}")
    assert received_bytes(before, stored_blobs(tmp_path)) == 7
    assert received_bytes(before, before) == 0
