from __future__ import annotations

import pytest

from imagekit.sources.tree import SourceFile, SourceTree
from imagekit.upstream_tests.source import UntestableSourceError, folder_of_tests, requirements_of_tests

WHAT = "keystone 28.0.0"


def tree(**files: str) -> SourceTree:
    names = {"requirements": "test-requirements.txt", "stestr": ".stestr.conf"}
    return {names[name]: SourceFile(text.encode()) for name, text in files.items()}


def test_requirements_are_those_of_the_source() -> None:
    source = tree(
        requirements="# lint\nhacking\n\noslo.db[fixtures,mysql]>=6.0.0 # Apache-2.0\npytz ; python_version<'3.12'\n"
    )
    assert requirements_of_tests(source, WHAT, frozenset()) == (
        "hacking",
        "oslo.db[fixtures,mysql]>=6.0.0",
        'pytz; python_version < "3.12"',
    )
    assert requirements_of_tests(source, WHAT, frozenset(["Oslo_DB", "pytz"])) == ("hacking",)


def test_a_source_without_test_requirements_is_refused() -> None:
    with pytest.raises(UntestableSourceError) as refusal:
        requirements_of_tests({}, WHAT, frozenset())
    assert str(refusal.value) == (
        "keystone 28.0.0 has no test-requirements.txt. Name the extra that its tests need in `extras`, or the packages "
        "in `python_packages`."
    )
    assert requirements_of_tests({}, WHAT, frozenset(), optional=True) == ()


def test_an_exclusion_of_what_is_not_required_is_refused() -> None:
    with pytest.raises(UntestableSourceError) as refusal:
        requirements_of_tests(tree(requirements="hacking\n"), WHAT, frozenset(["psycopg2"]))
    assert str(refusal.value) == (
        "`exclude_requirements` names 'psycopg2', but test-requirements.txt of keystone 28.0.0 does not require it. It "
        "requires: hacking. Correct the name, or delete it."
    )


def test_a_line_that_is_no_requirement_is_refused() -> None:
    with pytest.raises(UntestableSourceError) as refusal:
        requirements_of_tests(tree(requirements="hacking\n-r more.txt\n"), WHAT, frozenset())
    assert str(refusal.value).startswith(
        "test-requirements.txt:2 of keystone 28.0.0: '-r more.txt' is not a requirement (PEP 508): "
    )


@pytest.mark.parametrize("value", ["./keystone/tests/unit", "${OS_TEST_PATH:-./keystone/tests/unit}"])
def test_the_folder_of_the_tests_is_the_one_that_stestr_takes(value: str) -> None:
    source = tree(stestr=f"[DEFAULT]\ntest_path={value}\ntop_dir=./\ngroup_regex=([^\\.]+\\.)+\n")
    assert folder_of_tests(source, WHAT) == "./keystone/tests/unit"


@pytest.mark.parametrize("source", [tree(), tree(stestr="[DEFAULT]\ntop_dir=./\n")])
def test_a_source_that_does_not_say_where_its_tests_are_is_refused(source: SourceTree) -> None:
    with pytest.raises(UntestableSourceError) as refusal:
        folder_of_tests(source, WHAT)
    assert str(refusal.value) == (
        "keystone 28.0.0 has no `test_path` in .stestr.conf. Set `test_path` to the folder of its tests."
    )


def test_a_configuration_that_cannot_be_read_is_refused() -> None:
    problem = r"(?s)^\.stestr\.conf of keystone 28\.0\.0 cannot be read: .* Set `test_path`\.$"
    with pytest.raises(UntestableSourceError, match=problem):
        folder_of_tests(tree(stestr="test_path=x\n"), WHAT)
