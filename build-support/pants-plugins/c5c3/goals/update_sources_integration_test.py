"""A patched library whose source is a branch in git: what is built of it, and what moves when the branch does.

The steps really run, from a repository that the test makes. Their third-party packages are those of this process
instead of fetched ones, and the wheel is built by this machine's Python instead of a base's.
"""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path
from typing import Iterable, List, Tuple

import imagekit
import packaging
import pytest
import yaml
from imagekit.python.backend import SourceTree, Toolchain
from imagekit.python.lock import LockedPackage, PythonLock, RootPackage, SelectedPackage, render_python_lock
from imagekit.python.locking_cli import interpreter_of
from imagekit.python.wheel_build import build_wheel
from imagekit.sandbox.bwrap import Rootfs
from imagekit.sources.pin import GitPin
from pants.core.util_rules import distdir
from pants.engine.addresses import Address
from pants.engine.fs import EMPTY_DIGEST, CreateDigest, Digest, DigestContents, FileContent
from pants.engine.internals.selectors import Get
from pants.engine.rules import QueryRule, rule
from pants.testutil.rule_runner import MockGet, RuleRunner, run_rule_with_mocks

from c5c3 import register
from c5c3.goals.lockfiles import AllLocks, GenerateServiceLock, PinnedSource, PinSourceRequest
from c5c3.goals.update_sources import MovedSources, MovedSourcesRequest
from c5c3.util_rules import python
from c5c3.util_rules.fetched import FetchedFile, PythonFileRequest
from c5c3.util_rules.python import BuildWheelRequest, SelectedWheelRequest, SourceWheelRequest, Wheel
from c5c3.util_rules.source import ComponentRequest, PatchedSource, Source
from c5c3.util_rules.step import ImagekitSources, ImagekitTools

BRANCH = "stable/2025.2"
RELEASE = "3rdparty/releases/2025.2"
BASE = "3rdparty/bases/bookworm"
KEYSTONE = Address("services/keystone", generated_name="image")
BACKEND = '''\
import os, zipfile


def build_wheel(folder, config_settings=None, metadata_directory=None):
    version = os.environ["PBR_VERSION"]
    name = "oslo_messaging-%s-py3-none-any.whl" % version
    info = "oslo_messaging-%s.dist-info/" % version
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.write("commit.py")
        wheel.write("patched.py")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: oslo.messaging\\nVersion: %s\\n" % version)
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "".join(member + ",,\\n" for member in wheel.namelist()))
    return name
'''
PATCH = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A <a@c5c3.example>
Date: Wed, 5 Nov 2025 09:00:00 +0000
Subject: [PATCH] Say that it is patched

---
diff --git a/patched.py b/patched.py
--- a/patched.py
+++ b/patched.py
@@ -1 +1 @@
-PATCHED = False
+PATCHED = True
"""


def modules(package: Path) -> Iterable[FileContent]:
    for path in sorted(package.rglob("*.py")):
        yield FileContent(str(path.relative_to(package.parent)), path.read_bytes())


@rule
async def imagekit_of_this_process() -> ImagekitSources:
    files = tuple(modules(Path(str(imagekit.__file__)).absolute().parent))
    return ImagekitSources(await Get(Digest, CreateDigest(files)), files)


@rule
async def tools_of_this_process() -> ImagekitTools:
    packages = [Path(str(package.__file__)).absolute().parent for package in (packaging, yaml)]
    return ImagekitTools(await Get(Digest, CreateDigest(file for package in packages for file in modules(package))))


class Upstream:
    """A git repository of the library, ``path``, whose branch has a tagged commit and one after it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self._git("init", "--quiet", "--initial-branch", BRANCH)
        (path / "backend.py").write_text(BACKEND)
        (path / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        )
        (path / "patched.py").write_text("PATCHED = False\n")
        self.commit("first")
        self._git("tag", "17.1.0")

    def commit(self, content: str) -> str:
        """Commit ``content`` to the branch; returns the commit."""
        (self.path / "commit.py").write_text(f'COMMIT = "{content}"\n')
        self._git("add", "--all")
        self._git("-c", "user.name=A", "-c", "user.email=a@c5c3.example", "commit", "--quiet", "--message", content)
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
        return subprocess.check_output(["git", "-C", str(self.path), *arguments], env=environment, text=True).strip()


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "upstream")


class Tree:
    """This tree, with one service, whose lock holds the library of ``upstream``."""

    def __init__(self, upstream: Upstream, folder: Path) -> None:
        self._arguments = [f"--named-caches-dir={folder}/named"]
        self._environment = {"PATH": os.defpath, "HOME": str(folder), "PIP_INDEX_URL": f"file://{folder}/index"}
        replaced = (ImagekitSources, ImagekitTools)
        self.runner = RuleRunner(
            rules=[
                *(one for one in register.rules() if getattr(one, "output_type", None) not in replaced),
                imagekit_of_this_process,
                tools_of_this_process,
                *distdir.rules(),
                QueryRule(AllLocks, []),
                QueryRule(DigestContents, [Digest]),
                QueryRule(MovedSources, [MovedSourcesRequest]),
                QueryRule(PatchedSource, [Source]),
                QueryRule(PinnedSource, [PinSourceRequest]),
                QueryRule(Source, [ComponentRequest]),
            ],
            target_types=register.target_types(),
            bootstrap_args=self._arguments,
        )
        self.write_lock((LockedPackage("oslo-messaging", "17.1.1.dev1", component="oslo.messaging"),))
        self.runner.write_files(
            {
                "services/keystone/BUILD": 'openstack_service(release="2025.2")',
                f"{BASE}/BUILD": 'debian_base(suites=["bookworm"], python="3.11", glibc="2.36", packages=["python3"], '
                'builder_packages=["gcc"])',
                "patches/BUILD": "patch_sets()",
                "patches/oslo.messaging/2025.2/0001-a.patch": PATCH,
                f"{RELEASE}/BUILD": 'openstack_release(name="2025.2", release="2025.2")',
                f"{RELEASE}/source-refs.yaml": f'keystone: {{git: "{upstream.path}", ref: "17.1.0"}}\n'
                f'oslo.messaging: {{git: "{upstream.path}", ref: {BRANCH}}}\n',
            }
        )

    def write_lock(self, packages: Tuple[LockedPackage, ...]) -> None:
        lock = PythonLock(
            release="2025.2",
            service="keystone",
            python=("3.11",),
            requirements=("keystone",),
            root=RootPackage("keystone", "17.1.0"),
            packages=packages,
            layers=tuple((package.name,) for package in packages),
        )
        self.runner.write_files({f"{RELEASE}/locks/keystone.lock.json": render_python_lock(lock)})

    def next_command(self) -> None:
        """From here on as another command of Pants: what a session remembers is forgotten."""
        self.runner.set_options(self._arguments, env=self._environment)

    def contents(self, digest: Digest) -> Tuple[FileContent, ...]:
        return tuple(self.runner.request(DigestContents, [digest]))

    def pin(self, component: str, *, move: bool = False) -> GitPin:
        """Pin ``component`` as its locking does."""
        pinned = self.runner.request(PinnedSource, [PinSourceRequest(component, "2025.2", KEYSTONE, move)])
        for file in self.contents(pinned.pin_digest):
            self.runner.write_files({file.path: file.content})
        assert isinstance(pinned.pin, GitPin)
        return pinned.pin

    def wheel_to_build(self) -> BuildWheelRequest:
        """What is asked for when an image holds the library."""
        source = self.runner.request(Source, [ComponentRequest("oslo.messaging", "2025.2", KEYSTONE)])
        patched = self.runner.request(PatchedSource, [source])
        asked: List[BuildWheelRequest] = []

        def build(request: BuildWheelRequest) -> Wheel:
            asked.append(request)
            return Wheel("x.whl", EMPTY_DIGEST)

        def build_from_source(request: SourceWheelRequest) -> Wheel:
            mocks = [
                MockGet(PatchedSource, (Source,), lambda _: patched),
                MockGet(Wheel, (BuildWheelRequest,), build),
            ]
            return run_rule_with_mocks(python.build_source_wheel, rule_args=[request], mock_gets=mocks)

        locked = SelectedPackage("oslo-messaging", source.version, None, component="oslo.messaging")
        base = Address("3rdparty/bases/bookworm")
        run_rule_with_mocks(
            python.select_wheel,
            rule_args=[SelectedWheelRequest(locked, python.Toolchain(base, base, "3.11"), source)],
            mock_gets=[
                MockGet(Wheel, (SourceWheelRequest,), build_from_source),
                MockGet(Wheel, (BuildWheelRequest,), lambda _: pytest.fail("a fetched sdist was built")),
                MockGet(FetchedFile, (PythonFileRequest,), lambda _: pytest.fail("a wheel was fetched")),
            ],
        )
        (request,) = asked
        return request

    def moved(self) -> Tuple[str, ...]:
        """What `update-sources services/keystone::` would make the lock again for."""
        lock = self.runner.request(AllLocks, []).by_resolve["2025.2/keystone"]
        assert isinstance(lock, GenerateServiceLock)
        return self.runner.request(MovedSources, [MovedSourcesRequest(lock)]).components


@pytest.fixture
def tree(upstream: Upstream, tmp_path: Path) -> Tree:
    tree = Tree(upstream, tmp_path)
    tree.next_command()
    return tree


def test_a_library_is_built_from_its_pinned_commit_wherever_its_branch_is(
    tree: Tree, upstream: Upstream, tmp_path: Path
) -> None:
    second = upstream.commit("second")
    pin = tree.pin("oslo.messaging")
    assert (pin.commit, pin.version, pin.ref) == (second, "17.1.1.dev1", BRANCH)
    request = tree.wheel_to_build()
    assert (request.name, request.version) == ("oslo-messaging", "17.1.1.dev1")

    third = upstream.commit("third")
    tree.next_command()
    assert tree.wheel_to_build() == request
    assert tree.pin("oslo.messaging") == pin
    tree.next_command()
    moved = tree.pin("oslo.messaging", move=True)
    assert (moved.commit, moved.version) == (third, "17.1.1.dev2")

    toolchain = Toolchain(Rootfs(Path("/"), "sha256:host"), interpreter_of(Path("/")))
    if tuple(map(int, toolchain.python.split("."))) < (3, 11):
        pytest.skip("the system's Python is older than any base's")
    (source,) = tree.contents(request.source_digest)
    archive = tmp_path / "patched.tar"
    archive.write_bytes(source.content)
    wheel = build_wheel(SourceTree(request.name, request.version, archive), toolchain, (), tmp_path / "wheel")
    assert wheel.name == "oslo_messaging-17.1.1.dev1-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as built:
        assert built.read("commit.py") == b'COMMIT = "second"\n'
        assert built.read("patched.py") == b"PATCHED = True\n"


def test_only_what_moved_is_locked_again(tree: Tree, upstream: Upstream) -> None:
    upstream.commit("second")
    for component in ("keystone", "oslo.messaging"):
        tree.pin(component)
    assert tree.moved() == ()
    upstream.commit("third")
    tree.next_command()
    assert tree.moved() == ("oslo.messaging",)


def test_a_library_that_another_service_moved_has_moved_for_this_one(tree: Tree, upstream: Upstream) -> None:
    upstream.commit("second")
    upstream.commit("third")
    for component in ("keystone", "oslo.messaging"):
        tree.pin(component)
    assert tree.moved() == ("oslo.messaging",)


def test_a_library_that_the_lock_does_not_hold_may_move(tree: Tree, upstream: Upstream) -> None:
    for component in ("keystone", "oslo.messaging"):
        tree.pin(component)
    tree.write_lock(())
    upstream.commit("second")
    tree.next_command()
    assert tree.moved() == ()


def test_without_a_pin_or_a_lock_everything_has_moved(tree: Tree, upstream: Upstream) -> None:
    upstream.commit("second")
    tree.pin("oslo.messaging")
    assert tree.moved() == ("keystone",)
    tree.pin("keystone")
    (Path(tree.runner.build_root) / RELEASE / "locks/keystone.lock.json").unlink()
    tree.next_command()
    assert tree.moved() == ("keystone", "oslo.messaging")
