from __future__ import annotations

import pytest

from imagekit.upstream_tests.exclusions import ExclusionError, excluded_tests, parse_exclusions

REMEDY = "Write `<regular expression>  # <reason>`, such as `keystone\\.tests\\.unit\\.test_x\\..*  # needs a server`."


def test_a_line_is_an_expression_and_a_reason() -> None:
    text = "# LDAP\n\na\\.b\\..*  # needs a server # of LDAP\na\\.c\\.test   # slow\n"
    first, second = parse_exclusions(text, "2025.2.txt")
    assert (first.pattern.pattern, first.reason) == ("a\\.b\\..*", "needs a server # of LDAP")
    assert first.place == "2025.2.txt:3"
    assert (second.pattern.pattern, second.reason, second.place) == ("a\\.c\\.test", "slow", "2025.2.txt:4")


@pytest.mark.parametrize(
    "line, problem",
    [
        ("a.b", "`a.b` is left out without a reason"),
        ("a.b  #", "`a.b` is left out without a reason"),
        ("a(b  # slow", "`a(b` is not a regular expression: missing ), unterminated subpattern at position 1"),
    ],
)
def test_a_line_that_says_less_is_refused(line: str, problem: str) -> None:
    with pytest.raises(ExclusionError) as refusal:
        parse_exclusions(f"\n{line}\n", "2025.2.txt")
    assert str(refusal.value) == f"2025.2.txt:2: {problem}. {REMEDY}"


def test_a_line_said_twice_is_refused() -> None:
    with pytest.raises(ExclusionError) as refusal:
        parse_exclusions("a  # slow\na  # hangs\n", "2025.2.txt")
    assert str(refusal.value) == (
        "2025.2.txt:2: `a` is left out already, by 2025.2.txt:1. Delete one of the two lines."
    )


def test_an_expression_matches_whole_ids() -> None:
    exclusions = parse_exclusions("m\\.A\\.test_one  # slow\nm\\.B\\..*  # hangs\n", "x")
    tests = ("m.A.test_one", "m.A.test_one_more", "m.B.test", "m.B.test(sqlite)")
    assert excluded_tests(exclusions, tests) == {"m.A.test_one", "m.B.test", "m.B.test(sqlite)"}


def test_an_exclusion_that_matches_nothing_is_refused() -> None:
    exclusions = parse_exclusions("m\\.A\\.test  # slow\nm\\.A\\.tset  # slow\n", "2025.2.txt")
    with pytest.raises(ExclusionError) as refusal:
        excluded_tests(exclusions, ("m.A.test", "m.A.test_2"))
    assert str(refusal.value) == (
        "2025.2.txt:2: `m\\.A\\.tset` matches none of the 2 tests. It must match the whole id of a test: correct it, "
        "or delete the line."
    )
