"""What pip and Pants are told of the user's configuration."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Mapping, Sequence

import pytest
from imagekit.fetch.settings import FetchSettings, HttpSettings

from launcher import python_indexes
from launcher.python_indexes import pants_variables, pip_variables

DEFAULT = "https://index.example/simple"
NOTHING_SAID = FetchSettings(index_url=DEFAULT)
MUCH_SAID = FetchSettings(
    index_url="https://user:secret@mine.example/simple",
    extra_index_urls=("https://more.example/simple", "file:///srv/index"),
    find_links=("/srv/my wheels", "https://links.example/"),
    http=HttpSettings(ca_bundle="/etc/bundle.pem", trusted_hosts=("mine.example", "more.example:8443")),
)
NO_INDEX = FetchSettings(index_url=None, find_links=("/srv/wheels",))


def test_nothing_said() -> None:
    assert list(pip_variables(NOTHING_SAID, DEFAULT)) == []
    assert list(pants_variables(NOTHING_SAID, DEFAULT)) == []


def test_much_said_to_pip() -> None:
    assert dict(pip_variables(MUCH_SAID, DEFAULT)) == {
        "PIP_INDEX_URL": "https://user:secret@mine.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://more.example/simple file:///srv/index",
        "PIP_FIND_LINKS": "/srv/my wheels https://links.example/",
        "PIP_TRUSTED_HOST": "mine.example more.example:8443",
        "PIP_CERT": "/etc/bundle.pem",
    }


def test_much_said_to_pants() -> None:
    assert dict(pants_variables(MUCH_SAID, DEFAULT)) == {
        "PANTS_PYTHON_REPOS_INDEXES": (
            '["https://user:secret@mine.example/simple", "https://more.example/simple", "file:///srv/index"]'
        ),
        "PANTS_PYTHON_REPOS_FIND_LINKS": '["file:///srv/my%20wheels", "https://links.example/"]',
        "PANTS_CA_CERTS_PATH": "/etc/bundle.pem",
    }


def test_no_index() -> None:
    assert dict(pip_variables(NO_INDEX, DEFAULT)) == {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/srv/wheels"}
    assert dict(pants_variables(NO_INDEX, DEFAULT)) == {
        "PANTS_PYTHON_REPOS_INDEXES": "[]",
        "PANTS_PYTHON_REPOS_FIND_LINKS": '["file:///srv/wheels"]',
    }


def run(program: str, home: Path, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    script = Path(python_indexes.__file__).resolve()
    # Without the certificates of this machine and the settings of its user.
    plain = {"HOME": str(home), "XDG_CONFIG_DIRS": str(home), "SSL_CERT_FILE": str(home / "bundle.pem"), **environment}
    return subprocess.run([sys.executable, str(script), program], env=plain, text=True, capture_output=True)


@pytest.mark.parametrize(
    "program, lines",
    [
        ("pip", ["PIP_INDEX_URL=https://mine.example/simple", "PIP_CERT={home}/bundle.pem"]),
        ("pants", ['PANTS_PYTHON_REPOS_INDEXES=["https://mine.example/simple"]', "PANTS_CA_CERTS_PATH={home}/bundle.pem"]),
    ],
)
def test_uv_configuration_reaches_both_programs(tmp_path: Path, program: str, lines: Sequence[str]) -> None:
    configuration = tmp_path / ".config/uv/uv.toml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text('index-url = "https://mine.example/simple"\n')
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PIP_FIND_LINKS": ""}

    finished = run(program, tmp_path, environment)

    assert finished.returncode == 0, finished.stderr
    expected = [line.format(home=tmp_path) for line in lines]
    assert [line for line in finished.stdout.splitlines() if "FIND_LINKS" not in line] == expected


def test_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    configuration = tmp_path / ".config/pip/pip.conf"
    configuration.parent.mkdir(parents=True)
    configuration.write_text("index-url = https://mine.example/simple\n")

    finished = run("pip", tmp_path, {})

    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr.startswith(f"pants: error: The pip configuration {configuration} cannot be read: ")
    assert finished.stderr.endswith(" Mend it or remove it.\n")
