from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

import pytest
from imagekit.python.constraints import Constraints, parse_overrides
from imagekit.python.lock import LockedPackage, PythonLock, RootPackage, render_python_lock
from pants.backend.python.target_types import PythonTestsGeneratorTarget
from pants.core.util_rules import distdir
from pants.engine.addresses import Address
from pants.engine.internals.parametrize import Parametrize
from pants.engine.target import InferredDependencies
from pants.testutil.rule_runner import QueryRule, RuleRunner, engine_error

from c5c3 import register
from c5c3.target_types import (
    BaseField,
    BuilderField,
    ComponentField,
    DistributionField,
    DockerImage,
    ImageOutputPathField,
    PatchesField,
    PythonBaseField,
    ReleaseField,
    SystemLockField,
)
from c5c3.util_rules.dependencies import ImageDependenciesFieldSet, InferImageDependencies
from c5c3.util_rules.image import SystemLocks, SystemLocksRequest
from c5c3.util_rules.python import UsedLibraries, UsedLibrariesRequest, UsedOverrides, UsedOverridesRequest
from c5c3.util_rules.source import ComponentRef, ComponentRequest, ReleaseRefs, ReleaseRefsRequest
from c5c3.util_rules.targets import AllOutputPaths, AllPatchSets, AllReleases, SharedOutputPathError

LOCK = "{}"
KEYSTONE_LOCK = PythonLock(
    release="2025.2",
    service="keystone",
    python=("3.11",),
    requirements=("keystone",),
    root=RootPackage("keystone", "28.0.0"),
    packages=(LockedPackage("oslo-messaging", "17.1.0", component="oslo.messaging", requires=("pbr",), extras=("kafka",)),),
    layers=(("oslo-messaging",),),
)
REFS = "3rdparty/releases/2025.2/source-refs.yaml"


@pytest.fixture
def rule_runner() -> RuleRunner:
    runner = RuleRunner(
        rules=[
            *register.rules(),
            *distdir.rules(),
            QueryRule(AllReleases, []),
            QueryRule(AllOutputPaths, []),
            QueryRule(AllPatchSets, []),
            QueryRule(ReleaseRefs, [ReleaseRefsRequest]),
            QueryRule(ComponentRef, [ComponentRequest]),
            QueryRule(UsedLibraries, [UsedLibrariesRequest]),
            QueryRule(UsedOverrides, [UsedOverridesRequest]),
            QueryRule(InferredDependencies, [InferImageDependencies]),
            QueryRule(SystemLocks, [SystemLocksRequest]),
        ],
        target_types=[*register.target_types(), PythonTestsGeneratorTarget],
        objects={"parametrize": Parametrize},
    )
    runner.write_files(
        {
            "services/keystone/BUILD": dedent(
                """\
                openstack_service(
                    release=parametrize("2025.1", "2025.2"),
                    extras=["ldap"],
                    system_packages=["xmlsec1"],
                )
                """
            ),
            "3rdparty/bases/bookworm/BUILD": dedent(
                """\
                debian_base(
                    suites=["bookworm"], python="3.11", glibc="2.36", packages=["python3"], builder_packages=["gcc"]
                )
                """
            ),
            "3rdparty/bases/bookworm/locks/keystone.lock.json": LOCK,
            "3rdparty/bases/bookworm/locks/python-base.lock.json": LOCK,
            "3rdparty/releases/2025.1/BUILD": 'openstack_release(name="2025.1", release="2025.1")',
            "3rdparty/releases/2025.1/source-refs.yaml": "",
            "3rdparty/releases/2025.2/BUILD": 'openstack_release(name="2025.2", release="2025.2")',
            "3rdparty/releases/2025.2/source-refs.yaml": "",
            "3rdparty/releases/2025.2/upper-constraints.txt": "",
            "3rdparty/releases/2025.2/sources/keystone.json": LOCK,
            "3rdparty/releases/2025.2/sources/nova.json": LOCK,
            "3rdparty/releases/2025.2/locks/keystone.lock.json": render_python_lock(KEYSTONE_LOCK),
            "3rdparty/releases/2025.2/sources/oslo.messaging.json": LOCK,
            "patches/oslo.messaging/2025.2/0001-a.patch": "",
            "3rdparty/releases/2025.2/locks/nova.lock.json": LOCK,
            "patches/BUILD": "patch_sets()",
            "patches/keystone/2025.2/0002-b.patch": "",
            "patches/keystone/2025.2/0001-a.patch": "",
            "patches/nova/2025.1/0001-a.patch": "",
        }
    )
    return runner


def image_address(release: str) -> Address:
    return Address("services/keystone", generated_name="image", parameters={"release": release})


def test_a_service_generates_an_image_for_each_release(rule_runner: RuleRunner) -> None:
    image = rule_runner.get_target(image_address("2025.2"))
    assert isinstance(image, DockerImage)
    assert image[ReleaseField].value == "2025.2"
    assert image[ComponentField].value == "keystone"
    assert image[SystemLockField].value == "keystone"
    assert image[BaseField].value == "3rdparty/bases/bookworm#python-base"
    assert image[BuilderField].value == "3rdparty/bases/bookworm#venv-builder"
    assert image[DistributionField].value == "3rdparty/bases/bookworm"
    assert image[ImageOutputPathField].value == "images/keystone/2025.2"
    assert rule_runner.get_target(image_address("2025.1"))[ReleaseField].value == "2025.1"


def test_dropping_a_patch_into_a_folder_makes_a_patch_set(rule_runner: RuleRunner) -> None:
    patch_sets = rule_runner.request(AllPatchSets, [])
    assert sorted(patch_sets.by_component) == [
        ("keystone", "2025.2"),
        ("nova", "2025.1"),
        ("oslo-messaging", "2025.2"),
    ]
    keystone = patch_sets.get("keystone", "2025.2")
    assert keystone is not None
    assert keystone.address == Address("patches", generated_name="keystone/2025.2")
    assert keystone[PatchesField].value == ("keystone/2025.2/*.patch",)
    assert patch_sets.get("keystone", "2025.1") is None


def test_a_patch_outside_of_a_component_and_release_is_refused(rule_runner: RuleRunner) -> None:
    rule_runner.write_files({"patches/BUILD": 'patch_sets(sources=["**/*.patch"])', "patches/keystone/a.patch": ""})
    with engine_error(
        contains="A patch must lie in `<component>/<release>/` below 'patches', but 'patches/keystone/a.patch' does not. "
        "Move it to 'patches/<component>/<release>/a.patch'."
    ):
        rule_runner.request(AllPatchSets, [])


def test_two_patch_sets_for_one_component_and_release_are_refused(rule_runner: RuleRunner) -> None:
    rule_runner.write_files(
        {"more/BUILD": 'patch_set(component="keystone", release="2025.2")', "more/0001-c.patch": ""}
    )
    with engine_error(contains="Two patch sets are for keystone in 2025.2: "):
        rule_runner.request(AllPatchSets, [])


def test_a_release_knows_its_files(rule_runner: RuleRunner) -> None:
    releases = rule_runner.request(AllReleases, [])
    assert sorted(releases.by_name) == ["2025.1", "2025.2"]
    assert sorted(releases.by_name["2025.2"].files) == [
        "locks/keystone.lock.json",
        "locks/nova.lock.json",
        "source-refs.yaml",
        "sources/keystone.json",
        "sources/nova.json",
        "sources/oslo.messaging.json",
        "upper-constraints.txt",
    ]


def dependencies(rule_runner: RuleRunner, address: Address) -> "list[str]":
    request = InferImageDependencies(ImageDependenciesFieldSet.create(rule_runner.get_target(address)))
    return sorted(str(found) for found in rule_runner.request(InferredDependencies, [request]).include)


def test_an_image_depends_on_its_own_lock_pins_and_patches_and_on_no_other(rule_runner: RuleRunner) -> None:
    assert dependencies(rule_runner, image_address("2025.2")) == [
        "3rdparty/bases/bookworm#locks/keystone.lock.json",
        "3rdparty/bases/bookworm#python-base",
        "3rdparty/bases/bookworm#venv-builder",
        "3rdparty/releases/2025.2/locks/keystone.lock.json:../2025.2",
        "3rdparty/releases/2025.2/sources/keystone.json:../2025.2",
        "3rdparty/releases/2025.2/sources/oslo.messaging.json:../2025.2",
        "patches#keystone/2025.2",
        "patches#oslo.messaging/2025.2",
    ]


def test_a_base_depends_on_its_lock(rule_runner: RuleRunner) -> None:
    assert dependencies(rule_runner, Address("3rdparty/bases/bookworm", generated_name="python-base")) == [
        "3rdparty/bases/bookworm#locks/python-base.lock.json"
    ]


def test_an_unknown_release_is_named_with_those_there_are(rule_runner: RuleRunner) -> None:
    rule_runner.write_files({"services/nova/BUILD": 'openstack_service(release="2024.2")'})
    with engine_error(
        contains="The `release` field in target services/nova#image names '2024.2', but this tree has no such release "
        "(it has: 2025.1, 2025.2). Add it with `build-support/add-release 2024.2 --like <release> --constraints <file>`, "
        "or correct the field."
    ):
        dependencies(rule_runner, Address("services/nova", generated_name="image"))


def test_patches_for_a_release_that_is_not_there_are_refused(rule_runner: RuleRunner) -> None:
    rule_runner.write_files({"patches/nova/2024.2/0001-a.patch": ""})
    with engine_error(
        contains="patches#nova/2024.2 patches nova for 2024.2, but this tree has no such release (it has: 2025.1, "
        "2025.2). Correct the name of the patches' folder, or delete it."
    ):
        rule_runner.request(AllPatchSets, [])


def test_a_service_can_stand_on_system_packages_that_it_shares(rule_runner: RuleRunner) -> None:
    rule_runner.write_files(
        {
            "3rdparty/bases/bookworm/shared/BUILD": dedent(
                """\
                docker_image(
                    name="storage",
                    base="3rdparty/bases/bookworm#python-base",
                    distribution="3rdparty/bases/bookworm",
                    system_packages=["qemu-utils"],
                )
                """
            ),
            "services/glance/BUILD": dedent(
                """\
                openstack_service(
                    release="2025.2",
                    system_base="3rdparty/bases/bookworm/shared:storage",
                    system_packages=["lsscsi"],
                )
                """
            ),
        }
    )
    address = Address("services/glance", generated_name="image")
    image = rule_runner.get_target(address)
    assert image[BaseField].value == "3rdparty/bases/bookworm/shared:storage"
    assert image[PythonBaseField].value == "3rdparty/bases/bookworm#python-base"
    assert "3rdparty/bases/bookworm/shared:storage" in dependencies(rule_runner, address)
    locks = rule_runner.request(SystemLocks, [SystemLocksRequest(address)])
    assert locks.names == ("python-base", "storage", "glance")


def release_refs(rule_runner: RuleRunner, text: str) -> ReleaseRefs:
    rule_runner.write_files({REFS: text})
    return rule_runner.request(ReleaseRefs, [ReleaseRefsRequest("2025.2", image_address("2025.2"))])


def test_what_no_image_is_built_of_is_a_library(rule_runner: RuleRunner) -> None:
    refs = release_refs(rule_runner, "Keystone: 28.0.0\noslo_messaging: 17.1.0\n")
    assert [ref.component for ref in refs.libraries] == ["oslo_messaging"]


def test_a_patch_for_a_component_that_the_release_does_not_pin_is_refused(rule_runner: RuleRunner) -> None:
    with engine_error(
        contains="patches#oslo.messaging/2025.2 patches oslo.messaging for 2025.2, but "
        f'{REFS} has no ref for it. Add a line such as `oslo.messaging: "<version>"`, or correct the name of the patches\' '
        "folder."
    ):
        release_refs(rule_runner, "keystone: 28.0.0\n")


def test_a_service_that_the_release_does_not_pin_is_refused(rule_runner: RuleRunner) -> None:
    path = "3rdparty/releases/2025.1/source-refs.yaml"
    rule_runner.write_files({path: "nova: 31.0.0\n"})
    with engine_error(
        contains=f"Target services/keystone#image@release=2025.1 builds keystone for 2025.1, but {path} has no ref for it. "
        'Add a line such as `keystone: "<version>"`, or take 2025.1 out of the target\'s `release`.'
    ):
        rule_runner.request(ComponentRef, [ComponentRequest("keystone", "2025.1", image_address("2025.1"))])


def test_patches_of_a_library_that_no_service_depends_on_are_refused(rule_runner: RuleRunner) -> None:
    rule_runner.write_files({"patches/oslo.cache/2025.2/0001-a.patch": ""})
    nova = render_python_lock(replace(KEYSTONE_LOCK, service="nova", packages=(), layers=()))
    rule_runner.write_files({"3rdparty/releases/2025.2/locks/nova.lock.json": nova})
    refs = release_refs(rule_runner, "keystone: 28.0.0\noslo.messaging: 17.1.0\noslo.cache: 3.0.0\n")
    with engine_error(
        contains="patches#oslo.cache/2025.2 patches oslo.cache, but no lock of release 2025.2 holds oslo.cache (locks: "
        "keystone, nova). Delete the patches; or make a service depend on it, as with "
        '`python_packages=["oslo.cache"]`, and run `./pants generate-lockfiles --resolve=2025.2/<service>`.'
    ):
        rule_runner.request(UsedLibraries, [UsedLibrariesRequest(refs)])


def check_override(rule_runner: RuleRunner, line: str) -> None:
    refs = release_refs(rule_runner, "keystone: 28.0.0\noslo.messaging: 17.1.0\n")
    added = Constraints("overrides.txt", parse_overrides(f"# why\n{line}\n", "overrides.txt").pins)
    rule_runner.request(UsedOverrides, [UsedOverridesRequest(refs, added)])


def test_an_override_of_a_package_that_no_lock_holds_is_refused(rule_runner: RuleRunner) -> None:
    nova = render_python_lock(replace(KEYSTONE_LOCK, service="nova", packages=(), layers=()))
    rule_runner.write_files({"3rdparty/releases/2025.2/locks/nova.lock.json": nova})
    with engine_error(
        contains="overrides.txt:2: `oslo-mesaging===18.0.0` overrides a package that upper-constraints does not pin and "
        "no lock of release 2025.2 holds. Did you mean oslo-messaging? Correct the name or delete the line."
    ):
        check_override(rule_runner, "oslo.mesaging===18.0.0")
    check_override(rule_runner, "oslo.messaging===18.0.0")


def test_an_override_may_be_for_the_upstream_tests_alone(rule_runner: RuleRunner) -> None:
    fixtures = LockedPackage("fixtures", "4.0.0", component="fixtures")
    tests = replace(KEYSTONE_LOCK, packages=(fixtures,), layers=(("fixtures",),))
    nova = render_python_lock(replace(KEYSTONE_LOCK, service="nova", packages=(), layers=()))
    folder = "3rdparty/releases/2025.2/locks"
    rule_runner.write_files(
        {f"{folder}/nova.lock.json": nova, f"{folder}/tests/keystone.lock.json": render_python_lock(tests)}
    )
    check_override(rule_runner, "fixtures===4.0.0")


def test_an_override_is_not_judged_before_all_locks_are_made(rule_runner: RuleRunner) -> None:
    nova = render_python_lock(replace(KEYSTONE_LOCK, service="nova", packages=(), layers=()))
    rule_runner.write_files(
        {
            "3rdparty/releases/2025.2/locks/nova.lock.json": nova,
            "services/cinder/BUILD": 'openstack_service(release="2025.2")',
        }
    )
    check_override(rule_runner, "misspelt===1.0")


def test_two_images_cannot_be_written_to_one_folder(rule_runner: RuleRunner) -> None:
    small = 'openstack_service(name="small", component="keystone", release="2025.2"{more})'
    rule_runner.write_files({"services/small/BUILD": small.format(more="")})
    paths = rule_runner.request(AllOutputPaths, [])
    paths.check("images/keystone/2025.1")
    with pytest.raises(SharedOutputPathError) as error:
        paths.check("images/keystone/2025.2")
    assert str(error.value) == (
        "The images services/keystone#image@release=2025.2 and services/small#image would be written to one folder, "
        "'images/keystone/2025.2'. Give one of them an `output_path` of its own."
    )
    rule_runner.write_files({"services/small/BUILD": small.format(more=', output_path="images/small"')})
    rule_runner.request(AllOutputPaths, []).check("images/keystone/2025.2")
