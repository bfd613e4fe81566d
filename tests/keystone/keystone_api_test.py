"""Keystone, started from its image: the schema is made, an administrator bootstrapped, and uwsgi serves a token."""

from __future__ import annotations

from typing import Iterator

import pytest

from services.cloud import PASSWORD, keystone_program, keystone_url
from services.http_api import get_token, request
from services.image_runner import Server, free_ports, sandbox, serving


@pytest.fixture(scope="module")
def keystone() -> Iterator[Server]:
    (port,) = free_ports(1)
    with sandbox() as runner, serving(runner, keystone_program(port), keystone_url(port)) as server:
        server.wait()
        yield server


@pytest.fixture(autouse=True)
def log(keystone: Server) -> Iterator[None]:
    """Pytest shows what is printed when the test failed."""
    yield
    print(keystone.described_log())


def test_a_token_is_issued_and_accepted(keystone: Server) -> None:
    issued = get_token(keystone.url, PASSWORD)
    assert issued.status == 201, issued.body
    projects = request(f"{keystone.url}/auth/projects", token=issued.headers["X-Subject-Token"])
    assert projects.status == 200
    assert [project["name"] for project in projects.body["projects"]] == ["admin"]  # type: ignore[attr-defined]


def test_a_wrong_password_gets_no_token(keystone: Server) -> None:
    refused = get_token(keystone.url, "wrong")
    assert refused.status == 401
    assert "X-Subject-Token" not in refused.headers


def test_a_made_up_token_is_refused(keystone: Server) -> None:
    assert request(f"{keystone.url}/auth/projects", token="made-up").status == 401


def test_the_patch_names_the_running_build(keystone: Server) -> None:
    versions = request(keystone.url)
    assert versions.status == 200
    assert versions.headers["X-Keystone-Build"] == "28.0.0+c5c3"
