"""The commands one after the other, as a build runs them: lock, fetch, patch."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Mapping

import pytest

from imagekit.__main__ import main
from imagekit.fetch.settings import FetchSettings, write_settings
from imagekit.sources.pin import GitPin, SdistPin, read_source_lock
from imagekit.sources.tree import SourceFile, read_source

PATCH = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A <a@c5c3.example>
Date: Wed, 5 Nov 2025 09:00:00 +0000
Subject: [PATCH] Add a migration

---
diff --git a/keystone/migration.ini b/keystone/migration.ini
new file mode 100644
--- /dev/null
+++ b/keystone/migration.ini
@@ -0,0 +1 @@
+new
"""
FILES: Mapping[str, bytes] = {
    "setup.py": b"import setuptools\nsetuptools.setup(setup_requires=['pbr'], pbr=True)\n",
    "setup.cfg": b"[metadata]\nname = keystone\n",
    "keystone/__init__.py": b"",
}
LIST = "keystone.egg-info/SOURCES.txt"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    write_settings(FetchSettings(f"file://{tmp_path}/index"), tmp_path / "settings.json")
    (tmp_path / "0001-x.patch").write_text(PATCH)
    return tmp_path


def run(*arguments: str) -> None:
    assert main(list(arguments)) == 0


def lock(refs: str, *options: str) -> SdistPin | GitPin:
    Path("source-refs.yaml").write_text(refs)
    run("lock-source", "--component=keystone", "--refs=source-refs.yaml", "--release=2025.2", *options)
    return read_source_lock(Path("keystone.json")).pin


LOCK_OPTIONS = ("--previous=keystone.json", "--settings=settings.json", "--output=keystone.json")


def patch(source: str, version: str, output: str) -> None:
    run(
        "patch-source", f"--source={source}", "--patch=0001-x.patch", "--component=keystone", "--release=2025.2",
        f"--version={version}", f"--output={output}",
    )  # fmt: skip


def git(*arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@c5c3.example"]
    return subprocess.check_output(["git", "-C", "upstream", *identity, *arguments], text=True).strip()


def test_an_sdist(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = folder / "index" / "keystone"
    project.mkdir(parents=True)
    with gzip.open(project / "keystone-28.0.0.tar.gz", "wb") as stream, tarfile.open(fileobj=stream, mode="w") as sdist:
        for name, content in {**FILES, LIST: b"setup.py\n"}.items():
            info = tarfile.TarInfo(f"keystone-28.0.0/{name}")
            info.size = len(content)
            sdist.addfile(info, io.BytesIO(content))
    (project / "index.html").write_text('<a href="keystone-28.0.0.tar.gz">x</a>')
    content = (project / "keystone-28.0.0.tar.gz").read_bytes()

    pin = lock("keystone: 28.0.0", *LOCK_OPTIONS)
    assert isinstance(pin, SdistPin)
    assert pin == SdistPin("keystone", "28.0.0", "keystone-28.0.0.tar.gz", len(content), sha256(content).hexdigest())
    assert capsys.readouterr().out == (
        f"keystone of 2025.2: keystone 28.0.0, sdist keystone-28.0.0.tar.gz, SHA-256 {sha256(content).hexdigest()}\n"
    )
    run(
        "fetch-python", "--name=keystone", f"--filename={pin.filename}", f"--size={pin.size}", f"--sha256={pin.sha256}",
        "--settings=settings.json", f"--output={pin.filename}",
    )  # fmt: skip
    for output in ("a.tar", "b.tar"):
        patch(pin.filename, pin.version, output)

    assert Path("a.tar").read_bytes() == Path("b.tar").read_bytes()
    assert read_source(Path("a.tar")) == {
        **{name: SourceFile(content) for name, content in FILES.items()},
        "keystone/migration.ini": SourceFile(b"new\n"),
        LIST: SourceFile(b"keystone/migration.ini\nsetup.py\n"),
    }


def test_git(folder: Path) -> None:
    for name, content in FILES.items():
        path = folder / "upstream" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    git("init", "-q", "-b", "stable/2025.2")
    git("add", "-A")
    git("commit", "-qm", "first")
    git("tag", "28.0.0")
    git("commit", "-qm", "second", "--allow-empty")
    second = git("rev-parse", "HEAD")
    refs = f"keystone: {{git: 'file://{folder}/upstream', ref: stable/2025.2}}"

    pin = lock(refs, *LOCK_OPTIONS)
    assert isinstance(pin, GitPin)
    assert (pin.commit, pin.version) == (second, "28.0.1.dev1")

    git("commit", "-qm", "third", "--allow-empty")
    assert lock(refs, *LOCK_OPTIONS) == pin
    moved = lock(refs, *LOCK_OPTIONS, "--move")
    assert isinstance(moved, GitPin)
    assert (moved.commit, moved.version) == (git("rev-parse", "HEAD"), "28.0.1.dev2")

    run("fetch-git", f"--url={pin.url}", f"--commit={pin.commit}", f"--ref={pin.ref}", "--output=source.tar")
    patch("source.tar", pin.version, "a.tar")
    tree = read_source(Path("a.tar"))

    listed = "".join(f"{name}\n" for name in sorted([*FILES, "keystone/migration.ini", LIST]))
    assert tree == {
        **{name: SourceFile(content) for name, content in FILES.items()},
        "keystone/migration.ini": SourceFile(b"new\n"),
        LIST: SourceFile(listed.encode()),
    }


def test_a_refusal_leaves_the_last_good_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("keystone.json").write_text("{}")
    Path("source.tar").write_bytes(b"")
    Path("a.tar").write_text("good")
    Path("source-refs.yaml").write_text("keystone: 28.0.0")

    assert (
        main(["lock-source", "--component=nova", "--refs=source-refs.yaml", "--release=2025.2"] + list(LOCK_OPTIONS))
        == 1
    )
    assert main(
        ["patch-source", "--source=source.tar", "--patch=missing.patch", "--component=keystone", "--release=2025.2"]
        + ["--version=28.0.0", "--output=a.tar"]
    ) == 1  # fmt: skip

    assert capsys.readouterr().err == (
        "error: source-refs.yaml has no ref for 'nova'. Add a line such as: nova: \"<version>\"\n"
        "error: source.tar cannot be read as a tar: empty file.\n"
    )
    assert Path("keystone.json").read_text() == "{}"
    assert Path("a.tar").read_text() == "good"
