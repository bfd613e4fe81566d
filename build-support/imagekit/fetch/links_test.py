from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.fetch.http import Client, NotFound, Page
from imagekit.fetch.json_record import JsonRecordError
from imagekit.fetch.links import FileLink, find_links, index_links, normalized_name, parse_page
from imagekit.fetch.settings import HttpSettings

CLIENT = Client(HttpSettings())
SHA256 = "ab" * 32
PAGE_URL = "https://index.example/simple/keystone/"


def html(body: str) -> Page:
    return Page(PAGE_URL, "text/html", body.encode())


@pytest.mark.parametrize("name", ["oslo.messaging", "Oslo_Messaging", "oslo-.-messaging"])
def test_names_compare_as_pep_503_says(name: str) -> None:
    assert normalized_name(name) == "oslo-messaging"


def test_links_of_an_html_page() -> None:
    page = html(
        '<!DOCTYPE html><html><body><a name="top">no link</a>'
        f'<a href="../../files/keystone-28.0.0.tar.gz#sha256={SHA256.upper()}">keystone-28.0.0.tar.gz</a>'
        '<a href="https://files.example/a/keystone-28.0.0%2Bp1-py3-none-any.whl?token=1#md5=00">wheel</a>'
    )

    assert parse_page(page) == (
        FileLink("keystone-28.0.0.tar.gz", "https://index.example/files/keystone-28.0.0.tar.gz", SHA256),
        FileLink(
            "keystone-28.0.0+p1-py3-none-any.whl",
            "https://files.example/a/keystone-28.0.0%2Bp1-py3-none-any.whl?token=1",
            None,
        ),
    )


def test_the_base_of_an_html_page_counts() -> None:
    page = html('<head><base href="https://cdn.example/files/"></head><a href="a-1.tar.gz">a</a>')

    assert parse_page(page) == (FileLink("a-1.tar.gz", "https://cdn.example/files/a-1.tar.gz", None),)


def test_links_of_a_json_page() -> None:
    body = (
        '{"files": [{"filename": "a-1.tar.gz", "url": "../../files/a-1.tar.gz", "hashes": {"sha256": "%s"}},'
        ' {"filename": "a-2.tar.gz", "url": "https://cdn.example/a-2.tar.gz", "hashes": {}}]}' % SHA256
    )

    assert parse_page(Page(PAGE_URL, "application/vnd.pypi.simple.v1+json", body.encode())) == (
        FileLink("a-1.tar.gz", "https://index.example/files/a-1.tar.gz", SHA256),
        FileLink("a-2.tar.gz", "https://cdn.example/a-2.tar.gz", None),
    )


def test_a_json_page_of_another_shape_is_refused() -> None:
    with pytest.raises(JsonRecordError) as error:
        parse_page(Page(PAGE_URL, "application/json", b'{"files": [{"filename": "a-1.tar.gz"}]}'))

    assert str(error.value) == f"{PAGE_URL}: files[0]: 'url' is missing; it must be a string."


@pytest.mark.parametrize("slash", ["", "/"])
def test_an_index_may_be_a_folder(tmp_path: Path, slash: str) -> None:
    project = tmp_path / "simple" / "oslo-log"
    project.mkdir(parents=True)
    (project / "index.html").write_text('<a href="../../files/oslo.log-1.tar.gz">oslo.log</a>')
    expected = (FileLink("oslo.log-1.tar.gz", f"file://{tmp_path}/files/oslo.log-1.tar.gz", None),)

    assert index_links(CLIENT, f"file://{tmp_path}/simple{slash}", "oslo.log") == expected
    assert index_links(CLIENT, f"{tmp_path}/simple{slash}", "oslo.log") == expected


def test_find_links_may_be_a_folder_a_file_or_a_page(tmp_path: Path) -> None:
    (tmp_path / "b #1.whl").touch()
    (tmp_path / "a-1.tar.gz").touch()
    sdist = FileLink("a-1.tar.gz", f"file://{tmp_path}/a-1.tar.gz", None)

    assert find_links(CLIENT, str(tmp_path)) == (sdist, FileLink("b #1.whl", f"file://{tmp_path}/b%20%231.whl", None))
    assert find_links(CLIENT, f"file://{tmp_path}/a-1.tar.gz") == (sdist,)

    (tmp_path / "links.html").write_text('<a href="a-1.tar.gz">a</a>')
    assert find_links(CLIENT, f"{tmp_path}/links.html") == (sdist,)


def test_a_missing_find_links_location_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as error:
        find_links(CLIENT, str(tmp_path / "wheels"))

    assert str(error.value) == f"There is no file {tmp_path}/wheels."
