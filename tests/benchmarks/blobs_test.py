from __future__ import annotations

import json
from pathlib import Path

from benchmarks.blobs import Blob, StoredImage, received_bytes, stored_blobs, stored_image


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


def test_stored_image(tmp_path: Path) -> None:
    layers = [{"digest": f"sha256:{digit * 64}", "size": 10} for digit in "12"]
    manifest = {"config": {"digest": f"sha256:{'3' * 64}", "size": 3}, "layers": layers}
    store(tmp_path, "ef" * 32, json.dumps(manifest).encode())
    link = tmp_path / "docker/registry/v2/repositories/fleet/ours/_manifests/tags/nova-2025.2/current/link"
    link.parent.mkdir(parents=True)
    link.write_text(f"sha256:{'ef' * 32}")
    assert stored_image(tmp_path, "fleet/ours", "nova-2025.2") == StoredImage(
        (Blob(f"sha256:{'1' * 64}", 10), Blob(f"sha256:{'2' * 64}", 10)), Blob(f"sha256:{'3' * 64}", 3)
    )
