"""The files of a project as an index or a page of links lists them.

Implements the client's half of the simple repository API: HTML (PEP 503) and JSON (PEP 691), and pip's find-links.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Optional
from urllib.parse import unquote, urljoin, urlsplit

from imagekit.fetch.http import Client, NotFound, Page, as_url, file_path
from imagekit.fetch.json_record import JsonRecord, parse_json_record

JSON_MEDIA_TYPE = "application/vnd.pypi.simple.v1+json"
ACCEPT = f"{JSON_MEDIA_TYPE}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


@dataclass(frozen=True)
class FileLink:
    """One file of a project; ``sha256`` in hex where the listing says it."""

    filename: str
    url: str
    sha256: Optional[str]


def normalized_name(project: str) -> str:
    """``project`` as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", project).lower()


def index_links(client: Client, index_url: str, project: str) -> tuple[FileLink, ...]:
    """The files of ``project`` on the index at ``index_url``.

    Raises :class:`imagekit.fetch.http.NotFound` when the index does not know the project.
    """
    url = as_url(index_url).rstrip("/") + f"/{normalized_name(project)}/"
    return parse_page(client.page(url, ACCEPT))


def find_links(client: Client, location: str) -> tuple[FileLink, ...]:
    """The files at one ``find-links`` location: a folder, a file, or the URL of a page.

    Raises :class:`imagekit.fetch.http.NotFound` when there is no such place.
    """
    url = as_url(location)
    if urlsplit(url).scheme != "file":
        return parse_page(client.page(url, "text/html, */*;q=0.1"))
    path = file_path(url)
    if path.is_dir():
        return tuple(FileLink(entry.name, as_url(str(entry)), None) for entry in sorted(path.iterdir()))
    if path.suffix in (".html", ".htm"):
        return parse_page(client.page(url))
    if not path.exists():
        raise NotFound(f"There is no file {path}.")
    return (FileLink(path.name, url, None),)


def parse_page(page: Page) -> tuple[FileLink, ...]:
    """The links of an index page; raises :class:`imagekit.fetch.json_record.JsonRecordError`."""
    text = page.body.decode("utf-8", "replace")
    if page.media_type.endswith("json"):
        return tuple(_json_link(page.url, record) for record in parse_json_record(text, page.url).records("files"))
    parser = _LinkParser(page.url)
    parser.feed(text)
    parser.close()
    return tuple(parser.links)


def _json_link(base: str, record: JsonRecord) -> FileLink:
    return FileLink(
        filename=record.text("filename"),
        url=urljoin(base, record.text("url")),
        sha256=record.record("hashes").optional_text("sha256"),
    )


class _LinkParser(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base
        self.links: list[FileLink] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        href = dict(attrs).get("href")
        if not href:
            return
        if tag == "base":
            self._base = urljoin(self._base, href)
        elif tag == "a":
            url = urljoin(self._base, href.strip())
            parts = urlsplit(url)
            algorithm, _, value = parts.fragment.partition("&")[0].partition("=")
            self.links.append(
                FileLink(
                    filename=unquote(Path(parts.path).name),
                    url=parts._replace(fragment="").geturl(),
                    sha256=value.lower() if algorithm == "sha256" and value else None,
                )
            )
