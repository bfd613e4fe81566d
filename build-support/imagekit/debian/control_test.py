from __future__ import annotations

import pytest

from imagekit.debian.control import ControlError, parse_stanzas

TEXT = """\
Package: bash
Pre-Depends: libc6 (>= 2.36), libtinfo6 (>= 6)
Depends: base-files (>= 2.1.12), debianutils:any (>= 5.6-0.1) | gawk <!nocheck>,
 mawk [amd64]
Description: GNU Bourne Again SHell
 Bash is an sh-compatible
 .
 command language interpreter.

\t
Package: dash
"""


def test_stanzas_and_their_fields() -> None:
    bash, dash = parse_stanzas(TEXT)
    assert (bash.get("package"), dash.require("Package"), dash.get("Depends")) == ("bash", "dash", "")
    assert bash.get("Description") == (
        "GNU Bourne Again SHell\n Bash is an sh-compatible\n .\n command language interpreter."
    )
    assert TEXT.startswith(bash.text)


def test_relations_are_names_in_groups_of_alternatives() -> None:
    bash, dash = parse_stanzas(TEXT)
    assert bash.relations("Pre-Depends") == (("libc6",), ("libtinfo6",))
    assert bash.relations("Depends") == (("base-files",), ("debianutils", "gawk"), ("mawk",))
    assert dash.relations("Depends") == ()


def test_nothing_has_no_stanzas() -> None:
    assert list(parse_stanzas("\n\n")) == []


def test_a_missing_field_is_named() -> None:
    (stanza,) = parse_stanzas("Package: dash\n")
    with pytest.raises(ControlError) as error:
        stanza.require("Version")
    assert str(error.value) == "a control stanza lacks the field 'Version': 'Package: dash'"


@pytest.mark.parametrize("line", ["no field", " continuation of nothing", "two words: x"])
def test_a_line_that_is_no_field_is_named(line: str) -> None:
    with pytest.raises(ControlError) as error:
        list(parse_stanzas(f"{line}\nPackage: x\n"))
    assert str(error.value) == f"a control file has a line that is no field: {line!r}"
