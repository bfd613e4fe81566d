"""The team's cache server, started for the benchmark alone."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterator

from benchmarks.commands import environment_without
from benchmarks.servers import free_address, server, wait_for


@contextlib.contextmanager
def cache_server(repository: Path, folder: Path) -> Iterator[str]:
    """The address, for Pants, of an empty cache whose data lies in ``folder``."""
    folder.mkdir()
    name = free_address()
    command = [str(repository / "build-support/cache-server"), "--bind", name, "--directory", str(folder / "data")]
    environment = environment_without((), {"XDG_CACHE_HOME": str(folder / "programs")})
    with server(command, folder / "log", environment):
        # The first start downloads the server.
        wait_for(name, seconds=300)
        yield f"grpc://{name}"
