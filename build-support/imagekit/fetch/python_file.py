"""Fetch one file of a Python project, named by the hash in a lock, from wherever the user's tools would look."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

from imagekit.fetch.connection import redact
from imagekit.fetch.http import Client, DownloadError, ExpectedFile, NotFound, Unreachable, WrongContent
from imagekit.fetch.json_record import JsonRecordError
from imagekit.fetch.links import FileLink, find_links, index_links
from imagekit.fetch.settings import FetchSettings


@dataclass(frozen=True)
class Place:
    """One index or find-links location: its name for messages, and how to list the files it has of the project."""

    name: str
    list_files: Callable[[], tuple[FileLink, ...]]


def fetch_python_file(
    settings: FetchSettings, client: Client, project: str, expected: ExpectedFile, destination: Path
) -> None:
    """Write the file ``expected`` of ``project`` to ``destination``.

    Every find-links location and every index is tried, in the user's order, until one has the very bytes that the lock
    names. Raises :class:`DownloadError` naming each place and what was wrong there.
    """
    failures: list[tuple[str, DownloadError]] = []
    for place in places(settings, client, project):
        try:
            _fetch_from(place, client, expected, destination)
            return
        except DownloadError as error:
            failures.append((place.name, error))
    raise _refusal(project, expected, failures)


def places(settings: FetchSettings, client: Client, project: str) -> Iterator[Place]:
    """Where files of ``project`` may be, in the user's order."""
    for location in settings.find_links:
        yield Place(redact(location), lambda location=location: find_links(client, location))  # type: ignore[misc]
    for url in settings.index_urls:
        yield Place(redact(url), lambda url=url: index_links(client, url, project))  # type: ignore[misc]


def _fetch_from(place: Place, client: Client, expected: ExpectedFile, destination: Path) -> None:
    try:
        links = [link for link in place.list_files() if link.filename == expected.name]
    except JsonRecordError as error:
        raise DownloadError(str(error)) from None
    if not links:
        raise NotFound(f"it does not list {expected.name}.")
    matching = [link for link in links if link.sha256 in (None, expected.sha256)]
    if not matching:
        raise WrongContent(f"its {expected.name} has SHA-256 {links[0].sha256}.")
    client.download(matching[0].url, destination, expected)


def _refusal(project: str, expected: ExpectedFile, failures: list[tuple[str, DownloadError]]) -> DownloadError:
    what = f"{expected.name} of {project} (SHA-256 {expected.sha256})"
    if not failures:
        return DownloadError(
            f"{what} cannot be fetched: no index and no find-links location is configured. Set index-url in your pip "
            "or uv configuration."
        )
    tried = "".join(f"\n  {name}: {error}" for name, error in failures)
    errors = [error for _, error in failures]
    if any(isinstance(error, WrongContent) for error in errors):
        return WrongContent(
            f"{what} was found with other bytes:{tried}\nSomeone replaced the file or the lock is wrong. Compare it "
            "with the publisher's, then make the lock again, or add an index with the right file to your pip or uv "
            "configuration."
        )
    if any(isinstance(error, Unreachable) for error in errors):
        return Unreachable(
            f"{what} could not be fetched:{tried}\nCheck the network, and the index URLs and proxies of your pip or "
            "uv configuration."
        )
    if all(isinstance(error, NotFound) for error in errors):
        return NotFound(
            f"{what} is gone:{tried}\nAdd an index that has it to your pip or uv configuration, or make the lock again."
        )
    return DownloadError(f"{what} could not be fetched:{tried}")
