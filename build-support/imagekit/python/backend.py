"""A source tree's build backend, asked inside the root file system of venv-builder, without network."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from packaging.utils import canonicalize_name

from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.errors import ImagekitError
from imagekit.python.sandbox_library import LIBRARY, driver_argv, library_binds
from imagekit.sandbox.bwrap import Rootfs, run_in_rootfs
from imagekit.sandbox.mounts import Bind, Tmpfs

_INPUT = "/imagekit/in"
#: What runs in the sandbox; being named, it is among the modules that the step's key holds.
_DRIVER = "imagekit.python.backend_driver"
_EXTRA = re.compile(r"""\bextra\s*==\s*["']([^"']+)["']""")


class BuildError(ImagekitError):
    """A wheel that cannot be built."""


@dataclass(frozen=True)
class SourceTree:
    """What is built: ``archive`` is an sdist (``.tar.gz`` or ``.zip``, with one directory at the top) or a ``.tar`` without it."""

    name: str
    version: str
    archive: Path

    def __post_init__(self) -> None:
        if not self.archive.name.endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".zip")):
            raise BuildError(
                f"{self.archive.name} of {self.name} {self.version} is neither an sdist (.tar.gz or .zip) nor a source "
                "tree (.tar). Only these can be built."
            )

    @property
    def has_top_directory(self) -> bool:
        """Whether everything lies in one directory, as in an sdist."""
        return not self.archive.name.endswith(".tar")


@dataclass(frozen=True)
class Metadata:
    """What ``METADATA`` says of a distribution's requirements (the core metadata specification)."""

    name: str
    version: str
    requires: Tuple[str, ...]
    extras: Tuple[str, ...]
    text: str

    def requires_with(self, extras: Sequence[str]) -> Tuple[str, ...]:
        """The requirements less those that only other extras than ``extras`` have."""
        wanted = {canonicalize_name(extra) for extra in extras}
        return tuple(
            requirement
            for requirement in self.requires
            if not (named := _EXTRA.findall(requirement)) or wanted & {canonicalize_name(extra) for extra in named}
        )


@dataclass(frozen=True)
class Toolchain:
    """Where wheels are built: ``/usr/bin/python<python>`` of ``rootfs``.

    Every method raises :class:`BuildError` with what the backend says when it fails.
    """

    rootfs: Rootfs
    python: str

    def static_requires(self, tree: SourceTree) -> Tuple[str, ...]:
        """The ``[build-system] requires`` of ``tree``."""
        return _strings(self._ask("static-requires", tree, (), None), "requires")

    def all_requires(self, tree: SourceTree, wheels: Tuple[Path, ...]) -> Tuple[str, ...]:
        """The static requirements, and those that the backend adds once ``wheels`` are there (``setup_requires``)."""
        return _strings(self._ask("requires", tree, wheels, None), "requires")

    def metadata(self, tree: SourceTree, wheels: Tuple[Path, ...]) -> Metadata:
        """The metadata that the wheel of ``tree`` will have."""
        text = self._ask("metadata", tree, wheels, None)["metadata"]
        assert isinstance(text, str)
        return parse_metadata(text)

    def build(self, tree: SourceTree, wheels: Tuple[Path, ...], folder: Path) -> Path:
        """Build the wheel of ``tree`` into ``folder``, as the backend leaves it."""
        filename = self._ask("wheel", tree, wheels, folder)["wheel"]
        assert isinstance(filename, str)
        return folder / filename

    def _ask(
        self, question: str, tree: SourceTree, wheels: Tuple[Path, ...], output: Optional[Path]
    ) -> Mapping[str, object]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            answer = folder / "out"
            answer.mkdir()
            out = answer if output is None else output
            archive = f"{_INPUT}/{tree.archive.name}"
            bound_wheels: List[Bind] = [Bind(wheel, f"{_INPUT}/wheels/{wheel.name}") for wheel in wheels]
            job = folder / "job.json"
            job.write_text(
                json.dumps(
                    {
                        "ask": question,
                        "source": archive,
                        "strip_top": tree.has_top_directory,
                        "mtime": SOURCE_DATE_EPOCH,
                        "wheels": [bind.target for bind in bound_wheels],
                        "environment": build_environment(tree),
                    }
                )
            )
            finished = run_in_rootfs(
                self.rootfs,
                driver_argv(self.python, _DRIVER, f"{_INPUT}/job.json"),
                binds=(
                    *library_binds((_DRIVER,), ("installer", "pyproject_hooks")),
                    Bind(job, f"{_INPUT}/job.json"),
                    Bind(tree.archive, archive),
                    *bound_wheels,
                    Tmpfs("/build"),
                    Bind(out, "/out", writable=True),
                ),
                cwd=LIBRARY,
            )
            if finished.returncode != 0:
                raise BuildError(
                    f"{tree.name} {tree.version} cannot be built from {tree.archive.name}. Its build backend says:\n"
                    f"{last_lines(finished.stdout)}{last_lines(finished.stderr)}"
                )
            answer_file = out / "answer.json"
            result: Dict[str, object] = json.loads(answer_file.read_text())
            answer_file.unlink()
            return result


def parse_metadata(text: str) -> Metadata:
    """The fields of a ``METADATA`` file that decide what is installed with it."""
    message: Message = Parser().parsestr(text, headersonly=True)
    return Metadata(
        name=str(message["Name"]),
        version=str(message["Version"]),
        requires=tuple(sorted(str(value) for value in message.get_all("Requires-Dist", []))),
        extras=tuple(sorted(str(value) for value in message.get_all("Provides-Extra", []))),
        text=text,
    )


def build_environment(tree: SourceTree) -> Dict[str, str]:
    """The variables that tell a backend the version, since the source tree has no Git history to count in."""
    return {
        "PBR_VERSION": tree.version,
        "SETUPTOOLS_SCM_PRETEND_VERSION": tree.version,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        # Debug information would make up most of a C extension, and nobody debugs in a service's image.
        "CFLAGS": "-g0",
        "LDFLAGS": "-Wl,--strip-all",
    }


def last_lines(text: str, count: int = 40) -> str:
    """The end of a log, with a line that says how much is not shown."""
    lines = text.rstrip().splitlines()
    hidden = [f"[{len(lines) - count} lines before these are not shown]"] if len(lines) > count else []
    return "".join(f"  {line}\n" for line in hidden + lines[-count:])


def _strings(answer: Mapping[str, object], key: str) -> Tuple[str, ...]:
    values = answer[key]
    assert isinstance(values, list)
    return tuple(str(value) for value in values)
