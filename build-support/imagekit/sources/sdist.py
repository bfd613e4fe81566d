"""Find the sdist of a version wherever the user's Python tools would look, and pin it."""

from __future__ import annotations

import hashlib
from typing import Optional

from imagekit.fetch.connection import redact
from imagekit.fetch.http import Client, DownloadError, NotFound, WrongContent
from imagekit.fetch.links import FileLink, normalized_name
from imagekit.fetch.python_file import Place, places
from imagekit.fetch.settings import FetchSettings
from imagekit.sources.pin import SdistPin
from imagekit.sources.refs import SdistRef

_SUFFIX = ".tar.gz"


def pin_sdist(ref: SdistRef, settings: FetchSettings, client: Client) -> SdistPin:
    """The pin of the sdist that ``ref`` names, its size and hash taken from the file itself.

    Raises :class:`imagekit.fetch.http.DownloadError` naming every place that was tried.
    """
    failures: list[str] = []
    for place in places(settings, client, ref.project):
        try:
            return _pin_from(place, ref, client)
        except NotFound as error:
            failures.append(f"\n  {place.name}: {error}")
    raise DownloadError(
        f"{ref.place}: the sdist of {ref.project} {ref.version} was found nowhere:{''.join(failures)}\n"
        "Correct the version, or the project's name with: "
        f'{ref.component}: {{ref: "{ref.version}", project: <name on the index>}}'
    )


def _pin_from(place: Place, ref: SdistRef, client: Client) -> SdistPin:
    sdists = {
        version: link
        for link in place.list_files()
        for version in [sdist_version(link.filename, ref.project)]
        if version is not None
    }
    link = sdists.get(ref.version)
    if link is None:
        latest = ", ".join(list(sdists)[-3:])
        raise NotFound(f"no sdist of {ref.version} there; it ends with {latest}." if latest else "no sdist there.")
    return _pin(link, ref, client)


def sdist_version(filename: str, project: str) -> Optional[str]:
    """The version of the sdist ``filename`` of ``project``; ``None`` if it is not one."""
    if not filename.endswith(_SUFFIX):
        return None
    name, separator, version = filename[: -len(_SUFFIX)].rpartition("-")
    return version if separator and normalized_name(name) == normalized_name(project) else None


def _pin(link: FileLink, ref: SdistRef, client: Client) -> SdistPin:
    body = client.page(link.url).body
    sha256 = hashlib.sha256(body).hexdigest()
    if link.sha256 is not None and sha256 != link.sha256:
        raise WrongContent(
            f"{redact(link.url)} has SHA-256 {sha256}, but its index says {link.sha256}. Do not use it; try again "
            "later or with another index."
        )
    return SdistPin(ref.project, ref.version, link.filename, len(body), sha256)
