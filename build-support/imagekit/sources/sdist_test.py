from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Optional

import pytest

from imagekit.fetch.http import Client, DownloadError, WrongContent
from imagekit.fetch.settings import FetchSettings, HttpSettings
from imagekit.sources.pin import SdistPin
from imagekit.sources.refs import Place, SdistRef
from imagekit.sources.sdist import pin_sdist, sdist_version

REF = SdistRef("placement", "openstack-placement", "14.0.0", Place("source-refs.yaml", 2))
FILENAME = "openstack_placement-14.0.0.tar.gz"
CONTENT = b"sdist"
PIN = SdistPin("openstack-placement", "14.0.0", FILENAME, len(CONTENT), sha256(CONTENT).hexdigest())


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        (FILENAME, "14.0.0"),
        ("openstack-placement-14.0.0.0rc1.tar.gz", "14.0.0.0rc1"),
        ("openstack_placement-14.0.0-py3-none-any.whl", None),
        ("openstack-placement-extras-1.tar.gz", None),
        ("openstack-placement-14.0.0.zip", None),
        ("placement.tar.gz", None),
    ],
)
def test_sdists_are_told_by_their_name(filename: str, version: Optional[str]) -> None:
    assert sdist_version(filename, "openstack-placement") == version


def index(folder: Path, *links: str) -> str:
    project = folder / "openstack-placement"
    project.mkdir(parents=True)
    (project / FILENAME).write_bytes(CONTENT)
    (project / "index.html").write_text("".join(f'<a href="{link}">x</a>' for link in links))
    return f"file://{folder}"


def pin(settings: FetchSettings) -> SdistPin:
    return pin_sdist(REF, settings, Client(HttpSettings()))


def test_the_file_itself_is_measured(tmp_path: Path) -> None:
    empty = index(tmp_path / "a", "openstack-placement-13.0.0.tar.gz")
    full = index(tmp_path / "b", f"{FILENAME}#sha256={PIN.sha256}")

    assert pin(FetchSettings(empty, extra_index_urls=(full,))) == PIN


def test_an_index_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    url = index(tmp_path, f"{FILENAME}#sha256={'0' * 64}")

    with pytest.raises(WrongContent) as error:
        pin(FetchSettings(url))

    assert str(error.value) == (
        f"{url}/openstack-placement/{FILENAME} has SHA-256 {PIN.sha256}, but its index says {'0' * 64}. Do not use it; "
        "try again later or with another index."
    )


def test_a_missing_version_names_every_place(tmp_path: Path) -> None:
    url = index(tmp_path / "a", "openstack-placement-13.0.0.tar.gz", "openstack_placement-13.0.1.tar.gz")
    other = index(tmp_path / "b", "openstack_placement-14.0.0-py3-none-any.whl")

    with pytest.raises(DownloadError) as error:
        pin(FetchSettings("file:///nowhere", extra_index_urls=(url, other)))

    assert str(error.value) == (
        "source-refs.yaml:2: the sdist of openstack-placement 14.0.0 was found nowhere:\n"
        "  file:///nowhere: There is no file /nowhere/openstack-placement.\n"
        f"  {url}: no sdist of 14.0.0 there; it ends with 13.0.0, 13.0.1.\n"
        f"  {other}: no sdist there.\n"
        'Correct the version, or the project\'s name with: placement: {ref: "14.0.0", project: <name on the index>}'
    )
