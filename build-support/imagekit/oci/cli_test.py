"""The commands as a user calls them, from pieces to an exported image."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Dict, Tuple

import pytest

from imagekit.oci.conftest import SampleImage

PATH = os.environ.get("PATH", os.defpath)


def imagekit(*arguments: object, path: str = PATH) -> Tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "imagekit", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PATH": path},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def piece(path: Path, contents: Dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_from_pieces_to_an_exported_image(tmp_path: Path) -> None:
    one = piece(tmp_path / "one.tar", {"etc/one": b"1", "etc/both": b"same"})
    two = piece(tmp_path / "two.tar", {"etc/two": b"2", "etc/both": b"same"})
    status, output, _ = imagekit(
        "layer", "--piece", one, "--piece", two, "--created-by", "a", "--output-dir", tmp_path / "a"
    )
    layer = json.loads((tmp_path / "a/layer.json").read_bytes())
    assert (status, output) == (0, layer["digest"] + "\n")
    assert (
        imagekit(
            "layer",
            "--piece",
            one,
            "--compression",
            "gzip",
            "--level",
            1,
            "--created-by",
            "b",
            "--output-dir",
            tmp_path / "b",
        )[0]
        == 0
    )
    layers = [layer, json.loads((tmp_path / "b/layer.json").read_bytes())]
    assert [value["created_by"] for value in layers] == ["a", "b"]
    spec = {"architecture": "amd64", "layers": layers, "config": {}, "created": 1735689600}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    status, output, _ = imagekit("assemble", "--spec", tmp_path / "spec.json", "--output-dir", tmp_path / "image")
    digest = output.strip()
    assert digest == json.loads((tmp_path / "image/image.json").read_bytes())["digest"]
    for name in ("a", "b"):
        shutil.copytree(tmp_path / name / "blobs", tmp_path / "image/blobs", dirs_exist_ok=True)
    status, output, _ = imagekit("export-layout", "--layout", tmp_path / "image", "--destination", tmp_path / "dist")
    assert (status, output) == (0, f"wrote {tmp_path}/dist\n  {digest}  0.0 MB compressed, 2 layers\n")
    assert imagekit("validate", tmp_path / "dist") == (0, f"{tmp_path}/dist is sound\n", "")
    assert imagekit("unpack", "--layout", tmp_path / "dist", "--no-owners", "--output", tmp_path / "root") == (
        0,
        "",
        "",
    )
    assert sorted(os.listdir(tmp_path / "root/etc")) == ["both", "one", "two"]
    assert (
        imagekit("docker-archive", "--layout", tmp_path / "dist", "--tag", "x:1", "--output", tmp_path / "x.tar")[0]
        == 0
    )
    assert (tmp_path / "x.tar").exists()


def test_colliding_pieces_are_refused_without_traceback(tmp_path: Path) -> None:
    one = piece(tmp_path / "one.tar", {"etc/x": b"1"})
    two = piece(tmp_path / "two.tar", {"etc/x": b"2"})
    assert imagekit("layer", "--piece", one, "--piece", two, "--created-by", "a", "--output-dir", tmp_path / "out") == (
        1,
        "",
        f"error: {one} and {two} both hold 'etc/x', and its content differs. "
        "One path has one owner: leave it out of one of them, or put them into different layers.\n",
    )


def test_missing_specification(tmp_path: Path) -> None:
    assert imagekit("assemble", "--spec", tmp_path / "none.json", "--output-dir", tmp_path / "out") == (
        1,
        "",
        f"error: The file {tmp_path}/none.json does not exist. Check the path given to --spec.\n",
    )


@pytest.mark.parametrize("arguments", [("--docker-archive", "x.tar"), ("--tag", "x:1")])
def test_archive_needs_a_tag(tmp_path: Path, sample_image: SampleImage, arguments: Tuple[str, str]) -> None:
    assert imagekit("export-layout", "--layout", sample_image.path, "--destination", tmp_path / "dist", *arguments) == (
        1,
        "",
        "error: --docker-archive and --tag belong together. Give both or none.\n",
    )


def test_run_without_an_engine(tmp_path: Path, sample_image: SampleImage) -> None:
    assert imagekit("run-image", "--layout", sample_image.path, "--", "x", path=str(tmp_path)) == (
        1,
        "",
        "error: Neither docker nor podman is on PATH, so the image cannot run. "
        "Install one: apt-get install docker.io.\n",
    )


def test_run_hands_over_to_the_engine(tmp_path: Path, sample_image: SampleImage) -> None:
    engine = tmp_path / "bin/docker"
    engine.parent.mkdir()
    engine.write_text('#!/bin/sh\ncase $1 in image) exit 1;; load) cat > /dev/null;; run) echo "$@"; exit 7;; esac\n')
    engine.chmod(0o755)
    assert imagekit(
        "run-image",
        "--layout",
        sample_image.path,
        "--tag",
        "x:1",
        "--option=--network=host",
        "--",
        "tool",
        "--help",
        path=f"{engine.parent}:{PATH}",
    ) == (7, "run --rm --interactive --network=host x:1 tool --help\n", "")
