"""A test's own folder: gone afterwards with all that uses it, also when the test is killed."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

# Directories of a root file system may be read-only; what a sandbox that was just killed still writes needs a second try.
_REMOVE = """
read -r end
cd "$1"
{ending}
cd /
for try in 1 2 3 4 5; do
    chmod -R u+rwX "$1"
    rm -rf "$1" && exit
    sleep 0.2
done
"""


@contextmanager
def scratch_folder(name: str, ending: str = "") -> Iterator[Path]:
    """An empty folder with a short path, for sockets, that lasts as long as the block.

    :param ending: shell commands that run in the folder before it is removed
    :raises OSError: when something in the folder cannot be removed
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir="/tmp"))
    # Pants kills the process group of a test that is cancelled, so this is done by a shell of another one. Its input
    # ends when this process does.
    remover = subprocess.Popen(
        ["sh", "-c", _REMOVE.format(ending=ending), "sh", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield folder
    finally:
        _, complaints = remover.communicate()
        if folder.exists():
            raise OSError(f"{folder} cannot be removed: {complaints.decode(errors='replace')[-1000:]}")
