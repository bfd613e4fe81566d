"""Several processes and one store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Sequence

import pytest

from imagekit.oci.entry import Entry, EntryKind, Piece
from imagekit.oci.layer import write_layer
from imagekit.sandbox.store import RootfsStore, StoreError

PROGRAM = """
import sys
from pathlib import Path
from imagekit.sandbox.store import RootfsStore
with RootfsStore(Path(sys.argv[1])).rootfs([Path(sys.argv[2])]) as rootfs:
    state = rootfs.path.parent / "state"
    print(state.stat().st_ino, len(list((rootfs.path / "etc").iterdir())))
"""


def layer(directory: Path, files: int) -> Path:
    entries = [Entry(f"etc/{number}", EntryKind.FILE, 0o644, content=b"x" * 100) for number in range(files)]
    written = write_layer([Piece("base", entries)], directory, created_by="base")
    return directory / "blobs/sha256" / written.digest.hex


def start(store: Path, blob: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(store), str(blob)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def outputs(processes: Sequence["subprocess.Popen[str]"]) -> Sequence[str]:
    return [process.communicate()[0] for process in processes]


def test_processes_at_once_unpack_once_and_see_it_whole(tmp_path: Path) -> None:
    blob = layer(tmp_path / "layer", 2000)
    seen = outputs([start(tmp_path / "store", blob) for _ in range(4)])
    assert len(set(seen)) == 1
    assert seen[0].split()[1] == "2000"


def test_a_process_killed_while_unpacking_is_no_harm(tmp_path: Path) -> None:
    blob = layer(tmp_path / "layer", 2000)
    process = start(tmp_path / "store", blob)
    while not list((tmp_path / "store").glob("*.tmp.*/root/etc/*")):
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert outputs([start(tmp_path / "store", blob)])[0].split()[1] == "2000"
    assert list((tmp_path / "store").glob("*.tmp.*")) == []


def test_a_blob_that_is_not_what_its_name_says(tmp_path: Path) -> None:
    good = layer(tmp_path / "good", 1)
    bad = good.with_name("0" * 64)
    good.rename(bad)
    with pytest.raises(StoreError) as error:
        with RootfsStore(tmp_path / "store").rootfs([bad]):
            pass
    assert str(error.value) == (
        f"the layer '{bad}' is damaged: its digest is sha256:{good.name}, not that of its name. Make it again."
    )
    assert list((tmp_path / "store").glob("*/root")) == []
