"""Keystone, Glance and Placement from their images serve the CLI and Tempest's API tests from Tempest's image."""

from __future__ import annotations

from typing import ContextManager, Iterator

import pytest

from services.cloud import IMAGES, PASSWORD, Cloud, running_cloud
from services.http_api import get_token, request
from services.image_runner import ImageRunner, containers, sandbox
from services.tempest_run import run_tempest

IDENTITY = "tempest.api.identity"
IMAGE = "tempest.api.image.v2"
TESTS = (
    f"{IDENTITY}.admin.v3.test_endpoints.EndPointsTestJSON.test_create_list_show_delete_endpoint",
    f"{IDENTITY}.admin.v3.test_projects.ProjectsTestJSON.test_project_create_with_description",
    f"{IDENTITY}.admin.v3.test_projects.ProjectsTestJSON.test_project_update_name",
    f"{IDENTITY}.admin.v3.test_roles.RolesV3TestJSON.test_grant_list_revoke_role_to_user_on_project",
    f"{IDENTITY}.v3.test_api_discovery.TestApiDiscovery.test_api_version_resources",
    f"{IDENTITY}.v3.test_catalog.IdentityCatalogTest.test_catalog_standardization",
    f"{IDENTITY}.v3.test_projects.IdentityV3ProjectsTest.test_list_projects_returns_only_authorized_projects",
    f"{IDENTITY}.v3.test_tokens.TokensV3Test.test_create_token",
    f"{IMAGE}.test_images.BasicOperationsImagesTest.test_delete_image",
    f"{IMAGE}.test_images.BasicOperationsImagesTest.test_register_upload_get_image_file",
    f"{IMAGE}.test_images.BasicOperationsImagesTest.test_update_image",
    f"{IMAGE}.test_images_member.ImagesMemberTest.test_image_share_accept",
    f"{IMAGE}.test_images_tags.ImagesTagsTest.test_update_delete_tags_for_image",
    f"{IMAGE}.test_versions.VersionsTest.test_list_versions",
)


@pytest.fixture(scope="module", params=["sandbox", "containers"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    in_sandbox = request.param == "sandbox"  # type: ignore[attr-defined]
    runners: ContextManager[ImageRunner] = sandbox() if in_sandbox else containers(IMAGES)
    with runners as runner, running_cloud(runner) as running:
        yield running


@pytest.fixture(autouse=True)
def logs(cloud: Cloud) -> Iterator[None]:
    """Pytest shows what is printed when the test failed."""
    yield
    print(cloud.logs())


def test_the_cli_creates_a_project_and_uploads_and_lists_an_image(cloud: Cloud) -> None:
    listed = cloud.client(
        """
        openstack project create demo >&2
        head -c 1000000 /dev/urandom >/tmp/disk.raw
        openstack image create --project demo --disk-format raw --file /tmp/disk.raw disk >&2
        openstack image save --file /tmp/copy.raw disk
        cmp /tmp/disk.raw /tmp/copy.raw
        openstack project list --sort-column Name -f value -c Name
        openstack image list -f value -c Name -c Status
        """
    )
    assert listed.splitlines() == ["admin", "demo", "service", "disk active"]


def test_placement_answers(cloud: Cloud) -> None:
    versions = request(cloud.placement)
    assert versions.status == 200
    assert versions.body["versions"][0]["id"] == "v1.0"  # type: ignore[index]
    providers = f"{cloud.placement}/resource_providers"
    assert request(providers).status == 401
    token = get_token(cloud.keystone, PASSWORD).headers["X-Subject-Token"]
    answer = request(providers, token=token)
    assert (answer.status, answer.body) == (200, {"resource_providers": []})


def test_tempest_passes(cloud: Cloud) -> None:
    assert run_tempest(cloud, TESTS) == {test: "passed" for test in TESTS}
