"""Fetch one .deb, named by the hash in a lock, from the mirrors that this machine's apt would use."""

from __future__ import annotations

from pathlib import Path
from typing import List, Sequence, Tuple

from imagekit.fetch.connection import redact
from imagekit.fetch.http import Client, DownloadError, ExpectedFile, NotFound, Unreachable, WrongContent


def fetch_deb(
    archives: Sequence[str], client: Client, filename: str, expected: ExpectedFile, destination: Path
) -> None:
    """Write the .deb at ``filename`` (``pool/…``) below any of ``archives`` to ``destination``.

    Every archive is tried until one has the very bytes that the lock names. Raises DownloadError naming each archive
    and what was wrong there.
    """
    failures: List[Tuple[str, DownloadError]] = []
    for archive in archives:
        try:
            client.download(f"{archive}/{filename}", destination, expected)
            return
        except DownloadError as error:
            failures.append((redact(archive), error))
    raise _refusal(filename, expected, failures)


def _refusal(filename: str, expected: ExpectedFile, failures: Sequence[Tuple[str, DownloadError]]) -> DownloadError:
    what = f"{filename} (SHA-256 {expected.sha256})"
    tried = "".join(f"\n  {archive}: {error}" for archive, error in failures)
    errors = [error for _, error in failures]
    if any(isinstance(error, WrongContent) for error in errors):
        return WrongContent(
            f"{what} was found with other bytes:{tried}\nA mirror is damaged or the lock is wrong. Try another mirror, "
            "or make the .deb lock again."
        )
    if any(isinstance(error, Unreachable) for error in errors):
        return Unreachable(
            f"{what} could not be fetched:{tried}\nCheck the network, and the sources and proxies of this machine's "
            "apt configuration."
        )
    if all(isinstance(error, NotFound) for error in errors):
        return NotFound(
            f"{what} is gone:{tried}\nThe mirrors replaced this version by a newer one, or do not carry the suite. "
            "Make the .deb lock again, or name a mirror that has it (deb_mirrors in the download settings)."
        )
    return DownloadError(f"{what} could not be fetched:{tried}")
