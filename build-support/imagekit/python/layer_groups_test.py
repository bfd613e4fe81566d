from __future__ import annotations

import random
from typing import Dict, Sequence, Tuple

import pytest

from imagekit.python.layer_groups import (
    LARGE,
    GroupedLock,
    Group,
    LayerGroupsError,
    Member,
    members,
    merge_smallest,
    regroup,
    renew,
    summed_size,
    unique_size,
)
from imagekit.python.lock import Artifact, LockedPackage, PythonLock, RootPackage, select
from imagekit.python.target import TargetPython

NEW = GroupedLock((), ())


def small(name: str, version: str = "1") -> Member:
    return Member(name, (name, version), 1000)


def large(name: str) -> Member:
    return Member(name, (name, "1"), LARGE)


def patched(name: str) -> Member:
    return Member(name, (name, "1"), 0, patched=True)


def grouped(locks: Dict[str, Sequence[Member]]) -> Dict[str, GroupedLock]:
    groups = regroup(locks)
    return {name: GroupedLock(tuple(held), groups[name]) for name, held in locks.items()}


FLEET = {
    "keystone": [small("six"), small("mako"), small("ldap"), large("cryptography")],
    "nova": [small("six"), small("mako"), small("libvirt"), small("rtslib"), large("cryptography")],
    "glance": [small("six"), small("mako"), small("lha"), large("cryptography"), large("boto")],
}


def test_packages_that_the_same_locks_hold_are_a_group_and_large_ones_are_alone() -> None:
    groups = regroup(FLEET)
    assert groups["keystone"] == (("cryptography",), ("mako", "six"), ("ldap",))
    assert groups["nova"] == (("cryptography",), ("mako", "six"), ("libvirt", "rtslib"))
    assert groups["glance"] == (("cryptography",), ("mako", "six"), ("boto",), ("lha",))


def test_another_version_is_another_package() -> None:
    groups = regroup({"a": [small("six"), small("mako")], "b": [small("six", "2"), small("mako")]})
    assert groups == {"a": (("mako",), ("six",)), "b": (("mako",), ("six",))}


def test_a_patched_library_is_alone() -> None:
    assert regroup({"a": [small("six"), patched("oslo-messaging")]}) == {"a": (("oslo-messaging",), ("six",))}


def test_equal_sets_have_equal_groups_whatever_order_they_come_in() -> None:
    shuffled = {name: random.Random(7).sample(FLEET[name], len(FLEET[name])) for name in reversed(list(FLEET))}
    assert regroup(shuffled) == regroup(FLEET)
    assert regroup({"a": FLEET["nova"], "b": FLEET["nova"]})["a"] == regroup({"a": FLEET["nova"]})["a"]


def test_every_package_is_in_exactly_one_group() -> None:
    for name, groups in regroup(FLEET).items():
        assert sorted(package for group in groups for package in group) == sorted(member.name for member in FLEET[name])


def test_a_lock_that_did_not_change_keeps_its_groups() -> None:
    fleet = grouped(FLEET)
    for name in FLEET:
        others = [fleet[other] for other in FLEET if other != name]
        assert renew(FLEET[name], fleet[name], others) == fleet[name].groups


def test_a_new_service_takes_over_the_groups_of_the_others() -> None:
    fleet = grouped(FLEET)
    held = [small("six"), small("mako"), small("rtslib"), large("cryptography"), small("own"), large("big")]
    for order in (list(fleet.values()), list(reversed(list(fleet.values())))):
        assert renew(held, NEW, order) == (("cryptography",), ("mako", "six"), ("own", "rtslib"), ("big",))


def test_a_bumped_library_changes_only_the_group_that_held_it() -> None:
    fleet = grouped(FLEET)
    bumped: Dict[str, GroupedLock] = dict(fleet)
    for name in ("keystone", "nova"):
        held = [small("six", "2") if member.name == "six" else member for member in FLEET[name]]
        groups = renew(held, bumped[name], [bumped[other] for other in FLEET if other != name])
        bumped[name] = GroupedLock(tuple(held), groups)
    untouched = {contents for _, contents in fleet["nova"].contents() if small("six") not in contents}
    after = {contents for _, contents in bumped["nova"].contents()}
    assert untouched <= after
    assert after - untouched == {frozenset([small("mako")]), frozenset([small("six", "2")])}
    # The locks that are renewed one after the other arrive at the same groups.
    shared = after & {contents for _, contents in bumped["keystone"].contents()}
    assert {frozenset([small("mako")]), frozenset([small("six", "2")])} <= shared


def test_a_package_that_is_gone_leaves_its_group() -> None:
    previous = GroupedLock((small("a"), small("b"), small("c")), (("a", "b"), ("c",)))
    assert renew([small("a")], previous, []) == (("a",),)


def test_the_largest_group_of_another_lock_is_taken_over_first() -> None:
    one = GroupedLock((small("a"), small("b")), (("a", "b"),))
    other = GroupedLock((small("a"), small("b"), small("c")), (("a", "b", "c"),))
    assert renew([small("a"), small("b"), small("c")], NEW, [one, other]) == (("a", "b", "c"),)


def test_more_groups_than_allowed_lose_the_smallest() -> None:
    held = [Member(name, (name,), size) for name, size in (("a", 5), ("b", 1), ("c", 2), ("d", 9))]
    groups: Tuple[Group, ...] = (("a",), ("b",), ("c",), ("d",))
    assert merge_smallest(groups, held, 4) == groups
    assert merge_smallest(groups, held, 3) == (("a",), ("d",), ("b", "c"))
    assert merge_smallest(groups, held, 1) == (("a", "b", "c", "d"),)


def test_patched_libraries_are_merged_last() -> None:
    held = [patched("lib"), large("a"), large("b")]
    assert merge_smallest((("a",), ("b",), ("lib",)), held, 2) == (("lib",), ("a", "b"))


def test_many_large_packages_stay_below_the_limit() -> None:
    held = [large(f"p{number}") for number in range(200)]
    groups = regroup({"a": held}, limit=70)["a"]
    assert len(groups) == 70
    assert sorted(name for group in groups for name in group) == sorted(member.name for member in held)
    assert len(renew(held, NEW, [], limit=70)) == 70


def test_no_layer_at_all_is_refused() -> None:
    with pytest.raises(LayerGroupsError) as error:
        regroup({"a": [small("six")]}, limit=0)
    assert str(error.value) == "Python packages cannot be put into 0 layers. Allow at least 1."


def test_sizes_count_a_shared_group_once() -> None:
    locks = list(grouped({"a": [small("six"), large("big")], "b": [small("six")]}).values())
    assert (unique_size(locks), summed_size(locks)) == (1000 + LARGE, 2000 + LARGE)


def wheel(name: str, tags: str, size: int = 10) -> Artifact:
    return Artifact(f"{name}-1-{tags}.whl", size, f"{sum(tags.encode()):064x}")


def make_lock(*packages: LockedPackage, release: str = "2025.2", layers: Tuple[Group, ...] = ()) -> PythonLock:
    return PythonLock(release, "nova", ("3.11",), ("nova",), RootPackage("nova", "1"), packages, layers)


def test_members_of_a_lock_differ_by_file_and_not_by_constraint() -> None:
    package = LockedPackage("six", "1", wheels=(wheel("six", "py3-none-any"),))
    constrained = LockedPackage("six", "1", constraints=("six===1",), wheels=(wheel("six", "py3-none-any"),))
    rebuilt = LockedPackage("six", "1", wheels=(wheel("six", "py2.py3-none-any"),))
    assert members(make_lock(package)) == members(make_lock(constrained, release="2025.1"))
    assert members(make_lock(package)) != members(make_lock(rebuilt))


def test_the_service_itself_is_in_no_group() -> None:
    assert members(make_lock(LockedPackage("nova", "1", wheels=(wheel("nova", "py3-none-any"),)))) == ()


def test_groups_hold_for_every_machine() -> None:
    packages = (
        LockedPackage(
            "both",
            "1",
            wheels=(wheel("both", "cp311-cp311-manylinux_2_28_x86_64", 7), wheel("both", "cp311-cp311-manylinux_2_28_aarch64", 9)),
        ),
        LockedPackage("intel", "1", marker='platform_machine == "x86_64"', wheels=(wheel("intel", "py3-none-any"),)),
    )
    held = members(make_lock(*packages))
    assert [(member.name, member.size) for member in held] == [("both", 9), ("intel", 10)]
    lock = make_lock(*packages, layers=renew(held, NEW, []))
    chosen = {}
    for machine in ("x86_64", "aarch64"):
        selection = select(lock, TargetPython("3.11", (2, 36), machine), "lock", "Lock again.")
        chosen[machine] = [[package.name for package in layer] for layer in selection.layers]
    assert chosen == {"x86_64": [["both", "intel"]], "aarch64": [["both"]]}
