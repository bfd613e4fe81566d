"""Makes a lock with the real uv from an index on this machine, in the root file system of this machine.

What uv says is understood by its words (an extra that is unknown, why a resolution failed): this shows when they change.
"""

from __future__ import annotations

import hashlib
import http.server
import importlib
import importlib.util
import io
import json
import shutil
import tarfile
import threading
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

import pytest

from imagekit.fetch.settings import FetchSettings, HttpSettings
from imagekit.python.backend import SourceTree
from imagekit.python.constraints import Constraints, apply_overrides, parse_overrides, parse_upper_constraints
from imagekit.python.lock import LockedPackage, LockError, PythonLock, parse_python_lock, render_python_lock
from imagekit.python.locking_cli import interpreter_of, make_locker
from imagekit.python.service_lock import LockRequest
from imagekit.sandbox.bwrap import Rootfs

PYPROJECT = '[build-system]\nrequires = [%s]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
# The first import stands for a build that fails unless what it requires is really there.
BACKEND = '''\
%s
import os

def get_requires_for_build_wheel(config_settings=None):
    return [%s]

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    os.mkdir(folder + "/x.dist-info")
    with open(folder + "/x.dist-info/METADATA", "w") as file:
        file.write("""%s""")
    with open(folder + "/x.dist-info/WHEEL", "w") as file:
        file.write("Wheel-Version: 1.0\\\\nRoot-Is-Purelib: true\\\\nTag: py3-none-any\\\\n")
    return "x.dist-info"

def build_wheel(folder, config_settings=None, metadata_directory=None):
    raise SystemExit("locking must not build")
'''


def metadata(name: str, version: str, *fields: str) -> str:
    return "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *fields, ""])


def source_files(requires: str, imports: str, more_requires: str, text: str) -> Dict[str, str]:
    return {"pyproject.toml": PYPROJECT % requires, "backend.py": BACKEND % (imports, more_requires, text), "PKG-INFO": text}


@dataclass
class Index:
    """An index with the JSON API (PEP 691) on a port of this machine."""

    files: Dict[str, Dict[str, bytes]] = field(default_factory=dict)
    url: str = ""
    stop: Callable[[], None] = lambda: None

    def add_wheel(self, name: str, version: str, *fields: str, tag: str = "py3-none-any") -> None:
        info = f"{name}-{version}.dist-info"
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as wheel:
            wheel.writestr(f"{name}.py", "")
            wheel.writestr(f"{info}/METADATA", metadata(name, version, *fields))
            wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
            wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
        self.files.setdefault(name, {})[f"{name}-{version}-{tag}.whl"] = content.getvalue()

    def add_sdist(self, name: str, version: str, files: Dict[str, str]) -> None:
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as tar:
            for path, text in files.items():
                member = tarfile.TarInfo(f"{name}-{version}/{path}")
                member.size = len(text.encode())
                tar.addfile(member, io.BytesIO(text.encode()))
        self.files.setdefault(name, {})[f"{name}-{version}.tar.gz"] = content.getvalue()

    def page(self, name: str) -> bytes:
        entries: List[Dict[str, object]] = [
            {
                "filename": filename,
                "url": f"{self.url}/files/{name}/{filename}",
                "size": len(content),
                "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
            }
            for filename, content in self.files[name].items()
        ]
        return json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": entries, "versions": []}).encode()


@pytest.fixture
def index() -> Iterator[Index]:
    content = Index()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            parts = self.path.strip("/").split("/")
            body = b""
            if parts[0] == "simple" and parts[1] in content.files:
                body = content.page(parts[1])
            elif parts[0] == "files" and parts[2] in content.files[parts[1]]:
                body = content.files[parts[1]][parts[2]]
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        content.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def stop() -> None:
            server.shutdown()
            thread.join()
            server.server_close()

        content.stop = stop
        yield content
        stop()


def uv_executable() -> Path:
    if importlib.util.find_spec("uv") is not None:
        return Path(importlib.import_module("uv").find_uv_bin())
    found = shutil.which("uv")
    if found is None:
        pytest.skip("uv is not installed")
    return Path(found)


Lock = Callable[..., PythonLock]


@pytest.fixture
def lock(tmp_path: Path, index: Index) -> Lock:
    """Locks a service whose own metadata is ``OWN`` with the given requirements and constraints."""
    index.add_wheel("alpha", "1.0", "Provides-Extra: fast", "Requires-Dist: beta; extra == 'fast'")
    index.add_wheel("alpha", "2.0")
    index.add_wheel("beta", "1.0")
    index.add_wheel("flat", "1.0")
    index.add_wheel("helper", "1.0", "Requires-Dist: deeper")
    index.add_wheel("deeper", "1.0")
    index.add_wheel("windows", "1.0")
    index.add_sdist(
        "compiled", "1.0", source_files("'helper'", "import deeper", "'flat'", metadata("compiled", "1.0", "Requires-Dist: beta"))
    )
    own = metadata(
        "service", "7.0", "Provides-Extra: ldap", "Requires-Dist: alpha", "Requires-Dist: compiled; extra == 'ldap'",
        "Requires-Dist: windows; sys_platform == 'win32'", "Requires-Dist: unheard-of; extra == 'test'", "Provides-Extra: test",
    )  # fmt: skip
    python = interpreter_of(Path("/"))
    source = tmp_path / "source.tar"
    with tarfile.open(source, "w") as tar:
        for path, text in source_files("", "", "'flat'", own).items():
            member = tarfile.TarInfo(path)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    settings = FetchSettings(index_url=f"{index.url}/simple", http=HttpSettings(retries=0))
    folder = tmp_path / "work"
    folder.mkdir()
    locker = make_locker(settings, uv_executable(), Rootfs(Path("/"), "sha256:host"), folder)

    def run(*requirements: str, constraints: str = "alpha===1.0\n", overrides: str = "") -> PythonLock:
        pins: Constraints = apply_overrides(
            parse_upper_constraints(constraints, "upper-constraints.txt"),
            parse_overrides(overrides, "constraint-overrides.txt"),
        )
        tree = SourceTree("service", "7.0", source)
        return locker.lock(LockRequest("2025.2", "service", requirements, tree, pins, (python,)))

    return run


def names(packages: Tuple[LockedPackage, ...]) -> List[str]:
    return sorted(f"{package.name} {package.version}" for package in packages)


def test_a_service_is_locked_with_its_extras_and_what_its_sdists_need(lock: Lock) -> None:
    made = lock("service[ldap]", "alpha[fast]")
    assert names(made.packages) == ["alpha 1.0", "beta 1.0", "compiled 1.0"]
    assert names(made.root.build_requires) == ["flat 1.0"]
    assert made.root.requires == (
        "alpha",
        "compiled; extra == 'ldap'",
        "windows; sys_platform == 'win32'",
    )
    by_name = {package.name: package for package in made.packages}
    assert by_name["alpha"].constraints == ("alpha===1.0",)
    compiled = by_name["compiled"]
    assert compiled.sdist is not None and compiled.sdist.filename == "compiled-1.0.tar.gz"
    assert names(compiled.build_requires) == ["deeper 1.0", "flat 1.0", "helper 1.0"]
    text = render_python_lock(in_one_layer(made))
    assert "127.0.0.1" not in text
    again = render_python_lock(in_one_layer(lock("service[ldap]", "alpha[fast]")))
    assert parse_python_lock(text, "x") == parse_python_lock(again, "x")


def in_one_layer(made: PythonLock) -> PythonLock:
    """The lock as it is written: layers are chosen after its packages."""
    return replace(made, layers=(tuple(package.name for package in made.packages),))


def test_an_extra_that_a_dependency_does_not_have_is_refused(lock: Lock) -> None:
    with pytest.raises(LockError) as refusal:
        lock("service", "alpha[fats]")
    assert str(refusal.value) == (
        "the lock of service 2025.2: alpha==1.0 has no extra 'fats'. Correct the extra or take it out of the requirements."
    )


def test_a_contradiction_names_the_constraint_in_it_and_its_line(lock: Lock) -> None:
    with pytest.raises(LockError) as refusal:
        lock("service", "alpha>=2", constraints="beta===1.0\nalpha===1.0\n")
    message = str(refusal.value)
    assert message.startswith("the lock of service 2025.2 cannot be resolved. uv says:\nerror: No solution found")
    assert message.endswith("\nConstraints in it:\n  `alpha===1.0` at upper-constraints.txt:2")


def test_an_override_that_nothing_fits_is_named_with_its_line(index: Index, lock: Lock) -> None:
    with pytest.raises(LockError) as refusal:
        lock("service", overrides="# a version that was never released\nalpha===9.9\n")
    message = str(refusal.value)
    assert "there is no version of alpha==" in message
    assert message.endswith(
        "\nConstraints in it:\n  `alpha===9.9` at constraint-overrides.txt:2, an override that replaces 1.0: correct it or "
        "delete the line"
    )


def test_a_package_that_no_index_has_is_refused_with_its_name(lock: Lock) -> None:
    with pytest.raises(LockError) as refusal:
        lock("service", "no-such-package")
    assert "no-such-package was not found in the package registry" in str(refusal.value)


def test_a_build_requirement_that_has_no_wheel_is_refused(lock: Lock, index: Index) -> None:
    del index.files["flat"]
    index.add_sdist("flat", "1.0", {"setup.py": ""})
    with pytest.raises(LockError) as refusal:
        lock("service")
    assert str(refusal.value).startswith("what the build of service 7.0 requires (flat) cannot be resolved. uv says:\n")


def test_an_index_that_cannot_be_reached_is_told(lock: Lock, index: Index) -> None:
    index.stop()
    with pytest.raises(LockError) as refusal:
        lock("service")
    assert str(refusal.value).startswith("what the build of service 7.0 requires (flat) cannot be resolved. uv says:\n")
    assert "onnect" in str(refusal.value)
