"""Whole pushes to registries that fail now and then, want tokens, refuse a media type, or have the referrers API."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from imagekit.oci import media_types
from imagekit.oci.layout import Layout
from imagekit.registry.conftest import MakeLayout
from imagekit.registry.flaky_proxy import Fault, flaky_proxy
from imagekit.registry.modern_registry import modern_registry
from imagekit.registry.push import Pusher, Way
from imagekit.registry.push_request import AttachmentFile, ImagePush, Sibling
from imagekit.registry.pushes import VERSION, log_in, name, push, refusal, repository
from imagekit.registry.registry_servers import PASSWORD, USER, registry
from imagekit.registry.settings import RegistrySettings
from imagekit.registry.token_server import token_server


@pytest.fixture
def sbom(tmp_path: Path) -> AttachmentFile:
    (tmp_path / "sbom.json").write_text("{}\n")
    return AttachmentFile(tmp_path / "sbom.json", "application/vnd.cyclonedx+json", "application/vnd.cyclonedx+json", {})


@pytest.mark.parametrize("every", [5, 7])
def test_a_push_arrives_whole_through_faults(
    every: int, tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings, sbom: AttachmentFile
) -> None:
    layout = make_layout("image", *(f"layer-{number}" for number in range(8)))
    subject = Layout(layout).read_image().descriptor
    with registry(tmp_path / "registry") as server, flaky_proxy(server.address, every) as proxy:
        push(
            replace(settings, first_pause=0.01), ImagePush(layout, name(proxy.address), (VERSION,), (sbom,))
        )
        assert set(proxy.faults) == set(Fault)
        # Asked without the proxy: all is there, so nothing is sent.
        (again,) = push(settings, ImagePush(layout, name(server.address), (VERSION,), (sbom,)))
        assert again.nothing_sent
        assert len(repository(server.address, settings).referrers(subject.digest)) == 1


def test_a_registry_that_only_fails_gets_no_tag(
    tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings
) -> None:
    layout = make_layout("image", "base")
    with registry(tmp_path / "registry") as server:
        with flaky_proxy(server.address, 1, (Fault.BUSY,)) as proxy:
            message = refusal(replace(settings, first_pause=0.0), ImagePush(layout, name(proxy.address), (VERSION,)))
        assert repository(server.address, settings).list_tags() == ()
    assert message == (
        f"Reading {proxy.address}/c5c3/keystone:28.0.0: {proxy.address} failed again and again (503). Try again later."
    )


def test_tokens_of_a_token_server(tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings) -> None:
    one, two = make_layout("one", "base", "one"), make_layout("two", "base", "two")
    with token_server(tmp_path / "tokens", USER, PASSWORD) as tokens:
        with registry(tmp_path / "registry", tokens=tokens) as server:
            image = ImagePush(one, name(server.address, "c5c3/one"), (VERSION,))
            assert refusal(settings, image) == (
                f"Reading {image.repository}:28.0.0: {server.address} wants credentials, and there are none for "
                f"{image.repository}. Log in with 'docker login {server.address}'."
            )
            assert refusal(log_in(settings, server.address, "wr0ng"), image) == (
                f"Reading {image.repository}:28.0.0: {server.address} refuses the credentials that are kept for "
                f"{image.repository}. They are wrong or have expired: log in again with 'docker login {server.address}'."
            )
            log_in(settings, server.address, PASSWORD)
            pushed = push(settings, image, ImagePush(two, name(server.address, "c5c3/two"), (VERSION,)))
    # Mounting needs a token for both repositories.
    assert sum(len(image.blobs[Way.MOUNTED]) for image in pushed) == 1
    assert any({scope.split(":")[1] for scope in scopes} == {"c5c3/one", "c5c3/two"} for scopes in tokens.scopes)


def test_what_cannot_be_mounted_is_sent_into_the_upload_that_was_started(
    tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings
) -> None:
    layout = make_layout("image", "base")
    with registry(tmp_path / "registry") as server:
        image = ImagePush(layout, name(server.address), (VERSION,))
        # Said to be in another repository, where it is not.
        (pushed,) = push(settings, image, siblings=[Sibling(layout, name(server.address, "c5c3/other"))])
        uploads = [line for line in server.requests() if '"POST ' in line]
    assert len(pushed.blobs[Way.SENT]) == 2
    # The layer and the configuration: one upload for each.
    assert len(uploads) == 2 and sum("mount=" in line for line in uploads) == 1


def test_a_token_that_expires_is_renewed(tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings) -> None:
    one, two = make_layout("one", "base"), make_layout("two", "base", "more")
    with token_server(tmp_path / "tokens", USER, PASSWORD) as tokens:
        tokens.lifetime = 2.0
        with registry(tmp_path / "registry", tokens=tokens) as server:
            pusher = Pusher(log_in(settings, server.address, PASSWORD))
            assert pusher.push([ImagePush(one, name(server.address), (VERSION,))])[1] == ()
            before = len(tokens.scopes)
            time.sleep(3.1)
            assert pusher.push([ImagePush(two, name(server.address), (VERSION,))])[1] == ()
    assert len(tokens.scopes) > before


def test_credentials_that_expire_while_images_are_pushed(
    tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings
) -> None:
    one, two = make_layout("one", "base"), make_layout("two", "base", "more")
    with token_server(tmp_path / "tokens", USER, PASSWORD) as tokens:
        tokens.lifetime = 2.0
        with registry(tmp_path / "registry", tokens=tokens) as server:
            pusher = Pusher(log_in(settings, server.address, PASSWORD))
            assert pusher.push([ImagePush(one, name(server.address), (VERSION,))])[1] == ()
            tokens.password = "changed"
            time.sleep(3.1)
            image = ImagePush(two, name(server.address), (VERSION,))
            pushed, errors = pusher.push([image])
    assert pushed == ()
    assert [str(error) for error in errors] == [
        f"Reading {image.repository}:28.0.0: {server.address} refuses the credentials that are kept for "
        f"{image.repository}. They are wrong or have expired: log in again with 'docker login {server.address}'."
    ]


def test_a_registry_that_refuses_a_media_type_gets_no_tag(make_layout: MakeLayout, settings: RegistrySettings) -> None:
    layout = make_layout("image", "base")
    digest = Layout(layout).read_image().descriptor.digest
    with modern_registry(refused=frozenset((media_types.LAYER_GZIP,))) as server:
        message = refusal(settings, ImagePush(layout, name(server.address), (VERSION,)))
    assert message == (
        f"Sending {server.address}/c5c3/keystone@{digest}: {server.address} refuses the manifest (400 MANIFEST_INVALID: layer "
        f"media type {media_types.LAYER_GZIP} is not accepted), whose media type is {media_types.MANIFEST}. It needs a "
        "registry that takes OCI images."
    )
    assert server.repositories["c5c3/keystone"].tags == {}


def test_the_referrers_api_needs_no_tag(
    make_layout: MakeLayout, settings: RegistrySettings, sbom: AttachmentFile
) -> None:
    layout = make_layout("image", "base")
    subject = Layout(layout).read_image().descriptor
    with modern_registry() as server:
        image = ImagePush(layout, name(server.address), (VERSION,), (sbom,))
        push(settings, image)
        count = len(server.requests)
        (again,) = push(settings, image)
        assert again.nothing_sent
        (referrer,) = repository(server.address, settings).referrers(subject.digest)
    assert referrer.artifact_type == "application/vnd.cyclonedx+json"
    stored = server.repositories["c5c3/keystone"]
    assert json.loads(stored.manifests[str(referrer.descriptor.digest)][1])["subject"]["digest"] == str(subject.digest)
    assert stored.tags == {"28.0.0": str(subject.digest)}
    assert [request.split("/")[0] for request in server.requests[count : count + 2]] == ["HEAD ", "GET "]
    assert len(server.requests) == count + 3


def test_a_list_of_attached_things_that_somebody_else_writes_too(
    tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings
) -> None:
    layout = make_layout("image", "base")
    subject = Layout(layout).read_image().descriptor
    files = []
    for number in range(4):
        path = tmp_path / f"{number}.json"
        path.write_text(f'{{"number": {number}}}\n')
        files.append(AttachmentFile(path, f"application/vnd.example.{number}", "application/json", {}))
    with registry(tmp_path / "registry") as server:
        push(settings, ImagePush(layout, name(server.address), (VERSION,)))
        # One list, written by four images of one push at the same time.
        push(settings, *(ImagePush(layout, name(server.address), (VERSION,), (file,)) for file in files))
        attached = repository(server.address, settings).referrers(subject.digest)
    assert {item.artifact_type for item in attached} == {file.artifact_type for file in files}
