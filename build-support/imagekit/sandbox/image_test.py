from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.oci.image_config import ContainerConfig
from imagekit.sandbox.bwrap import SandboxError
from imagekit.sandbox.cli import parse_bind, parse_variable
from imagekit.sandbox.image import Account, command_of, find_account
from imagekit.sandbox.mounts import Bind


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "root:*:0:0::/root:/bin/sh\nopenstack:*:42424:42424::/var/lib/openstack:/usr/sbin/nologin\n"
    )
    (tmp_path / "etc/group").write_text("root:*:0:\nkvm:*:107:openstack\n")
    return tmp_path


@pytest.mark.parametrize(
    "user, account",
    [
        ("", Account(0, 0, "/root")),
        ("openstack", Account(42424, 42424, "/var/lib/openstack")),
        ("42424", Account(42424, 42424, "/var/lib/openstack")),
        ("openstack:kvm", Account(42424, 107, "/var/lib/openstack")),
        ("42424:7", Account(42424, 7, "/var/lib/openstack")),
        ("1000", Account(1000, 0, "/")),
    ],
)
def test_the_account_of_a_user(root: Path, user: str, account: Account) -> None:
    assert find_account(root, user) == account


@pytest.mark.parametrize("user, what, name, file", [("me", "user", "me", "passwd"), ("0:us", "group", "us", "group")])
def test_a_name_that_the_image_does_not_know(root: Path, user: str, what: str, name: str, file: str) -> None:
    with pytest.raises(SandboxError) as error:
        find_account(root, user)
    assert str(error.value) == f"the image has no {what} {name!r} in its /etc/{file}. Name one that it has, or an id."


def test_an_image_without_account_files(tmp_path: Path) -> None:
    assert find_account(tmp_path, "") == Account(0, 0, "/")


def test_arguments_replace_the_command_and_not_the_entry_point() -> None:
    config = ContainerConfig(entrypoint=("init", "--"), cmd=("serve",))
    assert command_of(config, ()) == ("init", "--", "serve")
    assert command_of(config, ("sh", "-c")) == ("init", "--", "sh", "-c")


def test_nothing_to_run() -> None:
    with pytest.raises(SandboxError) as error:
        command_of(ContainerConfig(), ())
    assert str(error.value) == "the image has neither an entry point nor a command. Give one after '--'."


def test_binds_and_variables_of_the_command_line() -> None:
    assert parse_bind("./data:/srv") == Bind(Path("data"), "/srv")
    assert parse_bind("/a:/b:rw") == Bind(Path("/a"), "/b", writable=True)
    assert parse_variable("A=b=c") == ("A", "b=c")


@pytest.mark.parametrize("text", ["/a", "/a:", ":/b", "/a:/b:rx"])
def test_a_bind_that_is_not_written_well(text: str) -> None:
    with pytest.raises(SandboxError) as error:
        parse_bind(text)
    assert str(error.value) == (
        f"--bind must be SOURCE:TARGET or SOURCE:TARGET:rw, but was {text!r}. Write it like './data:/srv/data:rw'."
    )


@pytest.mark.parametrize("text", ["A", "=b"])
def test_a_variable_that_is_not_written_well(text: str) -> None:
    with pytest.raises(SandboxError) as error:
        parse_variable(text)
    assert str(error.value) == f"--env must be NAME=VALUE, but was {text!r}. Write it like 'OS_DEBUG=true'."
