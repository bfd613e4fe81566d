from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Optional, Tuple

import pytest

from imagekit.python.constraints import (
    ConstraintError,
    Constraints,
    apply_overrides,
    parse_overrides,
    parse_upper_constraints,
)
from imagekit.python.lock import (
    Artifact,
    LockedPackage,
    LockError,
    PinnedLibrary,
    PythonLock,
    RootPackage,
    SelectedPackage,
    ToolLock,
    check_inputs,
    check_overrides_are_used,
    parse_python_lock,
    parse_tool_lock,
    render_python_lock,
    render_tool_lock,
    select,
    usable_wheels,
    without_wheel,
)
from imagekit.python.target import OLDEST_GLIBC, TargetPython, targets

REMEDY = "Run `./pants generate-lockfiles --resolve=keystone`."
ORIGIN = "locks/keystone.lock.json"


def artifact(filename: str) -> Artifact:
    return Artifact(filename, 1000 + len(filename), format(len(filename), "064x"))


def wheel_package(name: str, version: str, *filenames: str, marker: Optional[str] = None) -> LockedPackage:
    return LockedPackage(name, version, marker, (f"{name}==={version}",), tuple(artifact(f) for f in filenames))


SETUPTOOLS = wheel_package("setuptools", "80.9.0", "setuptools-80.9.0-py3-none-any.whl")
ABI3 = tuple(
    f"bcrypt-4.0.1-cp36-abi3-manylinux_2_{minor}_{machine}.whl" for minor in (17, 28) for machine in ("x86_64", "aarch64")
)
LOCK = PythonLock(
    release="2025.2",
    service="keystone",
    python=("3.11", "3.12"),
    requirements=("keystone[ldap]", "uwsgi"),
    root=RootPackage("keystone", "28.0.0", ("pbr>=2.0.0", "bcrypt>=3.1.3"), (SETUPTOOLS,)),
    packages=(
        wheel_package("bcrypt", "4.0.1", *sorted(ABI3)),
        wheel_package("legacy-cgi", "2.6.3", "legacy_cgi-2.6.3-py3-none-any.whl", marker='python_full_version >= "3.12"'),
        LockedPackage("uwsgi", "2.0.31", sdist=artifact("uwsgi-2.0.31.tar.gz"), build_requires=(SETUPTOOLS,)),
    ),
    layers=(("uwsgi",), ("bcrypt", "legacy-cgi")),
)
UPPER_CONSTRAINTS = """\
bcrypt===4.0.1
legacy_cgi===2.6.3
setuptools===80.9.0
nova===1.0.0
"""


def constraints(text: str = UPPER_CONSTRAINTS, overrides: str = "") -> Constraints:
    return apply_overrides(
        parse_upper_constraints(text, "upper-constraints.txt"), parse_overrides(overrides, "constraint-overrides.txt")
    )


def check(
    lock: PythonLock = LOCK,
    requirements: Tuple[str, ...] = ("keystone[ldap]", "uwsgi"),
    python: str = "3.11",
    root_version: str = "28.0.0",
    service: str = "keystone",
    effective: Constraints = constraints(),
) -> None:
    check_inputs(
        lock,
        release="2025.2",
        service=service,
        python=python,
        requirements=requirements,
        root_name="Keystone",
        root_version=root_version,
        constraints=effective,
        origin=ORIGIN,
        remedy=REMEDY,
    )


def test_a_lock_is_the_same_after_being_written_and_read() -> None:
    text = render_python_lock(LOCK)
    assert parse_python_lock(text, ORIGIN) == LOCK
    assert render_python_lock(parse_python_lock(text, ORIGIN)) == text


def test_a_lock_is_written_with_one_artifact_a_line() -> None:
    lock = replace(LOCK, packages=LOCK.packages[2:], layers=(("uwsgi",),), root=replace(LOCK.root, build_requires=()))
    sha256 = format(34, "064x")
    assert render_python_lock(lock) == (
        """\
{
  "format": 1,
  "release": "2025.2",
  "service": "keystone",
  "python": ["3.11", "3.12"],
  "requirements": ["keystone[ldap]", "uwsgi"],
  "root": {
    "name": "keystone",
    "version": "28.0.0",
    "requires": [
      "pbr>=2.0.0",
      "bcrypt>=3.1.3"
    ],
    "build_requires": []
  },
  "layers": [
    ["uwsgi"]
  ],
  "packages": [
    {
      "name": "uwsgi",
      "version": "2.0.31",
      "sdist": {"filename": "uwsgi-2.0.31.tar.gz", "size": 1019, "sha256": "%s"},
      "build_requires": [
        {
          "name": "setuptools",
          "version": "80.9.0",
          "constraints": ["setuptools===80.9.0"],
          "wheels": [
            {"filename": "setuptools-80.9.0-py3-none-any.whl", "size": 1034, "sha256": "%s"}
          ]
        }
      ]
    }
  ]
}
"""
        % (format(19, "064x"), sha256)
    )


def test_a_tool_lock_is_the_same_after_being_written_and_read() -> None:
    lock = ToolLock(("3.9", "3.11"), ("setuptools",), (SETUPTOOLS,))
    assert parse_tool_lock(render_tool_lock(lock), "tools.lock.json") == lock


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('"format": 1', '"format": 2', "format must be 1, but was 2"),
        ('"size": 1019', '"size": -1', "packages[2].sdist.size must be a size in bytes, but was -1"),
        ('"size": 1019', '"size": true', "packages[2].sdist.size must be a size in bytes, but was true"),
        ('"uwsgi-2.0.31.tar.gz"', "[]", "packages[2].sdist.filename must be a non-empty string, but was []"),
        ('"name": "uwsgi"', '"naem": "uwsgi"', "packages[2].naem is not a known field"),
        ('"service": "keystone",\n', "", "service is missing"),
        ('"name": "uwsgi"', '"name": "uWSGI"', "packages[2].name must be 'uwsgi' (PEP 503), but was 'uWSGI'"),
        (
            format(19, "064x"),
            "abc",
            "packages[2].sdist is not an artifact: 'abc' of uwsgi-2.0.31.tar.gz is not a SHA-256 of 64 hexadecimal digits",
        ),
        (
            '"uwsgi-2.0.31.tar.gz"',
            '"../uwsgi.tar.gz"',
            "packages[2].sdist is not an artifact: '../uwsgi.tar.gz' is not the name of a file of a package index",
        ),
    ],
)
def test_a_malformed_lock_is_refused_with_the_path_inside_it(old: str, new: str, message: str) -> None:
    text = render_python_lock(LOCK)
    assert old in text
    with pytest.raises(LockError) as refusal:
        parse_python_lock(text.replace(old, new), ORIGIN, REMEDY)
    assert str(refusal.value) == f"{ORIGIN}: {message}. {REMEDY}"


def test_a_lock_that_is_not_json_is_refused() -> None:
    with pytest.raises(LockError) as refusal:
        parse_python_lock("<<<<<<< HEAD", ORIGIN, REMEDY)
    assert str(refusal.value) == f"{ORIGIN} is not JSON: Expecting value: line 1 column 1 (char 0). {REMEDY}"


def test_the_best_wheel_is_selected_else_the_sdist_with_its_build_requirements() -> None:
    selection = select(LOCK, TargetPython("3.11", (2, 36), "aarch64"), ORIGIN, REMEDY)
    setuptools = SelectedPackage("setuptools", "80.9.0", artifact("setuptools-80.9.0-py3-none-any.whl"))
    assert selection.root_build_requires == (setuptools,)
    assert selection.packages == (
        SelectedPackage("bcrypt", "4.0.1", artifact("bcrypt-4.0.1-cp36-abi3-manylinux_2_28_aarch64.whl")),
        SelectedPackage("uwsgi", "2.0.31", artifact("uwsgi-2.0.31.tar.gz"), (setuptools,)),
    )
    assert [package.is_wheel for package in selection.packages] == [True, False]


def test_markers_are_those_of_the_target_not_of_this_process() -> None:
    names = [p.name for p in select(LOCK, TargetPython("3.12", (2, 36), "x86_64"), ORIGIN, REMEDY).packages]
    assert names == ["bcrypt", "legacy-cgi", "uwsgi"]


def test_an_interpreter_that_the_lock_was_not_made_for_is_refused() -> None:
    with pytest.raises(LockError) as refusal:
        select(LOCK, TargetPython("3.13", (2, 36), "x86_64"), ORIGIN, REMEDY)
    assert str(refusal.value) == f"{ORIGIN} is locked for Python 3.11, 3.12, but the base has Python 3.13. {REMEDY}"


def test_a_package_without_a_file_for_the_target_is_refused() -> None:
    with pytest.raises(LockError) as refusal:
        select(LOCK, TargetPython("3.11", (2, 16), "aarch64"), ORIGIN, REMEDY)
    assert str(refusal.value) == (
        f"{ORIGIN} has no file of bcrypt 4.0.1 for Python 3.11 on aarch64 with glibc 2.16. {REMEDY}"
    )


def test_two_versions_of_a_package_for_one_target_are_refused() -> None:
    twice = replace(LOCK, packages=LOCK.packages + (wheel_package("bcrypt", "4.1.0", *ABI3),))
    with pytest.raises(LockError) as refusal:
        select(twice, TargetPython("3.11", (2, 36), "x86_64"), ORIGIN, REMEDY)
    assert str(refusal.value) == f"{ORIGIN} has both bcrypt 4.0.1 and 4.1.0 for Python 3.11 on x86_64. {REMEDY}"


def test_only_wheels_that_some_target_would_choose_are_kept() -> None:
    wheels = [
        artifact(name)
        for name in (
            "x-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "x-1-cp311-cp311-manylinux_2_17_aarch64.whl",
            "x-1-cp311-cp311-manylinux_2_39_x86_64.whl",
            "x-1-cp311-cp311-musllinux_1_2_x86_64.whl",
            "x-1-cp310-cp310-manylinux_2_17_x86_64.whl",
            "x-1-cp311-cp311-win_amd64.whl",
            "x-1-pp311-pypy311_pp73-manylinux_2_17_x86_64.whl",
            "x-1-py3-none-any.whl",
        )
    ]
    assert [wheel.filename for wheel in usable_wheels(wheels, targets(("3.11", "3.12")))] == [
        "x-1-cp311-cp311-manylinux_2_17_aarch64.whl",
        "x-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "x-1-py3-none-any.whl",
    ]
    assert without_wheel(wheels[:2], targets(("3.11", "3.12"))) == (
        TargetPython("3.12", OLDEST_GLIBC, "x86_64"),
        TargetPython("3.12", OLDEST_GLIBC, "aarch64"),
    )


def test_a_lock_whose_inputs_are_unchanged_is_accepted() -> None:
    check()


def test_pins_of_packages_that_the_lock_does_not_hold_do_not_make_it_stale() -> None:
    check(effective=constraints(overrides="nova===2.0.0\nnew===1.0\n"))


def test_the_pin_of_another_interpreter_does_not_make_a_lock_stale() -> None:
    check(effective=constraints(UPPER_CONSTRAINTS.replace("bcrypt===4.0.1", "bcrypt===4.0.1\nbcrypt===3;python_version=='3.9'")))


@pytest.mark.parametrize(
    "changed, message",
    [
        (
            {"effective": constraints(overrides="# CVE-1\nBcrypt===4.1.0\n")},
            "it was made with `bcrypt===4.0.1`, but constraint-overrides.txt:2 now says `bcrypt===4.1.0`",
        ),
        (
            {"effective": constraints(overrides="-bcrypt\n")},
            "it was made with `bcrypt===4.0.1`, but now no line constrains bcrypt",
        ),
        (
            {"effective": constraints(overrides="uwsgi===2.0.30\n")},
            "it was made when nothing constrained uwsgi, but constraint-overrides.txt:1 now says `uwsgi===2.0.30`",
        ),
        (
            {"effective": constraints(overrides="setuptools===80.10.0\n")},
            "it was made with `setuptools===80.9.0`, but constraint-overrides.txt:1 now says `setuptools===80.10.0`",
        ),
        (
            {"requirements": ("keystone[ldap,memcache]", "uwsgi")},
            "its requirements changed: 'keystone[ldap,memcache]' was added, 'keystone[ldap]' was removed",
        ),
        ({"python": "3.13"}, "it was made for Python 3.11, 3.12, but Python 3.13 is wanted"),
        ({"root_version": "28.0.1"}, "it was made for keystone 28.0.0, but the source is now keystone 28.0.1"),
        ({"service": "nova"}, "it is the lock of keystone 2025.2, not of nova 2025.2"),
    ],
)
def test_a_lock_whose_inputs_changed_is_refused_with_the_command_that_renews_it(
    changed: Dict[str, Any], message: str
) -> None:
    with pytest.raises(LockError) as refusal:
        check(**changed)
    assert str(refusal.value) == f"{ORIGIN} is stale: {message}. {REMEDY}"


def test_an_override_of_a_package_that_nothing_holds_is_refused() -> None:
    effective = constraints(overrides="# CVE-1\nuwsgii===2.0.31\n")
    with pytest.raises(ConstraintError) as refusal:
        check_overrides_are_used(effective, (LOCK,))
    assert str(refusal.value) == (
        "constraint-overrides.txt:2: `uwsgii===2.0.31` overrides a package that upper-constraints does not pin and no lock "
        "of release 2025.2 holds. Did you mean uwsgi? Correct the name or delete the line."
    )


def test_overrides_of_pinned_held_and_build_only_packages_are_accepted() -> None:
    effective = constraints("nova===1.0.0\n", overrides="nova===2.0.0\nuwsgi===2.0.31\nsetuptools===80.9.0\n")
    check_overrides_are_used(effective, (LOCK,))


LIBRARY = LockedPackage(
    "oslo-messaging", "17.1.0", component="oslo.messaging", requires=("pbr>=2.0.0",), extras=("kafka",),
    build_requires=(SETUPTOOLS,),
)  # fmt: skip
LIBRARY_LOCK = replace(
    LOCK,
    packages=(*LOCK.packages[:2], LIBRARY, LOCK.packages[2]),
    layers=(*LOCK.layers, ("oslo-messaging",)),
)
PINNED = PinnedLibrary("oslo.messaging", "oslo.messaging", "17.1.0", "sources/oslo.messaging.json")


def check_library(lock: PythonLock, *libraries: PinnedLibrary, overrides: str = "") -> None:
    check_inputs(
        lock,
        release="2025.2",
        service="keystone",
        python="3.11",
        requirements=("keystone[ldap]", "uwsgi"),
        root_name="keystone",
        root_version="28.0.0",
        constraints=constraints(UPPER_CONSTRAINTS + "oslo.messaging===17.0.0\n", overrides),
        libraries=libraries,
        origin=ORIGIN,
        remedy=REMEDY,
    )


def test_a_library_is_locked_without_files_and_selected_as_its_source() -> None:
    text = render_python_lock(LIBRARY_LOCK)
    assert parse_python_lock(text, ORIGIN) == LIBRARY_LOCK
    selected = {package.name: package for package in select(LIBRARY_LOCK, targets(("3.11",))[0], ORIGIN, REMEDY).packages}
    library = selected["oslo-messaging"]
    assert (library.component, library.artifact, library.is_wheel) == ("oslo.messaging", None, False)
    assert [package.name for package in library.build_requires] == ["setuptools"]


def test_the_constraint_of_a_library_gives_way_to_its_pin() -> None:
    check_library(LIBRARY_LOCK, PINNED)


@pytest.mark.parametrize(
    "lock, libraries, reason",
    [
        (
            LIBRARY_LOCK,
            (replace(PINNED, version="17.2.0"),),
            "it was made for oslo.messaging 17.1.0, but sources/oslo.messaging.json pins 17.2.0",
        ),
        (
            LIBRARY_LOCK,
            (),
            "it was made when oslo.messaging was built from source, but source-refs.yaml of release 2025.2 has no ref for "
            "it now",
        ),
        (
            LOCK,
            (PinnedLibrary("legacy_cgi", "legacy_cgi", "2.6.3", "sources/legacy_cgi.json"),),
            "it takes legacy-cgi 2.6.3 from the package index, but sources/legacy_cgi.json pins the source of legacy_cgi",
        ),
    ],
)
def test_a_lock_of_another_library_is_stale(lock: PythonLock, libraries: Tuple[PinnedLibrary, ...], reason: str) -> None:
    with pytest.raises(LockError) as refusal:
        check_library(lock, *libraries)
    assert str(refusal.value) == f"{ORIGIN} is stale: {reason}. {REMEDY}"


def test_an_override_of_a_library_that_is_built_from_another_version_is_refused() -> None:
    with pytest.raises(LockError) as refusal:
        check_library(LIBRARY_LOCK, PINNED, overrides="oslo-messaging===16.0.0\n")
    assert str(refusal.value) == (
        "constraint-overrides.txt:1: `oslo-messaging===16.0.0` has no effect: oslo.messaging is built from its source, "
        "which sources/oslo.messaging.json pins to 17.1.0. Pin another version in source-refs.yaml, or delete the "
        "override."
    )
    check_library(LIBRARY_LOCK, PINNED, overrides="oslo-messaging===17.1.0\n")


def with_layers(layers: str) -> str:
    text = render_python_lock(LOCK)
    start, end = text.index('  "layers": ['), text.index('  "packages": [')
    return f"{text[:start]}{layers}{text[end:]}"


def test_a_lock_without_layers_has_one_of_all_packages() -> None:
    assert parse_python_lock(with_layers(""), ORIGIN).layers == (("bcrypt", "legacy-cgi", "uwsgi"),)


@pytest.mark.parametrize(
    "layers, problem",
    [
        ('[["bcrypt", "uwsgi"]]', "layers must name every package, but leaves out legacy-cgi"),
        ('[["bcrypt", "mako"]]', 'layers[0][1] must be a package of this lock, but was "mako"'),
        ('[["bcrypt", "keystone"]]', 'layers[0][1] must be a package of this lock, but was "keystone"'),
        ('[["bcrypt"], ["uwsgi", "bcrypt"]]', "layers[1][1] names bcrypt again: a package is in one layer"),
        ("[[]]", "layers[0] must name a package, but is empty"),
    ],
)
def test_layers_hold_every_package_once(layers: str, problem: str) -> None:
    with pytest.raises(LockError) as error:
        parse_python_lock(with_layers(f'  "layers": {layers},\n'), ORIGIN, REMEDY)
    assert str(error.value) == f"{ORIGIN}: {problem}. {REMEDY}"
