"""What a step takes from the machine it runs on: an interpreter, and how the user's network is reached.

Neither may be part of what identifies a step, or two machines would build everything twice. Both are therefore put into
a named cache, which a process sees at a fixed relative path and which does not enter its cache key. That is sound because
neither decides a result: fetched bytes are checked against the lock, and what goes into an image is made by the Python
of the image's own base.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from imagekit.fetch.discovery import discover
from imagekit.fetch.settings import to_json, write_settings
from pants.engine.env_vars import CompleteEnvironmentVars
from pants.engine.rules import _uncacheable_rule, collect_rules
from pants.option.global_options import GlobalOptions

from c5c3.subsystems.debian import DebianSubsystem

#: The named caches of a step, by the path it sees them at.
HOST_CACHE = "imagekit_host"
HOST_DIR = ".host"
ROOTFS_CACHE = "imagekit_rootfs"
ROOTFS_DIR = ".rootfs"

PYTHON = f"{HOST_DIR}/python"
FETCH_SETTINGS = f"{HOST_DIR}/fetch-settings.json"

_MIRRORS_SETTING = re.compile(r"deb_mirrors in the download settings|the download settings \(deb_mirrors\)")


def in_option_names(message: str) -> str:
    """``message``, a step's own, where what the user sets as an option of Pants has the name of the option.

    The steps cannot say it: they know settings only, and the text of a message is part of what identifies a step.
    """
    return _MIRRORS_SETTING.sub("the option --debian-mirrors=<URL>", message)


@dataclass(frozen=True)
class HostSetup:
    """The host's part of a step is in place. Carries nothing, so that no step depends on its content."""


def _link(path: Path, target: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.symlink_to(target)
    os.replace(temporary, path)


# Not cacheable: the folder may be emptied, and the user's configuration may change, between two commands of one daemon.
@_uncacheable_rule
async def set_up_host(
    environment: CompleteEnvironmentVars, global_options: GlobalOptions, debian: DebianSubsystem
) -> HostSetup:
    folder = Path(global_options.named_caches_dir) / HOST_CACHE
    folder.mkdir(parents=True, exist_ok=True)
    # The base interpreter, not that of Pants' virtual environment: a step must see no installed package.
    interpreter = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    link = folder / "python"
    if not link.is_symlink() or os.readlink(link) != interpreter:
        _link(link, interpreter)
    settings = discover(environment, Path(environment.get("HOME", "/")))
    if debian.mirrors:
        settings = replace(settings, deb_mirrors=debian.mirrors)
    file = folder / "fetch-settings.json"
    if not file.is_file() or file.read_text(encoding="utf-8") != to_json(settings):
        write_settings(settings, file)
    return HostSetup()


def rules():
    return collect_rules()
