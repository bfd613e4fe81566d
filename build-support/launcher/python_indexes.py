"""Say the user's own pip and uv configuration in the variables of another program.

``python_indexes.py pip`` prints what pip needs (it does not read uv's configuration), ``python_indexes.py pants`` what
Pants needs (it reads neither), one ``NAME=value`` a line. Nothing is printed for what the user has not configured.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Iterator, Mapping
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from imagekit.errors import ImagekitError  # noqa: E402
from imagekit.fetch.discovery import discover, installed_default_index  # noqa: E402
from imagekit.fetch.settings import FetchSettings  # noqa: E402


def pip_variables(settings: FetchSettings, default_index: str) -> Iterator[tuple[str, str]]:
    """``settings`` as environment variables of pip."""
    if settings.index_url is None:
        yield "PIP_NO_INDEX", "1"
    elif settings.index_url != default_index:
        yield "PIP_INDEX_URL", settings.index_url
    if settings.extra_index_urls:
        yield "PIP_EXTRA_INDEX_URL", " ".join(settings.extra_index_urls)
    if settings.find_links:
        yield "PIP_FIND_LINKS", " ".join(settings.find_links)
    if settings.http.trusted_hosts:
        yield "PIP_TRUSTED_HOST", " ".join(settings.http.trusted_hosts)
    if settings.http.ca_bundle is not None:
        yield "PIP_CERT", settings.http.ca_bundle


def pants_variables(settings: FetchSettings, default_index: str) -> Iterator[tuple[str, str]]:
    """``settings`` as environment variables of Pants' options."""
    if settings.index_urls != (default_index,):
        yield "PANTS_PYTHON_REPOS_INDEXES", json.dumps(settings.index_urls)
    if settings.find_links:
        yield "PANTS_PYTHON_REPOS_FIND_LINKS", json.dumps([_as_url(link) for link in settings.find_links])
    if settings.http.ca_bundle is not None:
        yield "PANTS_CA_CERTS_PATH", settings.http.ca_bundle


def _as_url(link: str) -> str:
    return f"file://{quote(link)}" if link.startswith("/") else link


def main(program: str, environ: Mapping[str, str]) -> int:
    """Print the variables for ``program``; returns the exit status."""
    variables = {"pip": pip_variables, "pants": pants_variables}[program]
    try:
        # A fresh virtual environment has no TOML parser but pip's own.
        sys.modules.setdefault("tomli", importlib.import_module("pip._vendor.tomli"))
    except ImportError:
        pass
    try:
        settings = discover(environ, Path.home())
        for name, value in variables(settings, installed_default_index()):
            print(f"{name}={value}")
    except ImagekitError as error:
        print(f"pants: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], os.environ))
