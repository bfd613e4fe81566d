from __future__ import annotations

import pytest

from imagekit.sandbox.user_namespace import SubordinateIds, UserNamespaceError, parse_subordinate_ids

TEXT = "lxd:100000:1000\nbuilder:200000:1000\nbuilder:300000:65536\n1002:400000:70000\nbroken\nbuilder:x:y\n"


def test_the_first_large_enough_range_of_a_user() -> None:
    assert parse_subordinate_ids(TEXT, "builder", 1001, "/etc/subuid") == SubordinateIds(300000, 65536)


def test_a_range_given_to_a_user_id() -> None:
    assert parse_subordinate_ids(TEXT, "nobody-else", 1002, "/etc/subuid") == SubordinateIds(400000, 70000)


@pytest.mark.parametrize("name", ["lxd", "stranger"])
def test_a_user_without_a_large_enough_range(name: str) -> None:
    with pytest.raises(UserNamespaceError) as error:
        parse_subordinate_ids(TEXT, name, 7, "/etc/subgid")
    assert str(error.value) == (
        f"/etc/subgid gives the user {name!r} no range of at least 65536 ids; a root file system has files of many "
        f"users. Run: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"
    )
