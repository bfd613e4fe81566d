"""Pushes to Debian's docker-registry on 127.0.0.1; it has no referrers API, so attachments go by tag."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from imagekit.oci.digest import Digest
from imagekit.oci.layout import Layout
from imagekit.registry.conftest import MakeLayout
from imagekit.registry.errors import RegistryError
from imagekit.registry.push import PushedImage, TagChange, Way, push_images
from imagekit.registry.push_request import AttachmentFile, ImagePush, PushRequest, Sibling, Tag
from imagekit.registry.pushes import VERSION, log_in, name, push, refusal, repository
from imagekit.registry.registry_servers import PASSWORD, free_port, registry
from imagekit.registry.repository import referrers_tag
from imagekit.registry.settings import RegistrySettings

COMMIT = Tag("0a1b2c3-2025.2", immutable=True)


def count(pushed: PushedImage, way: Way) -> int:
    return len(pushed.blobs[way])


def test_a_second_push_sends_nothing(tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings) -> None:
    layout = make_layout("image", "base", "service")
    with registry(tmp_path / "registry") as server:
        image = ImagePush(layout, name(server.address), (VERSION, COMMIT))
        (first,) = push(settings, image)
        before = server.requests()
        (second,) = push(settings, image)
        after = server.requests()[len(before) :]
        assert repository(server.address, settings).list_tags() == (COMMIT.name, VERSION.name)
    assert (count(first, Way.SENT), first.nothing_sent, [tag.change for tag in first.tags]) == (3, False, [TagChange.NEW] * 2)
    assert (count(second, Way.THERE), second.nothing_sent) == (3, True)
    assert not [line for line in after if '"HEAD ' not in line]
    assert len(after) == 2


def test_after_a_change_one_layer_is_sent(tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings) -> None:
    with registry(tmp_path / "registry") as server:
        push(settings, ImagePush(make_layout("one", "base", "service"), name(server.address), (VERSION,)))
        (second,) = push(settings, ImagePush(make_layout("two", "base", "patched"), name(server.address), (VERSION,)))
    assert (count(second, Way.SENT), count(second, Way.THERE), count(second, Way.MOUNTED)) == (2, 1, 0)
    assert [tag.change for tag in second.tags] == [TagChange.MOVED]


def test_shared_layers_are_mounted(tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings) -> None:
    one, two, three = (make_layout(text, "base", text) for text in ("one", "two", "three"))
    with registry(tmp_path / "registry") as server:
        together = push(
            settings,
            ImagePush(one, name(server.address, "c5c3/one"), (VERSION,)),
            ImagePush(two, name(server.address, "c5c3/two"), (VERSION,)),
        )
        siblings = [Sibling(one, name(server.address, "c5c3/one")), Sibling(tmp_path / "none", name(server.address))]
        (later,) = push(settings, ImagePush(three, name(server.address, "c5c3/three"), (VERSION,)), siblings=siblings)
    assert sum(count(pushed, Way.MOUNTED) for pushed in together) == 1
    assert (count(later, Way.MOUNTED), count(later, Way.SENT)) == (1, 2)


def test_an_immutable_tag_is_not_moved(tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings) -> None:
    one, two = make_layout("one", "base"), make_layout("two", "other")
    old, new = (Layout(path).read_image().descriptor.digest for path in (one, two))
    with registry(tmp_path / "registry") as server:
        push(settings, ImagePush(one, name(server.address), (COMMIT,)))
        before = len(server.requests())
        message = refusal(settings, ImagePush(two, name(server.address), (VERSION, COMMIT)))
        assert not [line for line in server.requests()[before:] if '"HEAD ' not in line]
        assert message == (
            f"{server.address}/c5c3/keystone:0a1b2c3-2025.2 is immutable: it is {old} and would become {new}. Nothing was "
            "sent for it. Commit what changed, so that it gets a tag of its own, or delete the tag in the registry if "
            "nobody uses it."
        )


def test_two_images_cannot_share_a_tag(make_layout: MakeLayout, settings: RegistrySettings) -> None:
    one, two = make_layout("one", "base"), make_layout("two", "other")
    images = tuple(ImagePush(path, name("registry.example"), (VERSION,)) for path in (one, two))
    with pytest.raises(RegistryError, match="registry.example/c5c3/keystone:28.0.0 would be two images"):
        push_images(PushRequest(images), settings)


def test_attachments_arrive_before_tags(tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings) -> None:
    layout = make_layout("image", "base")
    (tmp_path / "sbom.json").write_text("{}\n")
    sbom = AttachmentFile(tmp_path / "sbom.json", "application/vnd.cyclonedx+json", "application/vnd.cyclonedx+json", {})
    with registry(tmp_path / "registry") as server:
        image = ImagePush(layout, name(server.address), (VERSION,), (sbom,))
        (first,) = push(settings, image)
        (second,) = push(settings, image)
        store = repository(server.address, settings)
        subject = Layout(layout).read_image().descriptor
        (referrer,) = store.referrers(subject.digest)
        puts = [line for line in server.requests() if '"PUT ' in line and "/manifests/" in line]
        stored = store.get_manifest(str(referrer.descriptor.digest))
        assert stored is not None and json.loads(stored.data)["subject"]["digest"] == str(subject.digest)
        assert store.get_blob(replace(subject, digest=Digest.of(b"{}\n"), size=3)) == b"{}\n"
    assert referrer.artifact_type == "application/vnd.cyclonedx+json"
    assert [item.sent for item in first.attached] == [True] and second.nothing_sent
    assert [line.split("/manifests/")[1].split(" ")[0] for line in puts] == [
        str(subject.digest),
        str(referrer.descriptor.digest),
        referrers_tag(subject.digest),
        "28.0.0",
    ]


def test_tls_with_an_own_authority(tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings) -> None:
    layout = make_layout("image", "base")
    with registry(tmp_path / "registry", tls=True) as server:
        image = ImagePush(layout, name(server.address), (VERSION,))
        message = refusal(settings, image)
        folder = tmp_path / "etc/docker/certs.d" / server.address
        folder.mkdir(parents=True)
        shutil.copy(tmp_path / "registry/server.crt", folder / "ca.crt")
        (pushed,) = push(settings, image)
    # OpenSSL 3 writes 'self-signed' where older ones write 'self signed'.
    assert message.replace("self signed", "self-signed") == (
        f"The registry {server.address} has a certificate that is not trusted (self-signed certificate). Put its "
        f"certificate authority into /etc/docker/certs.d/{server.address}/ca.crt, or name it with SSL_CERT_FILE."
    )
    assert pushed.manifest_sent


def test_passwords(tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings) -> None:
    layout = make_layout("image", "base")
    with registry(tmp_path / "registry", password=True) as server:
        image = ImagePush(layout, name(server.address), (VERSION,))
        assert refusal(settings, image) == (
            f"Reading {image.repository}:28.0.0: {server.address} wants credentials, and there are none for "
            f"{image.repository}. Log in with 'docker login {server.address}'."
        )
        message = refusal(log_in(settings, server.address, "wr0ng"), image)
        assert message == (
            f"Reading {image.repository}:28.0.0: {server.address} refuses the credentials that are kept for "
            f"{image.repository}. They are wrong or have expired: log in again with 'docker login {server.address}'."
        )
        assert push(log_in(settings, server.address, PASSWORD), image)[0].manifest_sent


def test_a_registry_that_is_read_only(tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings) -> None:
    layout = make_layout("image", "base")
    with registry(tmp_path / "registry", read_only=True) as server:
        message = refusal(settings, ImagePush(layout, name(server.address), (VERSION,)))
        assert repository(server.address, settings).list_tags() == ()
    assert f"to {server.address}/c5c3/keystone: {server.address} takes nothing at the moment (405" in message
    assert message.endswith("it is read-only.")


def test_an_unreachable_registry(make_layout: MakeLayout, settings: RegistrySettings) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert refusal(replace(settings, first_pause=0.0), ImagePush(make_layout("image", "base"), name(address), (VERSION,))) == (
        f"The registry {address} cannot be reached: connection refused. Check its address, your network and proxy, and run "
        "the command again: what it has is not sent twice."
    )


def test_skopeo_reads_what_was_pushed(tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings) -> None:
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("skopeo is not installed: apt-get install skopeo")
    layout = make_layout("image", "base", "service")
    digest = Layout(layout).read_image().descriptor.digest
    with registry(tmp_path / "registry") as server:
        push(settings, ImagePush(layout, name(server.address), (VERSION,)))
        for reference in (":28.0.0", f"@{digest}"):
            source = f"docker://{server.address}/c5c3/keystone{reference}"
            said = subprocess.run(
                [skopeo, "inspect", "--tls-verify=false", source], check=True, capture_output=True, text=True
            ).stdout
            assert json.loads(said)["Digest"] == str(digest)
        copy = ["copy", "--src-tls-verify=false", "--insecure-policy", source, f"oci:{tmp_path / 'copy'}:1"]
        subprocess.run([skopeo, *copy], check=True, capture_output=True)
    assert Layout(tmp_path / "copy").read_image().descriptor.digest == digest


def test_a_blob_whose_sender_fails_is_sent_once_by_another_image(
    tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings
) -> None:
    broken, *others = (make_layout(text, "base", text) for text in ("broken", "two", "three"))
    base = Layout(broken).read_image().manifest.layers[0]
    Layout(broken).blob_path(base.digest).write_bytes(b"short")
    with registry(tmp_path / "registry") as server:
        images = [ImagePush(path, name(server.address, f"c5c3/{path.name}"), (VERSION,)) for path in (broken, *others)]
        told = {}
        pushed, errors = push_images(
            PushRequest(tuple(images)), settings, at_once=1, finished=lambda number, outcome: told.update({number: outcome})
        )
        assert repository(server.address, settings, "c5c3/broken").list_tags() == ()
    assert [image.repository for image in pushed] == [image.repository for image in images[1:]]
    assert [str(error) for error in errors] == [
        f"The blob {Layout(broken).blob_path(base.digest)} has 5 bytes, but the image says {base.size}. Make the image again."
    ]
    assert (told[0], told[1], told[2]) == (errors[0], *pushed)
    assert [base in image.blobs[Way.SENT] for image in pushed] == [True, False]
    assert base in pushed[1].blobs[Way.MOUNTED]
