"""Images made with a multi-stage Dockerfile by BuildKit."""

from __future__ import annotations

import io
import os
import platform
import shutil
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence

from imagekit.fetch.http import Client, ExpectedFile
from imagekit.fetch.json_record import JsonRecord, parse_json_record
from imagekit.fetch.python_file import fetch_python_file

from benchmarks.commands import BenchmarkError, Finished, environment_without, run
from benchmarks.downloads import Downloads
from benchmarks.locked_requirements import LockedRequirements, locked_requirements
from benchmarks.patch_edit import edit_first_patch
from benchmarks.servers import Docker, Registry
from benchmarks.services import Service, read_lock

#: The image that python-base and venv-builder start from, as debian:bookworm-slim would be.
BOTTOM_IMAGE = "benchmark/bookworm"
#: An image with nothing but uv.
UV_IMAGE = "benchmark/uv"
#: Where images are pushed to, each under a tag of its own.
REPOSITORY = "benchmark-dockerfile"
#: What Debian's official slim image leaves out too.
LEFT_OUT = tuple(f"/usr/share/{name}/*" for name in ("doc", "groff", "info", "lintian", "linda", "locale", "man"))
KEPT = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")
#: What it has as well: invoke-rc.d asks it before it starts a service, and 101 means no.
POLICY_RC_D = b"#!/bin/sh\nexit 101\n"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class Start:
    """What every build starts from, in ``folder``: the bottom image, uv, and secrets that say where packages are."""

    folder: Path
    #: Seconds that it took to make the root file system of the bottom image.
    seconds: float

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    @property
    def fact(self) -> str:
        return (
            "a Debian minbase, slim, given before the cold build as a pulled image is; mmdebstrap made it in "
            f"{self.seconds:.1f} s. Our cold build includes all of the base."
        )

    def bring_into(self, docker: Docker) -> None:
        """Have the images in the engine, as if they were pulled."""
        docker.run(["import", str(self.folder / "bottom.tar"), BOTTOM_IMAGE])
        docker.run(["import", str(self.folder / "uv.tar"), UV_IMAGE])


def prepare_start(tree: Path, folder: Path, downloads: Downloads) -> Start:
    """Gather in ``folder`` what is the same for all images of the tree at ``tree``."""
    folder.mkdir()
    _archive_uv(tree, downloads, folder)
    downloads.write_secrets(folder / "secrets")
    return Start(folder, _make_bottom(downloads, folder).seconds)


@dataclass(frozen=True)
class Material:
    """What the image of ``service`` is built from, in ``folder``: no build waits for any of it.

    ``sdists`` are the service's own, under its name, and those of patched libraries.
    """

    service: Service
    tree: Path
    folder: Path
    start: Start
    sdists: Mapping[str, Path]
    version: str

    @property
    def context(self) -> Path:
        return self.folder / "context"

    def follow_lock(self, tree: Path) -> None:
        """Take the Python packages from the lock in ``tree`` from now on."""
        locked = _locked(self.service, tree)
        (self.context / "requirements.txt").write_text(locked.requirements)
        (self.context / "build-constraints.txt").write_text(locked.build_constraints)


def prepare(service: Service, tree: Path, folder: Path, start: Start, downloads: Downloads) -> Material:
    """Gather in ``folder`` what a build of ``service`` needs, as the tree at ``tree`` says."""
    context = folder / "context"
    context.mkdir(parents=True)
    shutil.copyfile(tree / "tests/benchmarks/Dockerfile", context / "Dockerfile")
    locked = _locked(service, tree)
    sdists = {
        component: _fetch_sdist(service.source_lock(tree, component), downloads, folder)
        for component in (service.name, *locked.libraries)
    }
    material = Material(service, tree, folder, start, sdists, locked.version)
    material.follow_lock(tree)
    return material


def _locked(service: Service, tree: Path) -> LockedRequirements:
    path = service.lock(tree)
    return locked_requirements(read_lock(path), str(path))


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
    made = run(command)
    # A hook would be too early: mmdebstrap removes the file, which it has itself while it installs.
    with tarfile.open(folder / "bottom.tar", "a") as image:
        member = tarfile.TarInfo("./usr/sbin/policy-rc.d")
        member.size, member.mode = len(POLICY_RC_D), 0o755
        image.addfile(member, io.BytesIO(POLICY_RC_D))
    return made


def _archive_uv(tree: Path, downloads: Downloads, folder: Path) -> None:
    path = tree / "3rdparty/tools/imagekit.lock.json"
    packages = parse_json_record(read_lock(path), str(path)).records("packages")
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
    with zipfile.ZipFile(wheel) as archive, tarfile.open(folder / "uv.tar", "w") as image:
        program = next(item for item in archive.infolist() if item.filename.endswith("/scripts/uv"))
        member = tarfile.TarInfo("uv")
        member.size, member.mode = program.file_size, 0o755
        image.addfile(member, archive.open(program))


def _fetch_sdist(lock: Path, downloads: Downloads, folder: Path) -> Path:
    record = parse_json_record(read_lock(lock), str(lock))
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


@dataclass(frozen=True)
class DockerfileWay:
    """Builds with an engine of its own. ``cache_from`` is an image whose embedded cache may be used."""

    material: Material
    docker: Docker
    cache_from: Optional[str] = None

    def build(self) -> float:
        return self._patch_sources() + self.docker.run(self._arguments()).seconds

    def edit(self, number: int) -> None:
        service = self.material.service
        edit_first_patch(service.patches(self.material.tree, service.name), number)

    def push(self, registry: Registry) -> float:
        name = f"{registry.name}/{REPOSITORY}:{self.material.service.tag}"
        self.docker.run(["tag", self.image, name])
        return self.docker.run(["push", "--quiet", name]).seconds

    def on_an_empty_engine(self, docker: Docker, registry: Registry) -> DockerfileWay:
        """The same build where there is nothing but the image that was pushed to ``registry``."""
        return DockerfileWay(self.material, docker, f"{registry.name}/{REPOSITORY}:{self.material.service.tag}")

    @property
    def image(self) -> str:
        return f"benchmark/{self.material.service.name}:{self.material.service.release}"

    def _patch_sources(self) -> float:
        """Put the patched sources into the build's context, as a CI job does before it calls docker; in seconds."""
        context, own = self.material.context, self.material.service.name
        (context / "libraries").mkdir(exist_ok=True)
        return sum(
            self._patch_source(component, context / ("source" if component == own else f"libraries/{component}"))
            for component in self.material.sdists
        )

    def _patch_source(self, component: str, folder: Path) -> float:
        patches = sorted(self.material.service.patches(self.material.tree, component).glob("*.patch"))
        # A job that finds its checkout as it should be leaves it so.
        applied = self.material.folder / f"{component}.patches"
        text = "".join(patch.read_text(encoding="utf-8") for patch in patches)
        if applied.exists() and applied.read_text(encoding="utf-8") == text:
            return 0.0
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        extract = ["tar", "--extract", "--strip-components=1", "--file", str(self.material.sdists[component])]
        seconds = run(extract, folder=folder).seconds
        if patches:
            environment = environment_without(("GIT_",), {"GIT_CEILING_DIRECTORIES": str(folder.parent)})
            seconds += run(["git", "apply", *map(str, patches)], environment=environment, folder=folder).seconds
        applied.write_text(text, encoding="utf-8")
        return seconds

    def _arguments(self) -> Sequence[str]:
        tree, service = self.material.tree, self.material.service
        base = service.base_lock(tree, "python-base").requested
        variables = {
            "PYTHON_BASE_PACKAGES": base,
            "VENV_BUILDER_PACKAGES": (*base, *service.base_lock(tree, "venv-builder").requested),
            "SHARED_PACKAGES": service.shared_packages,
            "BELOW_SERVICE": ("shared" if service.shared else "python-base",),
            "SERVICE_PACKAGES": service.packages,
            "SERVICE_VERSION": (self.material.version,),
            # An empty machine can then start from the pushed image.
            "BUILDKIT_INLINE_CACHE": ("1",),
        }
        arguments = ["build", "--network=host", "--progress=plain", "--tag", self.image]
        for name, words in variables.items():
            arguments += ["--build-arg", f"{name}={' '.join(words)}"]
        for name in PROXIES:
            if name in os.environ:
                arguments += ["--build-arg", name]
        for secret in sorted(self.material.start.secrets.iterdir()):
            arguments += ["--secret", f"id={secret.name},src={secret}"]
        if self.cache_from is not None:
            arguments += ["--cache-from", self.cache_from]
        return [*arguments, str(self.material.context)]
