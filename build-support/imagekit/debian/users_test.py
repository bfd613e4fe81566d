from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.debian.users import User, UserError, add_user


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:*:0:0:root:/root:/bin/bash\n")
    (tmp_path / "etc/group").write_text("root:*:0:\n")
    return tmp_path


def test_a_user_without_a_password_or_a_shell(root: Path) -> None:
    add_user(root, User.parse("openstack:42424"))
    assert (root / "etc/passwd").read_text() == (
        "root:*:0:0:root:/root:/bin/bash\nopenstack:*:42424:42424::/var/lib/openstack:/usr/sbin/nologin\n"
    )
    assert (root / "etc/group").read_text() == "root:*:0:\nopenstack:*:42424:\n"
    assert (root / "var/lib/openstack").stat().st_mode & 0o7777 == 0o755
    assert sorted(path.name for path in (root / "etc").iterdir()) == ["group", "passwd"]


def test_shadow_files_are_kept_in_step(root: Path) -> None:
    (root / "etc/shadow").write_text("root:*:20000:0:99999:7:::\n")
    (root / "etc/gshadow").write_text("root:*::\n")
    add_user(root, User("openstack", 42424))
    assert (root / "etc/passwd").read_text().splitlines()[1].startswith("openstack:x:42424:")
    assert (root / "etc/shadow").read_text() == "root:*:20000:0:99999:7:::\nopenstack:!:::::::\n"
    assert (root / "etc/gshadow").read_text() == "root:*::\nopenstack:!::\n"


@pytest.mark.parametrize("user, taken", [(User("root", 7), "root"), (User("nova", 0), "root")])
def test_a_name_or_id_that_is_taken(root: Path, user: User, taken: str) -> None:
    with pytest.raises(UserError) as error:
        add_user(root, user)
    assert str(error.value) == (
        f"the user {user.name!r} with id {user.uid} cannot be added: /etc/passwd has "
        "'root:*:0:0:root:/root:/bin/bash' already. Choose another name or id."
    )


@pytest.mark.parametrize("text", ["openstack", "openstack:", "Open:1", "a:0", "a:65534", "a:1:2", ":1", "a:-1"])
def test_a_user_that_is_not_written_well(text: str) -> None:
    with pytest.raises(UserError) as error:
        User.parse(text)
    assert str(error.value) == (
        f"a user must be written as NAME:ID with an id from 1 to 59999, but was {text!r}. "
        "Write it like 'openstack:42424'."
    )
