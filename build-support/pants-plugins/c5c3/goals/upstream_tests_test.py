from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import List, Tuple

import pytest
from imagekit.python.lock import Artifact, LockedPackage, PythonLock, RootPackage, render_python_lock
from pants.base.specs_parser import SpecsParser
from pants.core.util_rules import distdir
from pants.core.util_rules.partitions import Partitions
from pants.engine.addresses import Address, Addresses
from pants.engine.internals.parametrize import Parametrize
from pants.engine.rules import QueryRule
from pants.engine.target import Dependencies, DependenciesRequest, InvalidFieldException
from pants.testutil.rule_runner import RuleRunner, engine_error

from c5c3 import register
from c5c3.goals.lockfiles import AllLocks, GenerateServiceLock, LockConflictError
from c5c3.goals.upstream_tests import NamedTargets, UpstreamTestsRequest
from c5c3.target_types import ExcludeRequirementsField
from c5c3.util_rules.debian import Distribution, DistributionRequest
from c5c3.util_rules.image import environment_request
from c5c3.util_rules.python import LoadedPythonLock, PythonLockRequest
from c5c3.util_rules.tests_in_image import (
    ExclusionList,
    ExclusionListRequest,
    RequirementsOfTests,
    UpstreamTestsError,
    UpstreamTestsFieldSet,
)

RELEASE = "3rdparty/releases/2025.2"
TESTS_LOCK = f"{RELEASE}/locks/tests/keystone.lock.json"


def package(name: str, version: str, *constraints: str) -> LockedPackage:
    wheel = Artifact(f"{name}-{version}-py3-none-any.whl", 1, "0" * 64)
    return LockedPackage(name, version, constraints=constraints, wheels=(wheel,))


IMAGE_LOCK = PythonLock(
    release="2025.2",
    service="keystone",
    python=("3.11",),
    requirements=("keystone", "uwsgi"),
    root=RootPackage("keystone", "28.0.0"),
    packages=(package("uwsgi", "2.0.30"),),
    layers=(("uwsgi",),),
)
LOCK_OF_TESTS = replace(
    IMAGE_LOCK,
    requirements=("keystone[ldap]", "fixtures>=3.0.0", "uwsgi"),
    packages=(package("fixtures", "4.2.5", "fixtures===4.2.5"), package("uwsgi", "2.0.30", "uwsgi===2.0.30")),
    layers=(("fixtures", "uwsgi"),),
)
SDIST = {
    "filename": "keystone-28.0.0.tar.gz",
    "project": "keystone",
    "sha256": "0" * 64,
    "size": 1,
    "version": "28.0.0",
}
TESTS = 'upstream_tests(name="upstream-tests", image="services/keystone#image", extras=["ldap"], shards=3)'


@pytest.fixture
def rule_runner() -> RuleRunner:
    runner = RuleRunner(
        rules=[
            *register.rules(),
            *distdir.rules(),
            QueryRule(Addresses, [DependenciesRequest]),
            QueryRule(AllLocks, []),
            QueryRule(Distribution, [DistributionRequest]),
            QueryRule(ExclusionList, [ExclusionListRequest]),
            QueryRule(LoadedPythonLock, [PythonLockRequest]),
            QueryRule(Partitions, [UpstreamTestsRequest.PartitionRequest]),
        ],
        target_types=register.target_types(),
        objects={"parametrize": Parametrize},
    )
    base = "3rdparty/bases/bookworm"
    runner.write_files(
        {
            "services/keystone/BUILD": 'openstack_service(release="2025.2", python_packages=["uwsgi"])\n' + TESTS,
            f"{base}/BUILD": 'debian_base(suites=["bookworm"], python="3.11", glibc="2.36", packages=["python3"], '
            'builder_packages=["gcc"])',
            f"{base}/locks/python-base.lock.json": "{}",
            f"{RELEASE}/BUILD": 'openstack_release(name="2025.2", release="2025.2")',
            f"{RELEASE}/source-refs.yaml": 'keystone: "28.0.0"\n',
            f"{RELEASE}/upper-constraints.txt": "fixtures===4.2.5\n",
            f"{RELEASE}/sources/keystone.json": json.dumps(
                {"format": 1, "component": "keystone", "release": "2025.2", "sdist": SDIST}
            ),
            f"{RELEASE}/locks/keystone.lock.json": render_python_lock(IMAGE_LOCK),
            TESTS_LOCK: render_python_lock(LOCK_OF_TESTS),
        }
    )
    return runner


def field_set(runner: RuleRunner) -> UpstreamTestsFieldSet:
    return UpstreamTestsFieldSet.create(runner.get_target(Address("services/keystone", target_name="upstream-tests")))


def load(runner: RuleRunner, *required: str) -> LoadedPythonLock:
    """The lock of the tests, whose source requires ``required``."""
    image = runner.get_target(Address("services/keystone", generated_name="image"))
    distribution = runner.request(
        Distribution, [DistributionRequest("3rdparty/bases/bookworm", image.address)]
    )
    environment = field_set(runner).requirements.environment(environment_request(image, "2025.2"), required)
    return runner.request(LoadedPythonLock, [PythonLockRequest(environment, distribution)])


def test_the_lock_of_the_tests_holds_the_image_and_what_they_require(rule_runner: RuleRunner) -> None:
    loaded = load(rule_runner, "fixtures>=3.0.0")
    assert (loaded.path, [package.name for package in loaded.lock.packages]) == (TESTS_LOCK, ["fixtures", "uwsgi"])


def test_a_patch_that_changes_the_test_requirements_makes_the_lock_stale(rule_runner: RuleRunner) -> None:
    with engine_error(
        contains=f"{TESTS_LOCK} is stale: its requirements changed: 'WebTest' was added, 'fixtures>=3.0.0' was removed. "
        "Run `./pants generate-lockfiles --resolve=2025.2/keystone-tests` to make it."
    ):
        load(rule_runner, "WebTest")


def test_another_version_in_the_image_makes_the_lock_stale(rule_runner: RuleRunner) -> None:
    moved = replace(IMAGE_LOCK, packages=(package("uwsgi", "2.0.31"),))
    rule_runner.write_files({f"{RELEASE}/locks/keystone.lock.json": render_python_lock(moved)})
    with engine_error(
        contains=f"{TESTS_LOCK} is stale: it was made with `uwsgi===2.0.30`, but {RELEASE}/locks/keystone.lock.json:"
    ):
        load(rule_runner, "fixtures>=3.0.0")


def test_a_missing_lock_names_the_command_that_makes_it(rule_runner: RuleRunner) -> None:
    Path(rule_runner.build_root, TESTS_LOCK).unlink()
    with engine_error(
        contains=f"{TESTS_LOCK} is missing: the Python lock of keystone for 2025.2. Run `./pants generate-lockfiles "
        "--resolve=2025.2/keystone-tests` to make it."
    ):
        load(rule_runner, "fixtures>=3.0.0")


def test_the_tests_have_a_lock_of_their_own(rule_runner: RuleRunner) -> None:
    locks = rule_runner.request(AllLocks, []).by_resolve
    image, tests = locks["2025.2/keystone"], locks["2025.2/keystone-tests"]
    assert isinstance(image, GenerateServiceLock) and isinstance(tests, GenerateServiceLock)
    assert tests == replace(
        image, resolve_name="2025.2/keystone-tests", tests=RequirementsOfTests(("ldap",), (), ())
    )


def test_two_targets_that_want_different_things_of_one_lock_are_refused(rule_runner: RuleRunner) -> None:
    rule_runner.write_files({"services/BUILD": TESTS.replace('extras=["ldap"], ', "")})
    with engine_error(
        LockConflictError,
        contains="Targets services:upstream-tests and services/keystone:upstream-tests want different contents of the "
        "lock '2025.2/keystone-tests'. ",
    ):
        rule_runner.request(AllLocks, [])


def test_a_change_of_the_image_or_of_the_lock_touches_the_tests(rule_runner: RuleRunner) -> None:
    target = rule_runner.get_target(Address("services/keystone", target_name="upstream-tests"))
    found = rule_runner.request(Addresses, [DependenciesRequest(target[Dependencies])])
    assert [str(address) for address in found] == [
        "3rdparty/releases/2025.2/locks/tests/keystone.lock.json:../../2025.2",
        "services/keystone#image",
    ]


def shards(runner: RuleRunner, *arguments: str) -> List[Tuple[str, str]]:
    runner.set_options(["test", *arguments], env_inherit={"PATH"})
    request = UpstreamTestsRequest.PartitionRequest((field_set(runner),))
    partitions = runner.request(Partitions, [request])
    return [
        (str(tests.address), partition.metadata.description)
        for partition in partitions
        for tests in partition.elements
    ]


def test_tests_that_are_named_run_in_their_shards(rule_runner: RuleRunner) -> None:
    address = "services/keystone:upstream-tests"
    expected = [(address, "shard 1 of 3"), (address, "shard 2 of 3"), (address, "shard 3 of 3")]
    assert shards(rule_runner, address) == expected
    assert shards(rule_runner, "services::", address) == expected
    assert shards(rule_runner, "--images-upstream-tests-skip", address) == []


@pytest.mark.parametrize("argument", ["::", "services/keystone::", "services/keystone:", "services/keystone"])
def test_tests_that_a_glob_covers_are_left_out(rule_runner: RuleRunner, argument: str) -> None:
    assert shards(rule_runner, argument) == []
    assert len(shards(rule_runner, "--images-upstream-tests-unnamed", argument)) == 3


def test_an_address_is_named_with_its_parameters_or_without() -> None:
    def names(argument: str) -> bool:
        specs = SpecsParser(root_dir="/").parse_specs([argument], description_of_origin="tests")
        return NamedTargets(specs.includes.address_literals).have(
            Address("services/nova", target_name="tests", parameters={"image": "2025.2"})
        )

    assert names("services/nova:tests")
    assert names("services/nova:tests@image=2025.2")
    assert not names("services/nova:tests@image=2025.1")
    assert not names("services/nova:test")
    assert not names("services/cinder:tests@image=2025.2")


def test_the_exclusions_are_those_of_the_release(rule_runner: RuleRunner) -> None:
    folder = "services/keystone/upstream-tests"
    rule_runner.write_files({f"{folder}/2025.2.txt": "a  # slow"})
    tests = field_set(rule_runner)
    assert rule_runner.request(ExclusionList, [ExclusionListRequest(tests, "2025.2")]).path == f"{folder}/2025.2.txt"
    assert rule_runner.request(ExclusionList, [ExclusionListRequest(tests, "2026.1")]).path is None
    rule_runner.write_files({f"{folder}/2025.3.txt": "a  # slow"})
    with engine_error(
        UpstreamTestsError,
        contains=f"{folder}/2025.3.txt excludes tests of '2025.3', but this tree has no such release (it has: 2025.2). "
        "Name the file after one of them, or delete it.",
    ):
        rule_runner.request(ExclusionList, [ExclusionListRequest(tests, "2025.2")])


def test_a_requirement_is_left_out_with_a_reason() -> None:
    with pytest.raises(InvalidFieldException) as refusal:
        ExcludeRequirementsField({"psycopg2": " "}, Address("services/nova", target_name="tests"))
    assert str(refusal.value) == (
        "The `exclude_requirements` field in target services/nova:tests leaves out 'psycopg2' without a reason. Say "
        "why."
    )
