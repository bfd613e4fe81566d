from __future__ import annotations

import json
from typing import Dict

import pytest

from imagekit.oci.index import Index
from imagekit.oci.json_document import DocumentError
from imagekit.oci.manifest import Manifest

#: The example of the image specification (manifest.md).
MANIFEST: Dict[str, object] = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": "sha256:b5b2b2c507a0944348e0303114d8d93aaaa081732b86451d9bce1f432a537bc7",
        "size": 7023,
    },
    "layers": [
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": "sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0",
            "size": 32654,
        },
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": "sha256:3c3a4604a545cdc127456d94e421cd355bca5b528f4a9c1905b15da2eb4a4c6b",
            "size": 16724,
        },
    ],
    "annotations": {"com.example.key1": "value1", "com.example.key2": "value2"},
}

#: The example of the image specification (image-index.md).
INDEX: Dict[str, object] = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.index.v1+json",
    "manifests": [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "size": 7143,
            "digest": "sha256:e692418e4cbaf90ca69d05a66403747baa33ee08806650b51fab815ad7fc331f",
            "platform": {"architecture": "ppc64le", "os": "linux"},
        },
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "size": 7682,
            "digest": "sha256:5b0bcabd1ed22e9fb1310cf6c2dec7cdef19f0ad69efa1f392e94a4333501270",
            "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"},
        },
    ],
    "annotations": {"com.example.key1": "value1"},
}


def test_manifest_round_trips_the_example_of_the_specification() -> None:
    manifest = Manifest.parse(json.dumps(MANIFEST).encode(), "manifest")
    rendered = manifest.render()
    assert json.loads(rendered) == MANIFEST
    assert Manifest.parse(rendered, "manifest") == manifest
    assert manifest.size == 7023 + 32654 + 16724 + len(rendered)


def test_index_round_trips_the_example_of_the_specification() -> None:
    index = Index.parse(json.dumps(INDEX).encode(), "index.json")
    rendered = index.render()
    assert json.loads(rendered) == INDEX
    assert Index.parse(rendered, "index.json") == index
    assert str(index.manifests[1].platform) == "linux/arm64/v8"


def test_manifest_refuses_other_versions() -> None:
    with pytest.raises(DocumentError) as error:
        Manifest.parse(b'{"schemaVersion": 1}', "manifest")
    assert str(error.value) == (
        "manifest: 'schemaVersion' is wrong: only version 2 is known. Make the image again as OCI image."
    )


def test_index_names_the_bad_digest() -> None:
    text = json.dumps(INDEX).replace("e692", "E692").encode()
    with pytest.raises(DocumentError) as error:
        Index.parse(text, "index.json")
    assert str(error.value).startswith("index.json: 'manifests[0].digest' is wrong: ")
