"""The targets that describe images and what goes into them."""

from __future__ import annotations

import os
import re
from typing import Iterable, Optional, Tuple

from pants.core.goals.package import OutputPathField
from pants.core.goals.run import RestartableField
from pants.engine.addresses import Address
from pants.engine.fs import GlobMatchErrorBehavior
from pants.engine.target import (
    COMMON_TARGET_FIELDS,
    BoolField,
    Dependencies,
    DictStringToStringField,
    IntField,
    InvalidFieldException,
    MultipleSourcesField,
    SingleSourceField,
    StringField,
    StringSequenceField,
    Target,
    TargetFilesGenerator,
    TargetGenerator,
    ValidNumbers,
)
from pants.util.docutil import bin_name
from pants.util.frozendict import FrozenDict
from pants.util.strutil import help_text, softwrap

from c5c3.subsystems.registries import ALL_DEFAULT_REGISTRIES

_RELEASE = re.compile(r"[0-9]{4}\.[0-9]+|[a-z][a-z0-9.-]*")
_COMPONENT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


def _check_name(pattern: "re.Pattern[str]", alias: str, value: Optional[str], address: Address, example: str) -> None:
    if value is not None and not pattern.fullmatch(value):
        raise InvalidFieldException(
            f"The `{alias}` field in target {address} must be a name like {example}, but was {value!r}."
        )


# -----------------------------------------------------------------------------------------------
# Fields that say what an image holds
# -----------------------------------------------------------------------------------------------


class ReleaseField(StringField):
    alias = "release"
    help = help_text(
        f"""
        The OpenStack release to build for: a folder of `3rdparty/releases/`.

        Use `parametrize` to build one service for several releases. Each gets an address of its own:

            openstack_service(name="nova", release=parametrize("2025.1", "2025.2"))

            {bin_name()} package services/nova:nova@release=2025.2
        """
    )

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        _check_name(_RELEASE, cls.alias, value, address, "'2025.2'")
        return value


class RequiredReleaseField(ReleaseField):
    required = True


class ComponentField(StringField):
    alias = "component"
    help = help_text(
        """
        The name of the component in the release's `source-refs.yaml`, in `patches/<component>/<release>/` and in the
        image's repository. Defaults to the name of the target.

        Example: `keystone`.
        """
    )

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        _check_name(_COMPONENT, cls.alias, value, address, "'keystone' or 'oslo.messaging'")
        return value


class ExtrasField(StringSequenceField):
    alias = "extras"
    default = ()
    help = help_text(
        """
        Extras of the component's Python distribution to install.

        Example: `extras=["ldap"]` installs `keystone[ldap]`.
        """
    )


class PythonPackagesField(StringSequenceField):
    alias = "python_packages"
    default = ()
    help = help_text(
        f"""
        Python packages to install beside the component, as requirements without a version: the release's
        `upper-constraints.txt` and `constraint-overrides.txt` say which.

        Example: `python_packages=["uwsgi", "pymysql"]`. Renew the lock after a change with
        `{bin_name()} generate-lockfiles --resolve=<release>/<component>`.
        """
    )


class BaseField(StringField):
    alias = "base"
    help = help_text(
        """
        The address of the `docker_image` whose layers this image stands on.

        Example: `base="3rdparty/bases/bookworm#python-base"`.
        """
    )


class ServiceBaseField(StringField):
    alias = "base"
    default = "3rdparty/bases/bookworm"
    help = help_text(
        """
        The address of the `debian_base` that the service runs on. The image stands on its `#python-base`; wheels that
        need a compiler are built in its `#venv-builder`, which never reaches the image.

        Example: `base="3rdparty/bases/bookworm"`.
        """
    )


class SystemBaseField(StringField):
    alias = "system_base"
    help = help_text(
        """
        The address of a `docker_image` that the service stands on instead of `#python-base`: one that adds system
        packages to it which several services share. `system_packages` are what this service needs beyond those.

        The layer of the shared packages is the same in every service's image. Wheels are built and installed without
        it, so services with and without it share theirs.

        Example: `system_base="3rdparty/bases/bookworm:storage"`.
        """
    )


class PythonBaseField(StringField):
    alias = "python_base"
    help = help_text(
        """
        The address of the `docker_image` that wheels are installed with. This image must stand on it. Defaults to
        `base`; name a lower one where `base` adds system packages that Python has no use for, so that images with
        different ones share their installed wheels.

        Example: `python_base="3rdparty/bases/bookworm#python-base"`.
        """
    )


class BuilderField(StringField):
    alias = "builder"
    help = help_text(
        """
        The address of the `docker_image` in which wheels are built from source. Nothing of it reaches this image.

        Example: `builder="3rdparty/bases/bookworm#venv-builder"`.
        """
    )


class SystemPackagesField(StringSequenceField):
    alias = "system_packages"
    default = ()
    help = help_text(
        f"""
        Packages of the base's distribution to add. Their maintainer scripts run, and the packages they depend on come
        along; recommended packages do not.

        Example: `system_packages=["qemu-utils"]`. Renew the lock after a change with
        `{bin_name()} generate-lockfiles --resolve=<base>/<component>`.
        """
    )


class SystemLockField(StringField):
    alias = "system_lock"
    help = help_text(
        """
        The name of the lock, in the base's `locks/`, that holds `system_packages`. Defaults to the component.

        Name two locks apart where the system packages differ by release.
        """
    )


class SystemModulesField(StringSequenceField):
    alias = "system_modules"
    default = ()
    help = help_text(
        """
        Extension modules of Debian packages that the virtual environment sees: what is not on the Python index, as
        Ceph's bindings. The package that has the module must be among the image's system packages.

        Only these become visible, so the Debian package's own dependencies and versions do not meet the locked ones.

        Example: `system_modules=["rados", "rbd"]`, with `python3-rados` and `python3-rbd`.
        """
    )


class DistributionField(StringField):
    alias = "distribution"
    help = "The address of the `debian_base` whose suites and locks the system packages come from."


class FilesField(MultipleSourcesField):
    alias = "files"
    default = ("files/**",)
    default_glob_match_error_behavior = GlobMatchErrorBehavior.ignore
    help = help_text(
        """
        Files to add on top. What lies below `files/` beside the BUILD file goes to the same path in the image, owned
        by root, with mode 0755 where it is executable here and 0644 elsewhere.

        Example: `services/keystone/files/etc/keystone/keystone.conf` becomes `/etc/keystone/keystone.conf`.
        """
    )


class HeadersField(BoolField):
    alias = "headers"
    default = False
    help = help_text(
        """
        Keep the C headers (`/usr/include`) of `system_packages`, for an image that wheels are built in. Without it they
        are left out, those that packages ship beside their programs as well.
        """
    )


class ExcludeTestsField(BoolField):
    alias = "exclude_tests"
    default = True
    help = help_text(
        """
        Leave the unit tests that the component's own wheel carries (`<package>/tests/`) out of the image. They are of
        no use at run time and a large part of the wheel.
        """
    )


# -----------------------------------------------------------------------------------------------
# Fields of the image configuration
# -----------------------------------------------------------------------------------------------


class EntrypointField(StringSequenceField):
    alias = "entrypoint"
    help = 'What the container starts, as a list of arguments. Example: `entrypoint=["/usr/bin/dumb-init", "--"]`.'


class CommandField(StringSequenceField):
    alias = "command"
    help = 'The default arguments of the container. Example: `command=["keystone-manage", "--help"]`.'


class EnvironmentField(DictStringToStringField):
    alias = "environment"
    help = help_text(
        """
        Environment variables of the container, added to those of the base.

        Example: `environment={"OS_SERVICE": "keystone"}`.
        """
    )


class UserField(StringField):
    alias = "user"
    help = help_text(
        """
        The user that the container runs as, by name or id. Defaults to 42424 (`openstack`) for a service, and to the
        base's for other images. Example: `user="openstack"`.
        """
    )


class WorkingDirectoryField(StringField):
    alias = "working_directory"
    help = "The directory that the container starts in. Defaults to the base's."

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        if value is not None and not value.startswith("/"):
            raise InvalidFieldException(
                f"The `{cls.alias}` field in target {address} must be an absolute path, but was {value!r}. "
                f"Use {'/' + value!r}."
            )
        return value


class ImageLabelsField(DictStringToStringField):
    alias = "image_labels"
    help = help_text(
        """
        Labels of the image, added to the standard `org.opencontainers.image.*` ones.

        Example: `image_labels={"org.opencontainers.image.vendor": "example"}`.
        """
    )


class ImageTagsField(StringSequenceField):
    alias = "image_tags"
    help = help_text(
        f"""
        Tags of the image, for `{bin_name()} publish`.

        Placeholders in curly braces: `{{version}}` (of the source), `{{patches}}` (their number), `{{release}}`, `{{tag}}`
        (the version, with `-p<N>` when N patches are applied); and from this checkout `{{branch}}` (`/` becomes `-`) and
        `{{commit}}` (12 digits). A tag with `{{commit}}` is immutable: it is never moved to another image, and a tree with
        changes that are not committed has none.

        A service defaults to `{{tag}}`, `{{version}}`, `{{branch}}-{{release}}`, `{{commit}}-{{release}}` and
        `{{version}}-p{{patches}}-{{branch}}-{{commit}}`. The first one without `{{branch}}` and `{{commit}}` is the image's
        name in its layout.

        Example: `image_tags=["{{tag}}", "{{version}}-{{release}}"]`.
        """
    )


class RepositoryField(StringField):
    alias = "repository"
    help = help_text(
        """
        The repository of the image, without registry and tag. Defaults to `[images].default_repository`.

        Placeholders in curly braces: `{name}` (the component), `{release}`.

        Example: `repository="c5c3/{name}"`.
        """
    )


class RegistriesField(StringSequenceField):
    alias = "registries"
    default = (ALL_DEFAULT_REGISTRIES,)
    help = help_text(
        """
        The registries that the image is published to: addresses, or aliases of `[images].registries` with `@` in front.
        Defaults to those that are marked as default there.

        Example: `registries=["@team", "ghcr.io"]`.
        """
    )


class SkipPushField(BoolField):
    alias = "skip_push"
    default = False
    help = f"If true, do not push this image to registries when running `{bin_name()} publish`."


class DockerArchiveField(BoolField):
    alias = "docker_archive"
    default = False
    help = help_text(
        f"""
        If true, `{bin_name()} package` writes `<output path>/docker-archive.tar` too: an archive that `docker load` (20.10 and newer)
        and `podman load` accept. `--images-archive` does so for every image.
        """
    )


class ImageOutputPathField(OutputPathField):
    help = help_text(
        f"""
        Where `{bin_name()} package` writes the OCI image layout, below `--distdir`.

        Defaults to `images/<component>/<release>` for a service and `images/<name>` for a base. A second image of one
        component and release needs a path of its own.
        """
    )


class DockerImageDependenciesField(Dependencies):
    pass


_IMAGE_CONFIGURATION_FIELDS = (
    EntrypointField,
    CommandField,
    EnvironmentField,
    UserField,
    WorkingDirectoryField,
    ImageLabelsField,
    ImageTagsField,
    RepositoryField,
    RegistriesField,
    SkipPushField,
    DockerArchiveField,
    ImageOutputPathField,
    RestartableField,
)

_SERVICE_CONTENT_FIELDS = (
    ComponentField,
    ExtrasField,
    PythonPackagesField,
    SystemPackagesField,
    SystemLockField,
    SystemModulesField,
    ExcludeTestsField,
    FilesField,
)


class DockerImage(Target):
    alias = "docker_image"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        DockerImageDependenciesField,
        BaseField,
        PythonBaseField,
        BuilderField,
        DistributionField,
        ReleaseField,
        HeadersField,
        *_SERVICE_CONTENT_FIELDS,
        *_IMAGE_CONFIGURATION_FIELDS,
    )
    help = help_text(
        f"""
        An OCI image put together from layers; no container engine is needed.

        Bottom to top: the layers of `base`; what `system_packages` add; and, where `release` names one, the virtual
        environment `/var/lib/openstack` with the component and its locked dependencies; the `files`.

        `openstack_service` and `debian_base` generate these. Write one by hand for an image that adds system packages
        or files to another one:

            docker_image(
                name="debug-base",
                base="3rdparty/bases/bookworm#python-base",
                distribution="3rdparty/bases/bookworm",
                system_packages=["strace"],
                system_lock="debug-base",
            )

        `{bin_name()} package` writes an OCI image layout to `dist/images/…` and prints its digest;
        `{bin_name()} run` loads it into Docker or Podman and runs it.
        """
    )


# -----------------------------------------------------------------------------------------------
# Tests of images
# -----------------------------------------------------------------------------------------------


class TestedImageField(StringField):
    alias = "image"
    required = True
    help = help_text(
        """
        The address of the `docker_image` to test.

        Example: `image="services/keystone#image@release=2025.2"`.
        """
    )


class AllowedFindingsField(DictStringToStringField):
    alias = "allowed_findings"
    help = help_text(
        """
        Findings of the checks that are meant to be: `<check>:<path>`, where the path may be a shell pattern, and the
        reason.

        Example: `allowed_findings={"programs:nova.wsgi.*": "they connect to a database when they are imported"}`.
        """
    )

    @classmethod
    def compute_value(
        cls, raw_value: Optional["dict[str, str]"], address: Address
    ) -> "Optional[FrozenDict[str, str]]":
        value = super().compute_value(raw_value, address)
        for finding, reason in (value or {}).items():
            if not reason.strip():
                raise InvalidFieldException(
                    f"The `{cls.alias}` field in target {address} allows {finding!r} without a reason. Say why."
                )
        return value


class ImageTestCommandField(StringSequenceField):
    alias = "command"
    help = 'What to run in the image, as a list of arguments. Example: `command=["nova-manage", "--version"]`.'


class ImageTestScriptField(StringField):
    alias = "script"
    help = "What to run in the image with `sh -e`, in place of `command`."


class ImageTestExpectField(StringField):
    alias = "expect"
    help = "A regular expression that the output must match somewhere. Without it, the exit code alone decides."


class ImageTestFilesField(MultipleSourcesField):
    alias = "files"
    default = ()
    uses_source_roots = False
    help = "Files beside the BUILD file that the command sees, read-only, below `/test`."


class ImageTestNetworkField(BoolField):
    alias = "network"
    default = False
    help = "Use the host's network. A test that passed once is not run again until the image changes."


class ImageTestTimeoutField(IntField):
    alias = "timeout"
    default = 60
    valid_numbers = ValidNumbers.positive_only
    help = "Seconds after which the command is stopped and the test has failed."


class ImageTestDependenciesField(Dependencies):
    pass


class ImageTest(Target):
    alias = "image_test"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        ImageTestDependenciesField,
        TestedImageField,
        ImageTestCommandField,
        ImageTestScriptField,
        ImageTestExpectField,
        ImageTestFilesField,
        ImageTestNetworkField,
        ImageTestTimeoutField,
    )
    help = help_text(
        f"""
        Runs a command in an image, without a container engine; it passes when the command ends with exit code 0.

        The user, environment and working directory are the image's. Its root file system is read-only, /tmp, /var/tmp
        and /run are empty and writable, and there is no network but the loopback device.

            image_test(
                name="converts-disks",
                image="services/glance#image@release=2025.2",
                script="cd /tmp && qemu-img create -f qcow2 a 1M && qemu-img convert -O raw a b",
            )

        `{bin_name()} test` runs it; it runs again only when the image or the test changes.
        """
    )


class ImageChecks(Target):
    alias = "image_checks"
    core_fields = (*COMMON_TARGET_FIELDS, ImageTestDependenciesField, TestedImageField, AllowedFindingsField)
    help = help_text(
        """
        The checks that hold for every image: libraries, modes, programs, metadata, leftovers and times. See
        docs/checks.md. `openstack_service` generates one beside its image.

            image_checks(name="checks", image="3rdparty/bases/bookworm#python-base")
        """
    )


class TestPathField(StringField):
    # Not a test of this module.
    __test__ = False

    alias = "test_path"
    help = help_text(
        """
        The folder of the component's source that holds the tests. Defaults to what the source's `.stestr.conf` says.

        Example: `test_path="placement/tests/functional"`.
        """
    )


class UpstreamTestExtrasField(ExtrasField):
    help = help_text(
        """
        Extras of the component's Python distribution that the tests need beside those of the image.

        Example: `extras=["memcache"]`.
        """
    )


class UpstreamTestPackagesField(PythonPackagesField):
    help = help_text(
        """
        Python packages that the tests need beside the image and the source's `test-requirements.txt`, as requirements
        without a version.

        Example: `python_packages=["oslo.db[fixtures]"]`.
        """
    )


class ExcludeRequirementsField(DictStringToStringField):
    alias = "exclude_requirements"
    help = help_text(
        """
        Lines of the source's `test-requirements.txt` to leave out, by the name of the project, and the reason.

        Example: `exclude_requirements={"psycopg2": "it needs the headers of PostgreSQL"}`.
        """
    )

    @classmethod
    def compute_value(
        cls, raw_value: Optional["dict[str, str]"], address: Address
    ) -> "Optional[FrozenDict[str, str]]":
        value = super().compute_value(raw_value, address)
        for project, reason in (value or {}).items():
            if not reason.strip():
                raise InvalidFieldException(
                    f"The `{cls.alias}` field in target {address} leaves out {project!r} without a reason. Say why."
                )
        return value


class TestExclusionsField(MultipleSourcesField):
    # Not a test of this module.
    __test__ = False

    alias = "exclusions"
    default = ("upstream-tests/*.txt",)
    default_glob_match_error_behavior = GlobMatchErrorBehavior.ignore
    expected_file_extensions = (".txt",)
    uses_source_roots = False
    help = help_text(
        """
        The tests to leave out: a file `<release>.txt` for each release that has some. A line is a regular expression
        that matches the whole id of a test, and the reason:

            keystone\\.tests\\.unit\\.test_ldap_livetest\\..*  # needs an LDAP server

        A line without a reason is refused, and one that matches no test.
        """
    )


class ShardsField(IntField):
    alias = "shards"
    default = 1
    valid_numbers = ValidNumbers.positive_only
    help = "How many processes share the tests. Each has a result of its own, and some run at the same time."


class UpstreamTestTimeoutField(IntField):
    alias = "timeout"
    default = 1800
    valid_numbers = ValidNumbers.positive_only
    help = "Seconds after which a shard is stopped and has failed."


class UpstreamTests(Target):
    alias = "upstream_tests"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        ImageTestDependenciesField,
        TestedImageField,
        TestPathField,
        UpstreamTestExtrasField,
        UpstreamTestPackagesField,
        ExcludeRequirementsField,
        TestExclusionsField,
        ShardsField,
        UpstreamTestTimeoutField,
    )
    help = help_text(
        f"""
        The unit tests of a component, from its patched source, in its image. See docs/upstream-tests.md.

        They run with the image's Python, packages and system libraries, as its user and without a network but the
        loopback device. What only the tests require comes from a lock of its own, made by
        `{bin_name()} generate-lockfiles --resolve=<release>/<component>-tests`.

            upstream_tests(
                name="upstream-tests",
                image="services/placement#image@release=2025.2",
                shards=2,
            )

        `{bin_name()} test` runs them only when it is given their address, and not as a part of `::`.
        """
    )


class OpenstackService(TargetGenerator):
    alias = "openstack_service"
    generated_target_cls = DockerImage
    core_fields = (*COMMON_TARGET_FIELDS,)
    copied_fields = COMMON_TARGET_FIELDS
    moved_fields = (
        RequiredReleaseField,
        ServiceBaseField,
        SystemBaseField,
        *_SERVICE_CONTENT_FIELDS,
        *_IMAGE_CONFIGURATION_FIELDS,
        DockerImageDependenciesField,
        AllowedFindingsField,
    )
    help = help_text(
        f"""
        One OpenStack service, for one release or, with `parametrize`, for several. Generates its `docker_image`
        (`#image`) and the `image_checks` of that (`#checks`).

        The component's source is the one that `3rdparty/releases/<release>/source-refs.yaml` names, with the patches
        of `patches/<component>/<release>/` applied; its dependencies are those of
        `3rdparty/releases/<release>/locks/<component>.lock.json`.

            openstack_service(
                name="keystone",
                release=parametrize("2025.2"),
                extras=["ldap"],
                python_packages=["uwsgi", "pymysql"],
                system_packages=["xmlsec1"],
            )

        After a change of extras or packages, `{bin_name()} generate-lockfiles` renews the locks.
        """
    )


# -----------------------------------------------------------------------------------------------
# Bases
# -----------------------------------------------------------------------------------------------


class SuitesField(StringSequenceField):
    alias = "suites"
    required = True
    help = 'The suites of the distribution that packages are locked from. Example: `suites=["bookworm"]`.'


class ComponentsField(StringSequenceField):
    alias = "components"
    default = ("main",)
    help = 'The components of the suites. Example: `components=["main"]`.'


class PythonVersionField(StringField):
    alias = "python"
    required = True
    help = 'The version of the base\'s Python. Example: `python="3.11"`.'

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        if value is not None and not re.fullmatch(r"3\.[0-9]+", value):
            raise InvalidFieldException(
                f"The `{cls.alias}` field in target {address} must be a version like '3.11', but was {value!r}."
            )
        return value


class GlibcVersionField(StringField):
    alias = "glibc"
    required = True
    help = help_text(
        """
        The version of the base's C library: decides which `manylinux` wheels fit. Example: `glibc="2.36"`.
        """
    )

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        if value is not None and not re.fullmatch(r"2\.[0-9]+", value):
            raise InvalidFieldException(
                f"The `{cls.alias}` field in target {address} must be a version like '2.36', but was {value!r}."
            )
        return value


class BasePackagesField(StringSequenceField):
    alias = "packages"
    required = True
    help = "The packages of the runtime base (`#python-base`), beside the distribution's essential ones."


class BuilderPackagesField(StringSequenceField):
    alias = "builder_packages"
    required = True
    help = "The packages that `#venv-builder` adds to the runtime base: compilers and headers."


class DebLockSourceField(SingleSourceField):
    help = "The lock file."


class DebLockTarget(Target):
    alias = "deb_lock"
    core_fields = (*COMMON_TARGET_FIELDS, DebLockSourceField)
    help = help_text(
        f"""
        The lock of a set of Debian packages: every package with version, size and SHA-256, from an index whose
        signature was checked. Generated by `debian_base` for each file of its `locks/`, and made by
        `{bin_name()} generate-lockfiles`.
        """
    )


class DebianBase(TargetGenerator):
    alias = "debian_base"
    generated_target_cls = DockerImage
    core_fields = (
        *COMMON_TARGET_FIELDS,
        SuitesField,
        ComponentsField,
        PythonVersionField,
        GlibcVersionField,
        BasePackagesField,
        BuilderPackagesField,
        RepositoryField,
        RegistriesField,
    )
    copied_fields = COMMON_TARGET_FIELDS
    moved_fields = (SkipPushField,)
    help = help_text(
        f"""
        A Debian release that images stand on, locked package by package. Generates two `docker_image` targets,
        `#python-base` (what every service runs on) and `#venv-builder` (the same with compilers, in which wheels are
        built), and a `deb_lock` for each lock in `locks/`.

        Maintainer scripts really run and the dpkg database is real, so scanners see every package.

            debian_base(
                name="bookworm",
                suites=["bookworm"],
                python="3.11",
                glibc="2.36",
                packages=["python3", "ca-certificates"],
                builder_packages=["gcc", "python3-dev"],
            )

        After a change, `{bin_name()} generate-lockfiles --resolve=bookworm/python-base` renews the lock.
        """
    )


# -----------------------------------------------------------------------------------------------
# Releases
# -----------------------------------------------------------------------------------------------


class ReleaseFileSourceField(SingleSourceField):
    help = "The file."


class ReleaseFile(Target):
    alias = "openstack_release_file"
    core_fields = (*COMMON_TARGET_FIELDS, ReleaseFileSourceField, ReleaseField)
    help = "One file of an OpenStack release: references, constraints, overrides or a lock."


class ReleaseFilesField(MultipleSourcesField):
    default = (
        "source-refs.yaml",
        "upper-constraints.txt",
        "constraint-overrides.txt",
        "sources/*.json",
        "locks/*.lock.json",
        "locks/tests/*.lock.json",
    )
    default_glob_match_error_behavior = GlobMatchErrorBehavior.ignore
    help = "The files of the release."


class OpenstackRelease(TargetFilesGenerator):
    alias = "openstack_release"
    generated_target_cls = ReleaseFile
    core_fields = (*COMMON_TARGET_FIELDS, ReleaseFilesField)
    copied_fields = COMMON_TARGET_FIELDS
    moved_fields = (RequiredReleaseField,)
    help = help_text(
        f"""
        One OpenStack release: the folder that says what is built for it.

        `source-refs.yaml` names the source of each component; `upper-constraints.txt` is upstream's, unchanged;
        `constraint-overrides.txt` replaces, adds or removes pins, with the reason; `sources/` and `locks/` are written
        by `{bin_name()} generate-lockfiles`. A file-level target each, so that `--changed-since` names exactly the
        images that a changed file touches.

            openstack_release(name="2025.2", release="2025.2")
        """
    )


# -----------------------------------------------------------------------------------------------
# Patches
# -----------------------------------------------------------------------------------------------


class PatchesField(MultipleSourcesField):
    expected_file_extensions = (".patch",)
    default = ("*.patch",)
    uses_source_roots = False
    help = "The patches, applied in the order of their names."


class RequiredComponentField(ComponentField):
    required = True


class PatchSet(Target):
    alias = "patch_set"
    core_fields = (*COMMON_TARGET_FIELDS, PatchesField, RequiredComponentField, RequiredReleaseField)
    help = help_text(
        """
        The patches of one component for one release, in `git format-patch` form. They are applied in name order with
        `git apply`, all or nothing, without fuzz.

        `patch_sets` generates one for each folder `<component>/<release>/` below it, so a new patch needs no BUILD file.
        Write one by hand for patches kept elsewhere:

            patch_set(name="fixes", component="keystone", release="2025.2", sources=["*.patch"])
        """
    )


class AllPatchesField(MultipleSourcesField):
    expected_file_extensions = (".patch",)
    default = ("*/*/*.patch",)
    default_glob_match_error_behavior = GlobMatchErrorBehavior.ignore
    uses_source_roots = False
    help = "The patches of all components and releases, as `<component>/<release>/<name>.patch`."


class PatchSets(TargetGenerator):
    alias = "patch_sets"
    generated_target_cls = PatchSet
    core_fields = (*COMMON_TARGET_FIELDS, AllPatchesField)
    copied_fields = COMMON_TARGET_FIELDS
    moved_fields = ()
    help = help_text(
        """
        All patches of this tree. Generates a `patch_set` for each folder `<component>/<release>/`: dropping a file into
        the folder is enough.
        """
    )

    @staticmethod
    def folders(paths: Iterable[str], spec_path: str) -> Tuple[Tuple[str, str], ...]:
        """The (component, release) pairs that ``paths`` (relative to the build root) lie in, sorted.

        Raises ``InvalidFieldException`` for a file that does not lie in ``<component>/<release>/``.
        """
        found = set()
        for path in paths:
            parts = os.path.relpath(path, spec_path or ".").split(os.sep)
            if len(parts) != 3:
                raise InvalidFieldException(
                    softwrap(
                        f"""
                        A patch must lie in `<component>/<release>/` below {spec_path or '.'!r}, but {path!r} does not.
                        Move it to {os.path.join(spec_path, '<component>', '<release>', parts[-1])!r}.
                        """
                    )
                )
            found.add((parts[0], parts[1]))
        return tuple(sorted(found))
