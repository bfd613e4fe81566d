from __future__ import annotations

import pytest

from imagekit.python.constraints import (
    Constraint,
    ConstraintError,
    Place,
    apply_overrides,
    parse_overrides,
    parse_upper_constraints,
)

UPPER_CONSTRAINTS = """\
# A comment.
PasteDeploy===3.1.0
oslo.limit===2.8.0

networkx===3.2.1;python_version=='3.9'
networkx===3.4.2;python_version>='3.10'
mypy_extensions===1.1.0
"""


def effective(overrides: str, upper_constraints: str = UPPER_CONSTRAINTS) -> str:
    return apply_overrides(
        parse_upper_constraints(upper_constraints, "upper-constraints.txt"),
        parse_overrides(overrides, "constraint-overrides.txt"),
    ).render()


UNCHANGED = effective("")


def refusal_of(overrides: str, upper_constraints: str = UPPER_CONSTRAINTS) -> str:
    with pytest.raises(ConstraintError) as refusal:
        effective(overrides, upper_constraints)
    return str(refusal.value)


def test_upper_constraints_are_read() -> None:
    constraints = parse_upper_constraints(UPPER_CONSTRAINTS, "upper-constraints.txt")
    assert [pin.requirement for pin in constraints.pins] == [
        "pastedeploy===3.1.0",
        "oslo-limit===2.8.0",
        'networkx===3.2.1 ; python_version == "3.9"',
        'networkx===3.4.2 ; python_version >= "3.10"',
        "mypy-extensions===1.1.0",
    ]
    assert [str(pin.place) for pin in constraints.of("NetworkX")] == ["upper-constraints.txt:5", "upper-constraints.txt:6"]


@pytest.mark.parametrize("spelling", ["oslo.limit", "Oslo-Limit", "oslo_limit"])
def test_an_override_replaces_a_pin_in_any_spelling_of_the_name(spelling: str) -> None:
    assert effective(f"{spelling}===2.9.0\n") == UNCHANGED.replace("oslo-limit===2.8.0", "oslo-limit===2.9.0")


def test_an_override_adds_a_pin_that_was_not_there() -> None:
    assert effective("uwsgi===2.0.31\n") == "".join(sorted(UNCHANGED.splitlines(keepends=True) + ["uwsgi===2.0.31\n"]))


def test_a_removal_removes_all_pins_of_the_package() -> None:
    assert effective("-NetworkX\n") == "mypy-extensions===1.1.0\noslo-limit===2.8.0\npastedeploy===3.1.0\n"


def test_an_override_with_a_marker_replaces_the_pin_with_that_marker_only() -> None:
    assert effective("networkx===3.5;python_version >= '3.10'\n") == UNCHANGED.replace("3.4.2", "3.5")


def test_an_override_that_would_drop_marker_variants_is_refused() -> None:
    assert refusal_of("# why\nnetworkx===3.5\n") == (
        "constraint-overrides.txt:2: `networkx===3.5` does not say which pin of networkx it replaces: the pins are "
        '`networkx===3.2.1 ; python_version == "3.9"` at upper-constraints.txt:5, '
        '`networkx===3.4.2 ; python_version >= "3.10"` at upper-constraints.txt:6. '
        'Write `networkx===3.5 ; python_version == "3.9"` or `networkx===3.5 ; python_version >= "3.10"`.'
    )


def test_an_override_with_a_marker_that_would_contradict_a_pin_is_refused() -> None:
    assert refusal_of("oslo.limit===2.9.0; python_version < '3.12'\n") == (
        'constraint-overrides.txt:1: `oslo-limit===2.9.0 ; python_version < "3.12"` does not say which pin of oslo-limit '
        "it replaces: the pins are `oslo-limit===2.8.0` at upper-constraints.txt:3. Write `oslo.limit===2.9.0`."
    )


def test_the_reason_is_the_comment_above_or_after_the_line() -> None:
    overrides = parse_overrides(
        """\
# Overrides of this release.

# CVE-2026-1: a crafted
# request stops the parser.
pastedeploy===3.2.0
mypy_extensions===1.2.0
oslo.limit===2.9.0  # faster
-networkx

uwsgi===2.0.31
""",
        "overrides.txt",
    )
    assert [(pin.project, pin.reason) for pin in overrides.pins] == [
        ("pastedeploy", "CVE-2026-1: a crafted request stops the parser."),
        ("mypy_extensions", "CVE-2026-1: a crafted request stops the parser."),
        ("oslo.limit", "faster"),
        ("uwsgi", None),
    ]
    assert [(removal.project, removal.reason) for removal in overrides.removals] == [
        ("networkx", "CVE-2026-1: a crafted request stops the parser.")
    ]


def test_an_override_remembers_what_it_replaced() -> None:
    constraints = apply_overrides(
        parse_upper_constraints(UPPER_CONSTRAINTS, "upper-constraints.txt"),
        parse_overrides("# faster\noslo.limit===2.9.0\n", "overrides.txt"),
    )
    assert constraints.of("oslo.limit") == (
        Constraint("oslo.limit", "2.9.0", None, Place("overrides.txt", 2), "faster", replaces="2.8.0", override=True),
    )


def test_the_pins_of_a_package_built_from_source_can_be_left_out() -> None:
    constraints = parse_upper_constraints(UPPER_CONSTRAINTS, "upper-constraints.txt")
    assert constraints.without("paste_deploy").render() == UNCHANGED
    assert constraints.without("PASTEDEPLOY").render() == UNCHANGED.replace("pastedeploy===3.1.0\n", "")


SYNTAX = "Write `name===version` to replace or add a pin, `-name` to remove it, or `# text` to say why."


@pytest.mark.parametrize(
    "line, message",
    [
        ("oslo.limit==2.9.0", f"`oslo.limit==2.9.0` is not a pin. {SYNTAX}"),
        ("oslo.limit>=2.9.0", f"`oslo.limit>=2.9.0` is not a pin. {SYNTAX}"),
        ("oslo.limit===", f"`oslo.limit===` is not a pin. {SYNTAX}"),
        ("oslo.limit===2.9.0 or so", f"`oslo.limit===2.9.0 or so` is not a pin. {SYNTAX}"),
        ("oslo limit===2.9.0", f"`oslo limit===2.9.0` is not a pin. {SYNTAX}"),
        ("-r more.txt", f"`-r more.txt` is not a pin. {SYNTAX}"),
        ("- oslo.limit", f"`- oslo.limit` is not a pin. {SYNTAX}"),
        ("oslo.limit===2.9.0,===3", f"`oslo.limit===2.9.0,===3` is not a pin. {SYNTAX}"),
        ("oslo.limit===latest", f"'latest' in `oslo.limit===latest` is not a version (PEP 440). {SYNTAX}"),
        (
            "oslo.limit===2.9.0; python==3",
            f"'python==3' in `oslo.limit===2.9.0; python==3` is not an environment marker (PEP 508). {SYNTAX}",
        ),
        (
            "-no-such-package",
            "`-no-such-package` removes a pin that upper-constraints.txt does not have. Correct the name or delete the line.",
        ),
    ],
)
def test_a_dirty_override_line_is_refused(line: str, message: str) -> None:
    assert refusal_of(f"\n{line}\n") == f"constraint-overrides.txt:2: {message}"


def test_a_package_overridden_twice_is_refused() -> None:
    assert refusal_of("uwsgi===2.0.31\nuWSGI===2.0.30\n") == (
        "constraint-overrides.txt:2: `uwsgi===2.0.30` pins uwsgi again, after `uwsgi===2.0.31` at "
        "constraint-overrides.txt:1. Delete one of the two lines."
    )


@pytest.mark.parametrize("line, other", [(2, 1), (1, 2)])
def test_a_package_overridden_everywhere_and_somewhere_is_refused(line: int, other: int) -> None:
    lines = {line: "uWSGI===2.0.30 ; python_version < '3.12'\n", other: "uwsgi===2.0.31\n"}
    assert refusal_of(lines[1] + lines[2]) == (
        f'constraint-overrides.txt:{line}: `uwsgi===2.0.30 ; python_version < "3.12"` contradicts `uwsgi===2.0.31` '
        f"at constraint-overrides.txt:{other}, which holds everywhere. Give that one a marker too, or delete one of the "
        "two lines."
    )


def test_a_package_both_pinned_and_removed_is_refused() -> None:
    assert refusal_of("oslo.limit===2.9.0\n-oslo_limit\n") == (
        "constraint-overrides.txt:1: oslo-limit is pinned to 2.9.0 here, but constraint-overrides.txt:2 removes it. "
        "A pin replaces the old one by itself: delete the removal, or the pin."
    )


def test_a_package_removed_twice_is_refused() -> None:
    assert refusal_of("-networkx\n-Networkx\n") == (
        "constraint-overrides.txt:2: `-Networkx` removes networkx, which constraint-overrides.txt:1 removes already. "
        "Delete one of the two lines."
    )


def test_a_dirty_upper_constraints_line_is_refused() -> None:
    assert refusal_of("", "x===1\n<html>\n") == (
        "upper-constraints.txt:2: `<html>` is not a pin. "
        "Write `name===version`, with `;marker` where it holds only there."
    )
