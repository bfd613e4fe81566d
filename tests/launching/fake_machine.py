"""A machine for the launcher to start on: a checkout, a home folder, and a PATH of a few real and many fake programs."""

from __future__ import annotations

import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence

#: What the launcher uses of any Linux machine.
REAL_PROGRAMS = (
    "bash",
    "cat",
    "chmod",
    "cp",
    "dirname",
    "env",
    "flock",
    "grep",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "sed",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "tail",
)
LAUNCHER_FILES = ("pants", ".pants.bootstrap", "3rdparty/tools/pants.txt")
FAKES = Path("tests/launching")


@dataclass(frozen=True)
class Start:
    """One finished ``./pants``."""

    status: int
    output: str
    errors: str

    @property
    def variables(self) -> Mapping[str, str]:
        """What the fake Pants saw in its environment."""
        pairs = (line.partition("=") for line in self.output.splitlines())
        return {name: value for name, _, value in pairs}


@dataclass(frozen=True)
class FakeMachine:
    folder: Path
    #: Where the user types ``./pants``; the checkout unless given.
    working_directory: Optional[Path] = None

    @classmethod
    def create(cls, folder: Path, user: str = "0") -> FakeMachine:
        """A machine with the system tools, without any Python, whose user has the id ``user``."""
        machine = cls(folder)
        for name in LAUNCHER_FILES:
            destination = machine.checkout / name
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, destination)
        shutil.copytree("build-support/launcher", machine.checkout / "build-support/launcher")
        machine.programs.mkdir()
        machine.home.mkdir()
        for program in REAL_PROGRAMS:
            path = shutil.which(program, path="/usr/bin:/bin:/usr/local/bin")
            assert path is not None, f"{program} is missing on this machine"
            (machine.programs / program).symlink_to(path)
        machine.program("id", f"echo {user}")
        for tool in ("git", "bwrap", "newuidmap"):
            machine.program(tool, "exit 0")
        return machine

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    @property
    def programs(self) -> Path:
        return self.folder / "bin"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def cache(self) -> Path:
        return self.home / ".cache/c5c3"

    @property
    def calls(self) -> Sequence[str]:
        """What was asked of the fake programs, a line each."""
        log = self.folder / "calls"
        return tuple(log.read_text().splitlines()) if log.exists() else ()

    def program(self, name: str, script: str) -> Path:
        """Put a bash script on PATH, which may log to ``$FAKE_LOG``."""
        return write_program(self.programs / name, f"#!/bin/bash\n{script}\n")

    def python39(self, path: Path) -> Path:
        """Put a fake CPython 3.9 at ``path``."""
        return write_program(path, (FAKES / "fake_python39.bash").read_text())

    def remove(self, *programs: str) -> None:
        for program in programs:
            (self.programs / program).unlink()

    def start(self, *arguments: str, **environment: str) -> Start:
        """Run ``./pants`` to its end."""
        process = self.begin(*arguments, **environment)
        output, errors = process.communicate(timeout=60)
        return Start(process.returncode, output, errors)

    def source_bootstrap(self, **environment: str) -> Start:
        """Do what the stock launcher does with ``.pants.bootstrap``, and start the fake Pants."""
        script = 'set -eou pipefail; source "$0"; exec bash "$FAKE_PANTS"'
        process = self._begin(["bash", "-c", script, str(self.checkout / ".pants.bootstrap")], environment)
        output, errors = process.communicate(timeout=60)
        return Start(process.returncode, output, errors)

    def begin(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Run ``./pants`` without waiting for it."""
        return self._begin([str(self.checkout / "pants"), *arguments], environment)

    def _begin(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.working_directory or self.checkout,
            env={
                "PATH": str(self.programs),
                "HOME": str(self.home),
                "TMPDIR": str(self.folder),
                "FAKE_LOG": str(self.folder / "calls"),
                "FAKE_PANTS": str((FAKES / "fake_pants.bash").resolve()),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def write_program(path: Path, text: str) -> Path:
    """Write an executable file; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Writing through a link would change this machine's own program.
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def only(paths: Sequence[Path]) -> Path:
    """The single path among ``paths``."""
    (path,) = paths
    return path


def installed_environments(machine: FakeMachine) -> Sequence[Path]:
    """The virtual environments that were finished on ``machine``."""
    return tuple(mark.parent for mark in sorted(machine.cache.glob("pants-*/installed")))
