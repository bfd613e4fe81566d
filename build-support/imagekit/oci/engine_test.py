"""Engines are played by shell scripts; the integration test uses real ones."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Callable

import pytest

from imagekit.oci.conftest import SampleImage
from imagekit.oci.engine import (
    Engine,
    EngineError,
    check_engine,
    default_tag,
    find_engine,
    load_image,
    run_command,
)
from imagekit.oci.layout import Layout

MakeEngine = Callable[..., Engine]


@pytest.fixture
def make_engine(tmp_path: Path) -> MakeEngine:
    def make(script: str, name: str = "docker") -> Engine:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return Engine(name, str(path))

    return make


def test_docker_comes_first(tmp_path: Path, make_engine: MakeEngine) -> None:
    podman = make_engine("", "podman")
    assert find_engine(None, str(tmp_path / "bin")) == podman
    docker = make_engine("", "docker")
    assert find_engine(None, str(tmp_path / "bin")) == docker
    assert find_engine("podman", str(tmp_path / "bin")) == podman


@pytest.mark.parametrize(
    "name, message",
    [
        (
            None,
            "Neither docker nor podman is on PATH, so the image cannot run. Install one: apt-get install docker.io.",
        ),
        ("docker", "docker is not on PATH, so the image cannot run. Install it: apt-get install docker.io."),
        ("podman", "podman is not on PATH, so the image cannot run. Install it: apt-get install podman."),
    ],
)
def test_no_engine(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(EngineError) as error:
        find_engine(name, str(tmp_path))
    assert str(error.value) == message


def test_docker_daemon_is_down(make_engine: MakeEngine) -> None:
    engine = make_engine('echo "Cannot connect to the Docker daemon. Is the docker daemon running?" >&2; exit 1')
    with pytest.raises(EngineError) as error:
        check_engine(engine)
    assert str(error.value) == (
        "docker does not answer: Cannot connect to the Docker daemon. Is the docker daemon running?. "
        "Start it (systemctl start docker), check DOCKER_HOST, or join the group docker."
    )


def test_podman_does_not_work(make_engine: MakeEngine) -> None:
    with pytest.raises(EngineError) as error:
        check_engine(make_engine("exit 125", "podman"))
    assert str(error.value) == (
        "podman does not answer: it says nothing. Check that 'podman info' works for this user."
    )


def test_the_image_is_streamed_into_the_engine(
    tmp_path: Path, sample_image: SampleImage, make_engine: MakeEngine
) -> None:
    engine = make_engine(f'test "$1" = load || exit 1; cat > {tmp_path}/loaded.tar')
    layout = Layout(sample_image.path)
    assert load_image(engine, layout, layout.read_image(), "c5c3/keystone:1")
    with tarfile.open(tmp_path / "loaded.tar", "r:") as tar:
        assert len(tar.getnames()) == 4


@pytest.mark.parametrize("prefix", ["sha256:", ""])
def test_an_image_that_is_there_is_not_loaded(sample_image: SampleImage, make_engine: MakeEngine, prefix: str) -> None:
    layout = Layout(sample_image.path)
    image = layout.read_image()
    engine = make_engine(f'test "$1" = image && echo {prefix}{image.manifest.config.digest.hex}')
    assert not load_image(engine, layout, image, "c5c3/keystone:1")


@pytest.mark.parametrize("script", ["cat > /dev/null; echo no space left; exit 1", "echo no space left; exit 1"])
def test_the_engine_refuses_the_image(sample_image: SampleImage, make_engine: MakeEngine, script: str) -> None:
    layout = Layout(sample_image.path)
    with pytest.raises(EngineError) as error:
        load_image(make_engine(script), layout, layout.read_image(), "c5c3/keystone:1")
    assert str(error.value) == (
        f"docker does not take the image {sample_image.path}: no space left. "
        "Check the image with 'validate', and the room that docker has."
    )


def test_run_command() -> None:
    engine = Engine("docker", "/usr/bin/docker")
    assert run_command(engine, "x:1", ("--network=host",), ("keystone-manage", "--help"), tty=True) == (
        "/usr/bin/docker",
        "run",
        "--rm",
        "--interactive",
        "--tty",
        "--network=host",
        "x:1",
        "keystone-manage",
        "--help",
    )
    assert "--tty" not in run_command(engine, "x:1", (), (), tty=False)


def test_default_tag_names_just_this_image(sample_image: SampleImage) -> None:
    image = Layout(sample_image.path).read_image()
    assert default_tag(image) == f"localhost/image:{image.descriptor.digest.hex[:12]}"
    assert os.sep not in default_tag(image).split(":")[1]
