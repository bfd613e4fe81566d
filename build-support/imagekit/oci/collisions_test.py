from __future__ import annotations

from pathlib import Path
from typing import Dict, Tuple

import pytest

from imagekit.oci.collisions import CollisionError, Replaces, check_collisions
from imagekit.oci.entry import Entry, EntryKind, Piece, directory, opaque_whiteout, whiteout
from imagekit.oci.json_document import Document
from imagekit.oci.layer import write_layer
from imagekit.oci.layer_paths import LayerPaths

Placed = Tuple[LayerPaths, Replaces]


@pytest.fixture
def place(tmp_path: Path):
    """A layer, as it is read back from what is written beside it."""

    def make(name: str, *entries: Entry, replaces: Replaces = Replaces.NOTHING) -> Placed:
        layer = write_layer([Piece(name, entries)], tmp_path / name, created_by=name)
        path = tmp_path / name / "paths.json"
        assert layer.created_by == name
        return LayerPaths.from_document(Document.parse(path.read_bytes(), str(path))), replaces

    return make


def file(path: str, content: bytes = b"", mode: int = 0o644) -> Entry:
    return Entry(path, EntryKind.FILE, mode, content=content)


def refusal(*layers: Placed) -> str:
    with pytest.raises(CollisionError) as error:
        check_collisions("nova", layers)
    return str(error.value)


def test_two_layers_with_the_same_file(place) -> None:
    assert refusal(place("one", file("opt/tool", b"1")), place("two", file("opt/tool", b"2"))) == (
        "Layers of the image nova hold the same path:\n"
        "  /opt/tool: in 'one' and in 'two', with another content, mode or owner\n"
        "One path has one owner: leave it out of one of them. Only a service's `files/` may replace what is below it, "
        "and only below /etc."
    )


@pytest.mark.parametrize(
    "lower, upper",
    [
        (file("a", b"x"), file("a", b"x", 0o755)),
        (file("a", b"x"), Entry("a", EntryKind.SYMLINK, 0o777, link_target="b")),
        (Entry("a", EntryKind.SYMLINK, 0o777, link_target="b"), Entry("a", EntryKind.SYMLINK, 0o777, link_target="c")),
        (file("a", b"x"), Entry("a", EntryKind.FILE, 0o644, 1, 0, b"x")),
    ],
)
def test_kind_mode_owner_and_target_count(place, lower: Entry, upper: Entry) -> None:
    assert "/a: in 'lower' and in 'upper', with another" in refusal(place("lower", lower), place("upper", upper))


def test_a_file_where_another_layer_has_a_directory(place) -> None:
    assert "/opt: in 'one' and in 'two', a directory in the first only" in refusal(
        place("one", file("opt/tool")), place("two", file("opt"))
    )
    assert "/opt: in 'three' and in 'four', a directory in the second only" in refusal(
        place("three", file("opt")), place("four", file("opt/tool"))
    )


def test_an_implied_parent_must_not_open_a_closed_directory(place) -> None:
    assert "/var/lib/private: in 'base' and in 'service', 0700 of 0:0 in the first and 0755 of 0:0 in the second" in refusal(
        place("base", directory("var/lib/private", 0o700)), place("service", file("var/lib/private/x"))
    )


def test_equal_files_and_directories_are_no_collision(place) -> None:
    entries = directory("a"), file("a/x", b"1"), Entry("a/hard", EntryKind.HARDLINK, 0o644, link_target="a/x")
    check_collisions("nova", [place("one", *entries), place("two", *entries)])


def test_a_hardlink_is_compared_by_its_content(place) -> None:
    def linked(content: bytes) -> Tuple[Entry, Entry]:
        return file("a", content), Entry("b", EntryKind.HARDLINK, 0o644, link_target="a")

    assert "/b: in" in refusal(place("one", *linked(b"1")), place("two", *linked(b"2")))


def test_files_of_a_service_may_replace_configuration_only(place) -> None:
    wheel = place("wheel", file("etc/nova/rootwrap.conf", b"1"), file("usr/bin/nova", b"1"))
    check_collisions("nova", [wheel, place("files", file("etc/nova/rootwrap.conf", b"2"), replaces=Replaces.CONFIGURATION)])
    assert "/usr/bin/nova: in 'wheel' and in 'more'" in refusal(
        wheel, place("more", file("usr/bin/nova", b"2"), replaces=Replaces.CONFIGURATION)
    )


def test_a_difference_may_replace_anything_but_is_itself_protected(place) -> None:
    base, system = place("base", file("usr/x", b"1")), place("dpkg", file("usr/x", b"2"), replaces=Replaces.ANYTHING)
    check_collisions("nova", [base, system])
    check_collisions("nova", [base, system, place("same", file("usr/x", b"2"))])
    assert "/usr/x: in 'dpkg' and in 'wheel'" in refusal(base, system, place("wheel", file("usr/x", b"1")))


def test_what_was_removed_is_free(place) -> None:
    base = place("base", file("usr/x/y", b"1"), file("usr/z/y", b"1"))
    removed = place("dpkg", whiteout("usr/x"), opaque_whiteout("usr/z"), replaces=Replaces.ANYTHING)
    check_collisions("nova", [base, removed, place("wheel", file("usr/x/y", b"2"), file("usr/z/y", b"2"))])


def test_only_the_first_collisions_are_shown(place) -> None:
    def files(content: bytes) -> Tuple[Entry, ...]:
        return tuple(file(f"opt/{index:02}", content) for index in range(12))

    shown = refusal(place("one", *files(b"1")), place("two", *files(b"2")))
    assert "/opt/09:" in shown and "/opt/10:" not in shown and "\n  and 2 more\n" in shown


def test_what_is_written_does_not_depend_on_the_order_of_entries(tmp_path: Path) -> None:
    written: Dict[int, bytes] = {}
    for number, entries in enumerate(([file("b"), file("a")], [file("a"), file("b")])):
        write_layer([Piece("piece", entries)], tmp_path / str(number), created_by="layer")
        written[number] = (tmp_path / str(number) / "paths.json").read_bytes()
    assert written[0] == written[1]
