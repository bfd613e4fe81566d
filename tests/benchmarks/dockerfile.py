"""The image made with a multi-stage Dockerfile by BuildKit."""

from __future__ import annotations

import os
import platform
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence

from imagekit.debian.lock import DebLock, parse_deb_lock
from imagekit.fetch.http import Client, ExpectedFile
from imagekit.fetch.json_record import JsonRecord, parse_json_record
from imagekit.fetch.python_file import fetch_python_file

from benchmarks.commands import BenchmarkError, Finished, environment_without, run
from benchmarks.downloads import Downloads, Suite
from benchmarks.locked_requirements import locked_requirements
from benchmarks.patch_edit import edit_first_patch
from benchmarks.servers import Docker, Registry

#: The image that python-base and venv-builder start from, as debian:bookworm-slim would be.
BOTTOM_IMAGE = "benchmark/bookworm"
#: What Debian's official slim image leaves out too.
LEFT_OUT = tuple(f"/usr/share/{name}/*" for name in ("doc", "groff", "info", "lintian", "linda", "locale", "man"))
KEPT = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class Service:
    """Which image is compared: a service of a release, on a base, as this tree names them."""

    name: str
    release: str
    base: str

    def packages(self, tree: Path, lock: str) -> DebLock:
        path = tree / "3rdparty/bases" / self.base / "locks" / f"{lock}.lock.json"
        return parse_deb_lock(_read(path), str(path))

    def suite(self, tree: Path) -> Suite:
        lock = self.packages(tree, "python-base")
        return Suite(lock.suites[0], lock.components)


@dataclass(frozen=True)
class Material:
    """All that the Dockerfile builds from, in ``folder``: no build waits for any of it."""

    folder: Path
    tree: Path
    sdist: Path
    version: str
    #: Seconds that it took to make the root file system of the bottom image.
    bottom_seconds: float

    @property
    def bottom(self) -> Path:
        return self.folder / "bottom.tar"

    @property
    def context(self) -> Path:
        return self.folder / "context"


def prepare(service: Service, tree: Path, folder: Path, downloads: Downloads) -> Material:
    """Gather in ``folder`` what a build of ``service`` needs, as the tree at ``tree`` says."""
    folder.mkdir()
    context = folder / "context"
    context.mkdir()
    shutil.copyfile(tree / "tests/benchmarks/Dockerfile", context / "Dockerfile")
    lock = tree / "3rdparty/releases" / service.release / "locks" / f"{service.name}.lock.json"
    locked = locked_requirements(_read(lock), str(lock))
    (context / "requirements.txt").write_text(locked.requirements)
    (context / "build-constraints.txt").write_text(locked.build_constraints)
    _fetch_uv(tree, downloads, folder, context / "uv")
    source_lock = tree / "3rdparty/releases" / service.release / "sources" / f"{service.name}.json"
    sdist = _fetch_sdist(source_lock, downloads, folder)
    downloads.write_secrets(folder / "secrets")
    made = _make_bottom(downloads, folder)
    return Material(folder, tree, sdist, locked.version, made.seconds)


def _make_bottom(downloads: Downloads, folder: Path) -> Finished:
    (folder / "apt.conf").write_text(downloads.apt_conf(downloads.python.http.ca_bundle))
    command = ["mmdebstrap", "--variant=minbase", f"--aptopt={folder / 'apt.conf'}"]
    # Otherwise apt chooses usrmerge, which needs all of Perl.
    command.append("--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr")
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    command += [f"--dpkgopt=path-include={pattern}" for pattern in KEPT]
    # Where this machine downloads from is no part of an image.
    command.append('--customize-hook=rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/apt/sources.list"')
    command += [downloads.suite.name, str(folder / "bottom.tar"), downloads.sources_list.strip()]
    return run(command)


def _fetch_uv(tree: Path, downloads: Downloads, folder: Path, destination: Path) -> None:
    path = tree / "3rdparty/tools/imagekit.lock.json"
    packages = parse_json_record(_read(path), str(path)).records("packages")
    wheels = [
        wheel
        for package in packages
        if package.text("name") == "uv"
        for wheel in package.records("wheels")
        if wheel.text("filename").endswith(f"_{platform.machine()}.whl")
    ]
    if not wheels:
        raise BenchmarkError(f"{path} locks no uv for {platform.machine()} machines. Add it to imagekit.in.")
    wheel = folder / wheels[0].text("filename")
    _fetch(downloads, "uv", _expected(wheels[0]), wheel)
    with zipfile.ZipFile(wheel) as archive:
        program = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        destination.write_bytes(archive.read(program))
    destination.chmod(0o755)


def _fetch_sdist(lock: Path, downloads: Downloads, folder: Path) -> Path:
    record = parse_json_record(_read(lock), str(lock))
    if "sdist" not in record.fields:
        raise BenchmarkError(f"{lock} pins no sdist, and nothing else can be compared. Pin a released version.")
    sdist = record.record("sdist")
    destination = folder / sdist.text("filename")
    _fetch(downloads, sdist.text("project"), _expected(sdist), destination)
    return destination


def _expected(artifact: JsonRecord) -> ExpectedFile:
    return ExpectedFile(artifact.text("filename"), artifact.integer("size"), artifact.text("sha256"))


def _fetch(downloads: Downloads, project: str, expected: ExpectedFile, destination: Path) -> None:
    client = Client(downloads.python.http, downloads.python.index_urls)
    fetch_python_file(downloads.python, client, project, expected, destination)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BenchmarkError(f"{path}: {error.strerror}. Make the lock with: ./pants generate-lockfiles") from None


@dataclass(frozen=True)
class DockerfileWay:
    """Builds with an engine of its own. ``cache_from`` is an image whose embedded cache may be used."""

    service: Service
    material: Material
    docker: Docker
    cache_from: Optional[str] = None

    def import_bottom(self) -> None:
        """Have the bottom image in the engine, as if it was pulled."""
        self.docker.run(["import", str(self.material.bottom), BOTTOM_IMAGE])

    def build(self) -> float:
        source = self._patch_source()
        return source + self.docker.run(self._arguments()).seconds

    def edit(self, number: int) -> None:
        edit_first_patch(self._patches, number)

    def push(self, registry: Registry) -> float:
        name = image_name(registry)
        self.docker.run(["tag", self._image, name])
        return self.docker.run(["push", "--quiet", name]).seconds

    def load(self, docker: Docker) -> str:
        return self._image

    @property
    def _image(self) -> str:
        return f"benchmark/{self.service.name}"

    @property
    def _patches(self) -> Path:
        return self.material.tree / "patches" / self.service.name / self.service.release

    def _patch_source(self) -> float:
        """Put the patched source into the build's context, as a CI job does before it calls docker; in seconds."""
        folder = self.material.context / "source"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        extract = ["tar", "--extract", "--strip-components=1", "--file", str(self.material.sdist)]
        seconds = run(extract, folder=folder).seconds
        environment = environment_without(("GIT_",), {"GIT_CEILING_DIRECTORIES": str(folder.parent)})
        patches = [str(path) for path in sorted(self._patches.glob("*.patch"))]
        return seconds + run(["git", "apply", *patches], environment=environment, folder=folder).seconds

    def _arguments(self) -> Sequence[str]:
        tree, service = self.material.tree, self.service
        base = service.packages(tree, "python-base").requested
        variables = {
            "PYTHON_BASE_PACKAGES": base,
            "VENV_BUILDER_PACKAGES": (*base, *service.packages(tree, "venv-builder").requested),
            "SERVICE_PACKAGES": service.packages(tree, service.name).requested,
            "SERVICE_VERSION": (self.material.version,),
            # An empty machine can then start from the pushed image.
            "BUILDKIT_INLINE_CACHE": ("1",),
        }
        arguments = ["build", "--network=host", "--progress=plain", "--tag", self._image]
        for name, words in variables.items():
            arguments += ["--build-arg", f"{name}={' '.join(words)}"]
        for name in PROXIES:
            if name in os.environ:
                arguments += ["--build-arg", name]
        for secret in sorted((self.material.folder / "secrets").iterdir()):
            arguments += ["--secret", f"id={secret.name},src={secret}"]
        if self.cache_from is not None:
            arguments += ["--cache-from", self.cache_from]
        return [*arguments, str(self.material.context)]


def image_name(registry: Registry) -> str:
    """Where the image is pushed to."""
    return f"{registry.name}/benchmark-dockerfile:latest"
