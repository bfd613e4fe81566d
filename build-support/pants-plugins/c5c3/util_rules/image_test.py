from __future__ import annotations

from typing import Dict

import pytest
from imagekit.sources.pin import SdistPin
from pants.engine.addresses import Address
from pants.engine.fs import EMPTY_DIGEST
from pants.engine.target import Target, WrappedTarget, WrappedTargetRequest

from c5c3.goals.package import DockerImagePackageFieldSet, image_repository, readable_size
from c5c3.subsystems.images import ImagesSubsystem
from c5c3.target_types import ComponentField, DockerImage, ImageTagsField, ReleaseField, RepositoryField
from c5c3.util_rules.checkout import Checkout
from c5c3.util_rules.debian import Distribution, DistributionRequest
from c5c3.util_rules.image import (
    ImageAddress,
    ImageAddressRequest,
    ImageToolchainRequest,
    check_layer_count,
    find_toolchain,
)
from c5c3.util_rules.image_names import ImageError, image_tags, published_tags
from c5c3.util_rules.source import Source
from pants.testutil.option_util import create_subsystem
from pants.testutil.rule_runner import MockGet, run_rule_with_mocks
from pants.util.docutil import bin_name

ADDRESS = Address("services/keystone", generated_name="image")


def image(**fields: object) -> Target:
    return DockerImage({ComponentField.alias: "keystone", ReleaseField.alias: "2025.2", **fields}, ADDRESS)


def source(*patches: str, version: str = "28.0.0") -> Source:
    pin = SdistPin("keystone", version, "keystone.tar.gz", 1, "0" * 64)
    return Source("keystone", "2025.2", pin, patches, EMPTY_DIGEST)


def test_the_tag_is_the_version_and_the_number_of_patches() -> None:
    assert image_tags(image(), source())[0] == "28.0.0"
    assert image_tags(image(), source("0001-a.patch", "0002-b.patch")) == ("28.0.0-p2", "28.0.0")


def test_a_local_version_becomes_a_tag_that_registries_take() -> None:
    assert source(version="28.0.1.dev3+g1a2b3c4").tag == "28.0.1.dev3-g1a2b3c4"


def test_placeholders_of_tags() -> None:
    target = image(**{ImageTagsField.alias: ("{tag}", "{version}-{release}-{patches}")})
    assert image_tags(target, source("0001-a.patch")) == ("28.0.0-p1", "28.0.0-2025.2-1")


@pytest.mark.parametrize("tag", ["{brunch}", "{0}", "{"])
def test_an_unknown_placeholder_of_a_tag_is_refused(tag: str) -> None:
    with pytest.raises(ImageError) as refusal:
        image_tags(image(**{ImageTagsField.alias: (tag,)}), source())
    assert str(refusal.value) == (
        f"The `image_tags` field in target services/keystone#image has a placeholder that is not known: {tag!r}. "
        "Known here: {version}, {patches}, {release}, {tag}, {branch}, {commit}."
    )


def test_a_service_is_published_under_the_tags_of_the_schema() -> None:
    checkout = Checkout("stable/2025.2", "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567")
    published = published_tags(image(), source("0001-a.patch"), checkout)
    assert [(tag.name, tag.immutable) for tag in published.tags] == [
        ("28.0.0-p1", False),
        ("28.0.0", False),
        ("stable-2025.2-2025.2", False),
        ("0a1b2c3d4e5f-2025.2", True),
        ("28.0.0-p1-stable-2025.2-0a1b2c3d4e5f", True),
    ]
    assert published.notes == ()


def test_a_tree_with_changes_has_no_tags_of_a_commit() -> None:
    published = published_tags(image(), source(), Checkout(None, None, "this tree has changes"))
    assert [tag.name for tag in published.tags] == ["28.0.0"]
    assert published.notes == (
        "no tag from '{branch}-{release}': no branch is checked out. Name it with `--images-branch=<branch>`",
        "no tag from '{commit}-{release}': this tree has changes",
        "no tag from '{version}-p{patches}-{branch}-{commit}': this tree has changes",
    )


def test_a_layout_is_never_named_after_the_checkout() -> None:
    assert image_tags(image(**{ImageTagsField.alias: ("{commit}", "{version}")}), source()) == ("28.0.0",)
    assert image_tags(image(**{ImageTagsField.alias: ("{commit}",)}), source("0001-a.patch")) == ("28.0.0-p1",)


def test_a_tag_that_registries_refuse_is_refused() -> None:
    with pytest.raises(ImageError) as refusal:
        image_tags(image(**{ImageTagsField.alias: ("a/{version}",)}), source())
    assert str(refusal.value) == (
        "The `image_tags` field in target services/keystone#image: 'a/{version}' gives a tag that registries refuse. "
        "'a/28.0.0' is no tag. A tag has up to 128 letters, digits, '_', '.' and '-', and does not start with '.' or '-'."
    )


def repository(template: str) -> str:
    options = create_subsystem(ImagesSubsystem, default_repository="c5c3/{name}")
    target = image(**{RepositoryField.alias: template or None})
    return image_repository(DockerImagePackageFieldSet.create(target), options)


def test_the_repository_of_an_image() -> None:
    assert repository("") == "c5c3/keystone"
    assert repository("team/{name}-{release}") == "team/keystone-2025.2"


def test_an_unknown_placeholder_of_a_repository_is_refused() -> None:
    with pytest.raises(ImageError) as refusal:
        repository("team/{nmae}")
    assert str(refusal.value) == (
        "The repository of target services/keystone#image has a placeholder that is not known: 'team/{nmae}'. Known "
        "here: {name}, {release}. Correct its `repository` field, or `[images].default_repository`."
    )


def test_sizes_are_read_in_powers_of_ten() -> None:
    assert [readable_size(size) for size in (0, 999, 1000, 82_700_000, 5_100_000_000)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "82.7 MB",
        "5.1 GB",
    ]


def test_too_many_layers() -> None:
    check_layer_count(ADDRESS, 100)
    with pytest.raises(ImageError) as error:
        check_layer_count(ADDRESS, 101)
    assert str(error.value) == (
        "The image of target services/keystone#image would have 101 layers, but engines take at most 100. Put its Python "
        f"packages into fewer groups with `{bin_name()} group-layers`, or stand it on fewer images with `base`."
    )


@pytest.mark.parametrize(
    "fields, field, remedy",
    [
        (
            {"base": "3rdparty/bases/bookworm#python-base"},
            "builder",
            'Name the `docker_image` that wheels are built in, such as `builder="3rdparty/bases/bookworm#venv-builder"`.',
        ),
        (
            {"builder": "3rdparty/bases/bookworm#venv-builder"},
            "base",
            'Name the `docker_image` that it stands on, such as `base="3rdparty/bases/bookworm#python-base"`.',
        ),
    ],
)
def test_an_image_of_a_release_needs_a_builder_and_a_base(fields: Dict[str, str], field: str, remedy: str) -> None:
    target = image(**fields)
    with pytest.raises(ImageError) as refusal:
        run_rule_with_mocks(
            find_toolchain,
            rule_args=[ImageToolchainRequest(ADDRESS)],
            mock_gets=[
                MockGet(WrappedTarget, (WrappedTargetRequest,), lambda _: WrappedTarget(target)),
                MockGet(Distribution, (DistributionRequest,), lambda _: pytest.fail("asked for a distribution")),
                MockGet(ImageAddress, (ImageAddressRequest,), lambda _: pytest.fail("asked for an image")),
            ],
        )
    assert str(refusal.value) == (
        f"Target services/keystone#image is for release 2025.2, but its `{field}` field is not set. {remedy}"
    )
