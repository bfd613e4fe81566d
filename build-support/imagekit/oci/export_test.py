from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import pytest

from imagekit.oci import export as export_module
from imagekit.oci.conftest import SampleImage
from imagekit.oci.digest import Digest
from imagekit.oci.export import DockerArchive, ExportError, LinkedDocument, export_layout
from imagekit.oci.layout import Layout
from imagekit.oci.validate import validate_layout

Snapshot = Dict[str, Tuple[int, int, bytes]]


def snapshot(path: Path) -> Snapshot:
    """Inode, time and content of every file."""
    return {
        str(file.relative_to(path)): (file.stat().st_ino, file.stat().st_mtime_ns, file.read_bytes())
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "dist/images/keystone/2025.2"


@pytest.fixture
def last_good(sample_image: SampleImage, destination: Path) -> Snapshot:
    """The destination holds a sound layout that is not the sample's."""
    export_layout(sample_image.path, destination)
    (destination / "index.json").write_bytes((destination / "index.json").read_bytes() + b"\n")
    return snapshot(destination)


def refusal(source: Path, destination: Path) -> str:
    with pytest.raises(ExportError) as error:
        export_layout(source, destination)
    return str(error.value)


def alone(destination: Path) -> bool:
    """Whether nothing but the destination is in its folder."""
    return os.listdir(destination.parent) == [destination.name]


def test_new_destination(sample_image: SampleImage, destination: Path) -> None:
    export = export_layout(sample_image.path, destination)
    assert export.changed and len(export.images) == 1
    validate_layout(destination)
    assert sorted(os.listdir(destination)) == ["blobs", "index.json", "oci-layout"]
    assert alone(destination)


def test_shares_no_file_with_the_source(sample_image: SampleImage, destination: Path) -> None:
    export_layout(sample_image.path, destination)
    assert {file.stat().st_nlink for file in destination.rglob("*") if file.is_file()} == {1}
    assert {file.stat().st_nlink for file in sample_image.path.rglob("*") if file.is_file()} == {1}


def test_only_what_the_index_names_is_copied(sample_image: SampleImage, destination: Path) -> None:
    (sample_image.path / "blobs/sha256" / Digest.of(b"old").hex).write_bytes(b"old")
    (sample_image.path / "image.json").write_text("{}")
    export_layout(sample_image.path, destination)
    assert not (destination / "blobs/sha256" / Digest.of(b"old").hex).exists()
    assert not (destination / "image.json").exists()


def test_unchanged_touches_nothing(sample_image: SampleImage, destination: Path) -> None:
    export_layout(sample_image.path, destination)
    before = snapshot(destination), destination.stat(), destination.parent.stat().st_mtime_ns
    assert not export_layout(sample_image.path, destination).changed
    assert (snapshot(destination), destination.stat(), destination.parent.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"),
        lambda path: path.unlink(),
        lambda path: (path.parent / ("0" * 64)).touch(),
    ],
)
def test_a_damaged_destination_is_mended(
    sample_image: SampleImage, destination: Path, damage: Callable[[Path], object]
) -> None:
    export_layout(sample_image.path, destination)
    damage(destination / "blobs/sha256" / sample_image.layers[0].digest.hex)
    assert export_layout(sample_image.path, destination).changed
    validate_layout(destination)


def test_replaces_the_last_one(sample_image: SampleImage, destination: Path, last_good: Snapshot) -> None:
    assert export_layout(sample_image.path, destination).changed
    assert (destination / "index.json").read_bytes() == (sample_image.path / "index.json").read_bytes()
    assert alone(destination)


def test_replaces_where_names_cannot_be_exchanged(
    sample_image: SampleImage, destination: Path, last_good: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "_exchange", lambda one, other: False)
    assert export_layout(sample_image.path, destination).changed
    validate_layout(destination)
    assert alone(destination)


def test_docker_archive_lies_in_the_layout(sample_image: SampleImage, destination: Path) -> None:
    archive = DockerArchive("image.tar", ("c5c3/keystone:28.0.0",))
    assert export_layout(sample_image.path, destination, archive).changed
    assert sorted(os.listdir(destination)) == ["blobs", "image.tar", "index.json", "oci-layout"]
    validate_layout(destination)
    assert not export_layout(sample_image.path, destination, archive).changed
    assert export_layout(sample_image.path, destination, DockerArchive("image.tar", ("x:1",))).changed
    assert export_layout(sample_image.path, destination).changed
    assert not (destination / "image.tar").exists()


def test_source_faults_are_listed_and_the_last_good_stays(
    sample_image: SampleImage, destination: Path, last_good: Snapshot
) -> None:
    lower, upper = sample_image.layers
    tampered = sample_image.blob(0).read_bytes()[:-1] + b"!"
    sample_image.blob(0).write_bytes(tampered)
    sample_image.blob(1).write_bytes(sample_image.blob(1).read_bytes()[:-5])
    assert refusal(sample_image.path, destination) == (
        f"{sample_image.path} is damaged, so nothing is exported:\n"
        f"  the blob {lower.digest} really has the digest {Digest.of(tampered)}\n"
        f"  the blob {upper.digest} has {upper.size - 5} bytes, but should have {upper.size}\n"
        "Build the image again; if it stays, clear the build cache."
    )
    assert snapshot(destination) == last_good and alone(destination)


def test_missing_blob(sample_image: SampleImage, destination: Path) -> None:
    sample_image.blob(0).unlink()
    assert f"the blob {sample_image.layers[0].digest} is missing" in refusal(sample_image.path, destination)
    assert not destination.exists()


def test_full_disk_leaves_the_last_good(
    sample_image: SampleImage, destination: Path, last_good: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(source: Path, target: Path, descriptor: object) -> List[str]:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr(export_module, "_copy_blob", copy)
    message = refusal(sample_image.path, destination)
    assert message.startswith(
        f"{sample_image.path} is not exported to {destination}: No space left on device "
        f"({destination.parent}/.2025.2.new-"
    )
    assert message.endswith("). Make room for 1 MB and run the command again. What was there before is still there.")
    assert snapshot(destination) == last_good and alone(destination)


def test_refuses_a_relative_destination(sample_image: SampleImage) -> None:
    assert refusal(sample_image.path, Path("dist")) == (
        f"The destination must be an absolute path, but was 'dist'. Use '{Path('dist').absolute()}'."
    )


def test_refuses_a_folder_of_other_files(sample_image: SampleImage, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").touch()
    assert refusal(sample_image.path, tmp_path / "mine") == (
        f"{tmp_path}/mine holds other files and no oci-layout, so it is not replaced by a layout. "
        "Empty it, or name another destination."
    )
    assert (tmp_path / "mine/thesis.txt").exists()


@pytest.mark.parametrize("make", [lambda path: path.touch(), lambda path: path.symlink_to("/")])
def test_refuses_what_is_no_directory(
    sample_image: SampleImage, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "x")
    assert refusal(sample_image.path, tmp_path / "x") == (
        f"{tmp_path}/x is no directory, so it is not replaced by a layout. Remove it, or name another destination."
    )


def test_an_empty_folder_is_replaced(sample_image: SampleImage, destination: Path) -> None:
    destination.mkdir(parents=True)
    assert export_layout(sample_image.path, destination).changed
    validate_layout(destination)


@pytest.mark.parametrize("name", ["a/b", "index.json", "oci-layout", "blobs", "..", ""])
def test_refuses_archive_names(name: str) -> None:
    with pytest.raises(ExportError) as error:
        DockerArchive(name, ("x:1",))
    assert str(error.value) == (
        f"The docker archive must have a file name of its own without a directory, but was {name!r}. "
        "Use for example 'image.tar'."
    )


# The tests below stop an export in the middle: the source's layer is a pipe that the test feeds.


def start(source: Path, destination: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "imagekit", "export-layout", "--layout", str(source), "--destination", str(destination)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)


def temporary(destination: Path) -> List[Path]:
    return list(destination.parent.glob(".2025.2.new-*"))


@pytest.fixture
def blocked(sample_image: SampleImage) -> Tuple[int, bytes]:
    """The write end of the pipe in the place of the upper layer, and what the layer was."""
    data = sample_image.blob(1).read_bytes()
    sample_image.blob(1).unlink()
    os.mkfifo(sample_image.blob(1))
    return os.open(sample_image.blob(1), os.O_RDWR), data


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_the_last_good(
    sample_image: SampleImage, destination: Path, last_good: Snapshot, blocked: Tuple[int, bytes], stop: signal.Signals
) -> None:
    process = start(sample_image.path, destination)
    wait_until(lambda: bool(temporary(destination)))
    process.send_signal(stop)
    assert process.wait(30) == 130
    assert snapshot(destination) == last_good and alone(destination)


def test_what_a_killed_export_left_is_cleared(
    sample_image: SampleImage, destination: Path, last_good: Snapshot, blocked: Tuple[int, bytes]
) -> None:
    process = start(sample_image.path, destination)
    wait_until(lambda: bool(temporary(destination)))
    process.kill()
    process.wait(30)
    assert snapshot(destination) == last_good and not alone(destination)
    sample_image.blob(1).unlink()
    sample_image.blob(1).write_bytes(blocked[1])
    assert export_layout(sample_image.path, destination).changed
    assert alone(destination)


def test_two_exports_at_once_take_turns(
    sample_image: SampleImage, destination: Path, blocked: Tuple[int, bytes]
) -> None:
    pipe, data = blocked
    first = start(sample_image.path, destination)
    wait_until(lambda: bool(temporary(destination)))
    second = start(sample_image.path, destination)
    assert second.stderr is not None
    assert second.stderr.readline() == f"waiting for another export to {destination.parent}\n"
    # The second export finds a file: only the first still has the pipe open.
    os.rename(sample_image.blob(1), sample_image.path / "pipe")
    sample_image.blob(1).write_bytes(data)
    os.write(pipe, data)
    os.close(pipe)
    output, _ = first.communicate(timeout=30)
    digest = Layout(destination).read_image().descriptor.digest
    assert output.splitlines()[0] == f"wrote {destination}" and str(digest) in output
    output, _ = second.communicate(timeout=30)
    assert output.splitlines()[0] == f"unchanged {destination}"
    validate_layout(destination)
    assert alone(destination)


def linked(folder: Path, text: str) -> List[LinkedDocument]:
    documents = []
    for ending in (".cdx.json", ".provenance.json"):
        (folder / f"image{ending}").write_text(text)
        documents.append(LinkedDocument(folder / f"image{ending}", f"2025.2{ending}"))
    return documents


def test_documents_are_exchanged_with_the_layout(sample_image: SampleImage, destination: Path, tmp_path: Path) -> None:
    destination.parent.mkdir(parents=True)
    sbom, provenance = (destination.with_name(f"2025.2{ending}") for ending in (".cdx.json", ".provenance.json"))
    # As they were written before they were links.
    sbom.write_text("an older image's")
    assert export_layout(sample_image.path, destination, documents=linked(tmp_path, "first")).changed
    assert (sbom.read_text(), provenance.read_text()) == ("first", "first")
    validate_layout(destination)
    assert not export_layout(sample_image.path, destination, documents=linked(tmp_path, "first")).changed
    assert export_layout(sample_image.path, destination, documents=linked(tmp_path, "second")).changed
    assert (sbom.read_text(), provenance.read_text()) == ("second", "second")
    provenance.unlink()
    assert export_layout(sample_image.path, destination, documents=linked(tmp_path, "second")).changed
    assert provenance.read_text() == "second"
    assert sorted(os.listdir(destination.parent)) == ["2025.2", sbom.name, provenance.name]


def test_an_interrupt_before_the_exchange_leaves_the_documents_of_the_old_layout(
    sample_image: SampleImage, destination: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_layout(sample_image.path, destination, documents=linked(tmp_path, "old"))
    before = snapshot(destination.parent)

    def interrupted(new: Path, destination: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export_module, "_replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_layout(sample_image.path, destination, documents=linked(tmp_path, "new"))
    assert snapshot(destination.parent) == before


def test_a_document_cannot_take_the_place_of_the_layout(tmp_path: Path) -> None:
    with pytest.raises(ExportError) as error:
        LinkedDocument(tmp_path / "sbom.json", "../sbom.json")
    assert str(error.value) == (
        f"The link to {tmp_path / 'sbom.json'} must be a file name without a directory, but was '../sbom.json'. Use for "
        "example 'image.cdx.json'."
    )
