"""Several images by one push: the command, as `./pants publish` starts it for each image."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import pytest

from imagekit.oci.layout import Layout
from imagekit.registry.conftest import MakeLayout
from imagekit.registry.pushes import repository
from imagekit.registry.registry_servers import registry
from imagekit.registry.settings import RegistrySettings


@dataclass(frozen=True)
class Run:
    """One run of the goal, with its folder in ``scratch``."""

    scratch: Path

    @property
    def folder(self) -> Path:
        return self.scratch / "publish/run"

    def request(self, address: str, name: str, layout: Path, digest: Optional[str] = None) -> None:
        image = {"layout": str(layout), "repository": f"{address}/c5c3/{name}", "tags": [{"name": "1.0"}]}
        if digest is not None:
            image["digest"] = digest
        path = self.folder / f"requests/{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"images": [image]}))

    def start(self, name: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "imagekit", "push-image", f"--shared={self.folder}", f"--image={name}"],
            env={"PATH": os.defpath, "HOME": str(self.scratch), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tell(self, name: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(name)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_the_first_process_pushes_all_and_each_tells_its_own(
    tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings
) -> None:
    run = Run(tmp_path)
    one, two, changed = (make_layout(name, "base", name) for name in ("one", "two", "changed"))
    with registry(tmp_path / "registry") as server:
        run.request(server.address, "one", one)
        run.request(server.address, "two", two)
        run.request(server.address, "changed", changed, str(Layout(one).read_image().descriptor.digest))
        run.request(server.address, "missing", tmp_path / "missing")
        first = run.tell("two")
        count = len(server.requests())
        later = {name: run.tell(name) for name in ("one", "changed", "missing")}
        assert len(server.requests()) == count
        for name in ("one", "two"):
            assert repository(server.address, settings, f"c5c3/{name}").list_tags() == ("1.0",)
        assert repository(server.address, settings, "c5c3/changed").list_tags() == ()
        uploads = [line for line in server.requests() if '"PUT ' in line and "/blobs/uploads/" in line]
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith(f"{server.address}/c5c3/two@{Layout(two).read_image().descriptor.digest}\n")
    progress = [line for line in first.stderr.splitlines() if line.startswith("[")]
    assert [line[:6] for line in progress] == [f"[{number}/4] " for number in range(1, 5)]
    assert f"{server.address}/c5c3/missing:1.0: failed" in first.stderr
    assert (later["one"].returncode, later["one"].stderr) == (0, "")
    assert later["one"].stdout.startswith(f"{server.address}/c5c3/one@")
    assert (later["changed"].returncode, later["missing"].returncode) == (1, 1)
    assert later["changed"].stderr == (
        f"error: {changed} holds the image {Layout(changed).read_image().descriptor.digest}, but "
        f"{Layout(one).read_image().descriptor.digest} was to be pushed to {server.address}/c5c3/changed: another command "
        "has packaged it meanwhile. Publish it again.\n"
    )
    assert str(tmp_path / "missing") in later["missing"].stderr
    # The layer that both have, once; a layer and a configuration of each.
    assert len(uploads) == 5


def test_a_push_that_was_killed(tmp_path: Path, make_layout: MakeLayout) -> None:
    run = Run(tmp_path)
    run.request("127.0.0.1:1", "one", make_layout("one", "base"))
    (run.folder / "outcomes").mkdir()
    assert run.tell("one").stderr == (
        "error: The process that pushed all images ended before it was done with one: "
        f"{run.folder}/outcomes/one.json is not there. Publish again: what arrived is not sent twice.\n"
    )


def test_what_stops_all_is_told_for_each(tmp_path: Path, make_layout: MakeLayout) -> None:
    run = Run(tmp_path)
    for name in ("one", "two"):
        run.request("127.0.0.1:1/same", name, make_layout(name, name))
    for path in (run.folder / "requests").iterdir():
        path.write_text(path.read_text().replace("c5c3/one", "c5c3/two"))
    said = {run.tell(name).stderr.splitlines()[-1] for name in ("one", "two")}
    assert len(said) == 1 and "/c5c3/two:1.0 would be two images: " in said.pop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_all_workers(number: signal.Signals, tmp_path: Path, make_layout: MakeLayout) -> None:
    run = Run(tmp_path)
    with socket.socket() as silent:
        # Takes connections and never answers.
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        for name in ("one", "two", "three"):
            run.request(f"127.0.0.1:{silent.getsockname()[1]}", name, make_layout(name, "base", name))
        process = run.start("one")
        connection, _ = silent.accept()
        start = time.monotonic()
        process.send_signal(number)
        said = process.communicate(timeout=30)[1]
        connection.close()
    assert time.monotonic() - start < 5
    assert process.returncode != 0
    if number is signal.SIGINT:
        assert process.returncode == 130
        assert said.startswith("interrupted: what was not finished has no new tag.")
