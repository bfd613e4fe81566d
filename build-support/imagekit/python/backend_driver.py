"""Asks a source tree's build backend, inside a root file system: ``python -m imagekit.python.backend_driver JOB``.

Run by the interpreter of the root file system, where only this module and the packages ``installer`` and
``pyproject_hooks`` are to be had. Everything happens below ``/build``, an empty directory in memory. ``JOB`` is a JSON
file; the answer is the file ``/out/answer.json``.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Dict, Iterator, List, Mapping, Optional, Sequence

import installer
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile
from pyproject_hooks import BuildBackendHookCaller

BUILD = Path("/build")
SOURCE = BUILD / "src"
ENVIRONMENT = BUILD / "env"
OUT = Path("/out")
#: What a source tree without a ``pyproject.toml`` is built with (PEP 517, "Build backends").
LEGACY_BACKEND = "setuptools.build_meta:__legacy__"
LEGACY_REQUIRES = ["setuptools"]


class Refusal(Exception):
    """Something about the source tree that its maintainers or the user must change."""


@dataclass(frozen=True)
class Member:
    """A member of a source archive: a directory where ``content`` and ``link`` are ``None``."""

    name: str
    content: Optional[bytes] = None
    link: Optional[str] = None
    executable: bool = False


def read_tar(archive: Path) -> Iterator[Member]:
    """The members of a tar; raises :class:`Refusal` for one that is neither file, directory nor link."""
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            if member.isdir():
                yield Member(member.name)
            elif member.issym():
                yield Member(member.name, link=member.linkname)
            else:
                content = tar.extractfile(member)
                if content is None:
                    raise Refusal(f"{member.name!r} of the source tree is no file, directory or link")
                yield Member(member.name, content.read(), executable=bool(member.mode & 0o100))


def read_zip(archive: Path) -> Iterator[Member]:
    """The members of a zip, which sdists were before PEP 625."""
    with zipfile.ZipFile(archive) as source:
        for info in source.infolist():
            if info.is_dir():
                yield Member(info.filename)
            else:
                # The mode that a Unix system left in the upper half; zero where another one wrote the archive.
                yield Member(info.filename, source.read(info), executable=bool(info.external_attr >> 16 & 0o100))


def unpack(archive: Path, target: Path, strip_top: bool, mtime: int) -> None:
    """Unpack a tar or a zip, in the order of names and with one time: both can end up in what is built.

    Raises :class:`Refusal` for a member that is neither file, directory nor link, or that points out of ``target``.
    """
    members = read_zip(archive) if archive.name.endswith(".zip") else read_tar(archive)
    for member in sorted(members, key=lambda member: member.name):
        parts = PurePosixPath(member.name).parts
        if strip_top:
            parts = parts[1:]
        if not parts:
            continue
        if ".." in parts or parts[0] == "/":
            raise Refusal(f"{member.name!r} points out of the source tree")
        path = target.joinpath(*parts)
        if any(parent.is_symlink() for parent in path.parents):
            raise Refusal(f"{member.name!r} lies behind a symbolic link of the source tree")
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.link is not None:
            path.symlink_to(member.link)
        elif member.content is not None:
            path.write_bytes(member.content)
            path.chmod(0o755 if member.executable else 0o644)
        else:
            path.mkdir(exist_ok=True)
    for parent, _, names in os.walk(target, topdown=False):
        for name in [*names, "."]:
            os.utime(os.path.join(parent, name), (mtime, mtime), follow_symlinks=False)


def make_environment(wheels: Sequence[Path]) -> None:
    """A virtual environment that holds ``wheels`` and nothing else."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    packages = ENVIRONMENT / "lib" / f"python{version}" / "site-packages"
    packages.mkdir(parents=True)
    (ENVIRONMENT / "bin").mkdir()
    (ENVIRONMENT / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    for name in ("python", "python3"):
        (ENVIRONMENT / "bin" / name).symlink_to(sys.executable)
    schemes = {
        "purelib": str(packages),
        "platlib": str(packages),
        "scripts": str(ENVIRONMENT / "bin"),
        "data": str(ENVIRONMENT),
        "headers": str(ENVIRONMENT / "include"),
    }
    for wheel in wheels:
        with WheelFile.open(wheel) as source:
            installer.install(
                source=source,
                destination=SchemeDictionaryDestination(schemes, str(ENVIRONMENT / "bin" / "python"), "posix"),
                additional_metadata={},
            )


class Backend:
    """The build backend of the unpacked source tree (PEP 517, PEP 518)."""

    def __init__(self) -> None:
        project = SOURCE / "pyproject.toml"
        table: Mapping[str, object] = {}
        if project.exists():
            # From CPython 3.11 on, which every base has and the process outside of the sandbox has not.
            tomllib = importlib.import_module("tomllib")
            table = tomllib.loads(project.read_text(encoding="utf-8")).get("build-system", {})
        elif not (SOURCE / "setup.py").exists():
            raise Refusal("the source tree has neither a pyproject.toml nor a setup.py")
        requires = table.get("requires", LEGACY_REQUIRES)
        backend = table.get("build-backend", LEGACY_BACKEND)
        path = table.get("backend-path")
        if not isinstance(requires, list) or not isinstance(backend, str):
            raise Refusal("[build-system] in pyproject.toml is not what PEP 518 says")
        self.requires: List[str] = [str(requirement) for requirement in requires]
        self._backend = backend
        self._path = [str(entry) for entry in path] if isinstance(path, list) else None

    def hooks(self, variables: Mapping[str, str]) -> BuildBackendHookCaller:

        def run(cmd: Sequence[str], cwd: Optional[str] = None, extra_environ: Optional[Mapping[str, str]] = None) -> None:
            path = f"{ENVIRONMENT}/bin:{os.environ['PATH']}"
            environ: Dict[str, str] = {**os.environ, **variables, **(extra_environ or {}), "PATH": path}
            subprocess.run(list(cmd), cwd=cwd, env=environ, check=True)

        return BuildBackendHookCaller(
            str(SOURCE),
            self._backend,
            backend_path=self._path,
            runner=run,
            python_executable=str(ENVIRONMENT / "bin" / "python"),
        )


def answer(job: Mapping[str, object]) -> Dict[str, object]:
    """What ``job`` asks for."""
    unpack(Path(str(job["source"])), SOURCE, bool(job["strip_top"]), int(str(job["mtime"])))
    backend = Backend()
    if job["ask"] == "static-requires":
        return {"requires": backend.requires}
    wheels, variables = job["wheels"], job["environment"]
    assert isinstance(wheels, list) and isinstance(variables, dict)
    make_environment([Path(wheel) for wheel in wheels])
    hooks = backend.hooks(variables)
    if job["ask"] == "requires":
        return {"requires": backend.requires + list(hooks.get_requires_for_build_wheel())}
    if job["ask"] == "metadata":
        folder = hooks.prepare_metadata_for_build_wheel(str(BUILD))
        return {"metadata": (BUILD / folder / "METADATA").read_text(encoding="utf-8")}
    return {"wheel": hooks.build_wheel(str(OUT))}


def main(job_file: str) -> int:
    """Returns the exit status: 3 for a refusal, 4 when the backend failed."""
    with open(job_file, encoding="utf-8") as file:
        job = json.load(file)
    try:
        result = answer(job)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 3
    except subprocess.CalledProcessError:
        return 4
    with open(OUT / "answer.json", "w", encoding="utf-8") as output:
        json.dump(result, output)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
