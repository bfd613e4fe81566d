"""What the benchmark needs of the machine, and what a reader of its numbers wants to know of it."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Mapping, Sequence

from benchmarks.commands import BenchmarkError, run

#: Which Debian package has a program.
TOOLS = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "docker-registry": "docker-registry",
    "skopeo": "skopeo",
    "mmdebstrap": "mmdebstrap",
    "apt-get": "apt",
    "git": "git",
    "bwrap": "bubblewrap",
}
#: Where Debian installs what only root runs, which is not on everyone's PATH.
SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")


def check_machine(search_path: str, user: int) -> None:
    """Raise :class:`BenchmarkError` unless this user can run all programs; ``search_path`` has the form of PATH."""
    missing = dict.fromkeys(package for tool, package in TOOLS.items() if shutil.which(tool, path=search_path) is None)
    if missing:
        sudo = "" if user == 0 else "sudo "
        raise BenchmarkError(
            f"the benchmark needs programs that are not here. Install them: {sudo}apt-get install {' '.join(missing)}"
        )
    if user != 0:
        raise BenchmarkError("the benchmark starts a Docker daemon of its own, which only root can. Run it with sudo.")


def search_path(path: str) -> str:
    """``path`` (the form of PATH) with the system's folders at its end."""
    folders = path.split(os.pathsep)
    return os.pathsep.join([*folders, *(folder for folder in SYSTEM_FOLDERS if folder not in folders)])


def docker_client() -> str:
    """The client that came with the daemon; another one, first on the PATH, may lack BuildKit's parts."""
    return "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"


def describe(repository: Path, client: str) -> Mapping[str, str]:
    """The machine and the versions, by what they are."""

    def first_line(command: Sequence[str]) -> str:
        return run(command).output.strip().splitlines()[0]

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    changed = run(["git", "-C", str(repository), "status", "--porcelain", "--untracked-files=no"]).output.strip()
    return {
        "commit": first_line(["git", "-C", str(repository), "rev-parse", "HEAD"]),
        "uncommitted changes": "yes, and not measured" if changed else "none",
        "machine": f"{len(os.sched_getaffinity(0))} cores, {memory / 1e9:.0f} GB memory, {platform.machine()}",
        "system": first_line(["sh", "-c", '. /etc/os-release && echo "$PRETTY_NAME"']),
        "docker": first_line(["dockerd", "--version"]),
    }
