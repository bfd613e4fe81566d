from __future__ import annotations

from pathlib import Path
from typing import List, Mapping, Sequence, Tuple

import pytest

from imagekit.fetch.settings import FetchSettings, HttpSettings
from imagekit.python import uv
from imagekit.python.constraints import Constraints, parse_upper_constraints
from imagekit.python.lock import LockError
from imagekit.sandbox.bwrap import Finished

CONSTRAINTS = parse_upper_constraints("bcrypt===4.0.1\nrequests===2.32.4\nbcrypt-tool===4.0.1\n", "upper-constraints.txt")
ANSWER = '[[packages]]\nname = "x"\nversion = "1"\n'


class FakeUv:
    """Answers every call in the same way and remembers what it was called with."""

    def __init__(self, returncode: int = 0, stderr: str = "") -> None:
        self.finished = Finished(returncode, "", stderr)
        self.files: Mapping[str, str] = {}
        self.arguments: Sequence[str] = ()

    def __call__(self, arguments: Sequence[str], variables: Mapping[str, str], folder: Path) -> Finished:
        self.arguments = arguments
        self.files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
        (folder / "pylock.toml").write_text(ANSWER)
        return self.finished


def resolution(preferred: Tuple[Tuple[str, str], ...] = (), files: Tuple[Path, ...] = ()) -> uv.Resolution:
    return uv.Resolution(
        what="the lock of keystone 2025.2",
        requirements=("bcrypt", "requests"),
        constraints=CONSTRAINTS,
        python="3.11",
        preferred=preferred,
        files=files,
    )


def test_uv_gets_requirements_constraints_preferences_and_files(tmp_path: Path) -> None:
    wheel = tmp_path / "keystone-28.0.0-py3-none-any.whl"
    wheel.write_text("wheel")
    fake = FakeUv()
    folder = tmp_path / "work"
    folder.mkdir()
    resolved = uv.resolve(resolution(preferred=(("uwsgi", "2.0.30"),), files=(wheel,)), {}, folder, fake)
    assert [(package.name, package.version) for package in resolved] == [("x", "1")]
    assert fake.files == {
        "requirements.in": "bcrypt\nrequests\n",
        "constraints.txt": "bcrypt-tool===4.0.1\nbcrypt===4.0.1\nrequests===2.32.4\n",
        "build-constraints.txt": "bcrypt-tool===4.0.1\nbcrypt===4.0.1\nrequests===2.32.4\n",
        "input/keystone-28.0.0-py3-none-any.whl": "wheel",
        "pylock.toml": (
            'lock-version = "1.0"\ncreated-by = "imagekit"\n\n[[packages]]\nname = "uwsgi"\nversion = "2.0.30"\n'
        ),
    }


def test_the_command_line_of_uv() -> None:
    assert uv.compile_arguments(resolution()) == (
        "pip", "compile", "--universal", "--python-version", "3.11", "--format", "pylock.toml",
        "--constraints", "constraints.txt", "--build-constraints", "build-constraints.txt",
        "--no-python-downloads", "--no-progress", "--color", "never", "--output-file", "pylock.toml", "requirements.in",
    )  # fmt: skip
    wheels_only = uv.Resolution("", (), Constraints("", ()), "3.9", wheels_only=True)
    assert "--only-binary" in uv.compile_arguments(wheels_only)


def test_a_failure_says_what_uv_says_and_where_the_constraints_in_it_are(tmp_path: Path) -> None:
    says = (
        "error: No solution found when resolving dependencies\n"
        "  cause: Because you require bcrypt>=4.2 and\n  bcrypt==4.0.1, we can conclude that they are unsatisfiable.\n"
    )
    with pytest.raises(LockError) as refusal:
        uv.resolve(resolution(), {}, tmp_path, FakeUv(1, says))
    assert str(refusal.value) == (
        f"the lock of keystone 2025.2 cannot be resolved. uv says:\n{says.rstrip()}\n"
        "Constraints in it:\n  `bcrypt===4.0.1` at upper-constraints.txt:1"
    )


def test_an_unknown_extra_is_refused(tmp_path: Path) -> None:
    says = "Resolved 5 packages in 1ms\nwarning: The package `requests==2.32.4` does not have an extra named `sox`\n"
    with pytest.raises(LockError) as refusal:
        uv.resolve(resolution(), {}, tmp_path, FakeUv(0, says))
    assert str(refusal.value) == (
        "the lock of keystone 2025.2: requests==2.32.4 has no extra 'sox'. "
        "Correct the extra or take it out of the requirements."
    )


def test_uv_uses_the_indexes_proxies_and_certificates_of_the_settings_and_nothing_else() -> None:
    settings = FetchSettings(
        index_url="https://index.example/simple",
        extra_index_urls=("https://extra.example/simple",),
        find_links=("/srv/wheels", "https://links.example/"),
        http=HttpSettings(
            ca_bundle="/etc/ca.pem",
            trusted_hosts=("a.example", "b.example"),
            https_proxy="http://proxy.example:3128",
            no_proxy=("localhost", ".example"),
            timeout=60,
            retries=2,
            netrc="/home/me/.netrc",
        ),
    )
    assert uv.environment(settings) == {
        "UV_NO_CONFIG": "1",
        "UV_DEFAULT_INDEX": "https://index.example/simple",
        "UV_INDEX": "https://index.example/simple https://extra.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/srv/wheels,https://links.example/",
        "UV_HTTP_TIMEOUT": "60",
        "UV_HTTP_RETRIES": "2",
        "UV_INSECURE_HOST": "a.example b.example",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "NO_PROXY": "localhost,.example",
        "NETRC": "/home/me/.netrc",
    }


def test_indexes_that_are_switched_off_stay_off() -> None:
    variables = uv.environment(FetchSettings(index_url=None, find_links=("/srv/wheels",)))
    assert variables["UV_NO_INDEX"] == "1"
    assert "UV_DEFAULT_INDEX" not in variables and "UV_INDEX" not in variables


def test_files_that_the_settings_name_are_known(tmp_path: Path) -> None:
    names: List[str] = ["ca.pem", "simple", "links"]
    for name in names:
        (tmp_path / name).mkdir()
    settings = FetchSettings(
        index_url="https://index.example/simple",
        extra_index_urls=(f"file://{tmp_path}/simple",),
        find_links=(f"{tmp_path}/links", f"{tmp_path}/missing"),
        http=HttpSettings(ca_bundle=f"{tmp_path}/ca.pem"),
    )
    assert uv.local_files(settings) == tuple(tmp_path / name for name in sorted(names))
