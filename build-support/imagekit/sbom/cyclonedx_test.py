from __future__ import annotations

import json
from dataclasses import replace
from typing import Dict

import pytest

from imagekit.sbom.contents import (
    DebContent,
    ImageContents,
    Json,
    OverrideContent,
    PatchContent,
    PythonContent,
    SourceContent,
    parse_contents,
)
from imagekit.sbom.cyclonedx import Descriptions, ImageIdentity, SbomError, render_sbom, sbom
from imagekit.sbom.descriptions import DebDescription, WheelDescription
from imagekit.sbom.licences import UNKNOWN, Licence

PATCH = b"""From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A Maintainer <a@example.org>
Date: Wed, 5 Nov 2025 09:00:00 +0000
Subject: [PATCH] Mend it

Why.

Closes-Bug: #2000001
---
diff --git a/k/a.py b/k/a.py
--- a/k/a.py
+++ b/k/a.py
@@ -1 +1 @@
-a
+b
"""
IMAGE = ImageIdentity("keystone", "28.0.0-p1", "sha256:" + "1" * 64)
CONTENTS = ImageContents(
    architecture="amd64",
    distribution="bookworm",
    python="3.11",
    requested=("libxml2",),
    requirements=("keystone[ldap]",),
    debs=(
        DebContent("libc6", "2.36-9+deb12u13", "amd64", "pool/main/g/glibc/libc6_2.36_amd64.deb", "a" * 64),
        DebContent("libxml2", "1:2.9~rc1+dfsg-1", "amd64", "pool/main/libx/libxml2_2.9_amd64.deb", "b" * 64),
    ),
    distributions=(
        PythonContent(
            "keystone",
            "28.0.0",
            source=SourceContent(
                "keystone", "2025.2", "keystone-28.0.0.tar.gz", "c" * 64, patches=(PatchContent("p/1.patch", "d" * 64),)
            ),
        ),
        PythonContent("ldappool", "3.0.0", "ldappool-3.0.0.tar.gz", "e" * 64),
        PythonContent(
            "pyasn1",
            "0.6.4",
            "pyasn1-0.6.4-py3-none-any.whl",
            "f" * 64,
            override=OverrideContent("0.6.1", "0.6.4", "CVE-2026-30922: größer"),
        ),
    ),
    left_out=("unit tests of keystone",),
)


def _wheel(name: str, version: str, *requires: str, licence: Licence = UNKNOWN) -> WheelDescription:
    filename = f"{name}-{version}-py3-none-any.whl"
    return WheelDescription(name, version, filename, "9" * 64, "", "", (), requires, licence)


DESCRIPTIONS = Descriptions(
    debs={
        "libc6": DebDescription("libc6", "C", "GNU Libc <libc@example.org>", "", "glibc", (), (), Licence("LGPL-2.1-or-later")),
        "libxml2": DebDescription(
            "libxml2", "XML", "Jörg <nobody at all>", "https://example.org/a b", "libxml2", (("gone", "libc6"),), (), UNKNOWN, "libc6"
        ),
    },
    wheels=(
        _wheel("keystone", "28.0.0", 'ldappool>=2 ; extra == "ldap"', "not a requirement ==", licence=Licence("Apache-2.0")),
        _wheel("ldappool", "3.0.0", "pyasn1", 'pywin32 ; sys_platform == "win32"', licence=Licence(names=("MPL/GPL/LGPL",))),
        _wheel("pyasn1", "0.6.4"),
    ),
    patches={"p/1.patch": PATCH},
)


def _component(name: str) -> Dict[str, Json]:
    components = sbom(IMAGE, CONTENTS, DESCRIPTIONS)["components"]
    assert isinstance(components, list)
    (found,) = (item for item in components if isinstance(item, dict) and item["name"] == name)
    return found


def test_the_same_contents_give_the_same_bytes_and_another_image_another_serial_number() -> None:
    first = render_sbom(IMAGE, CONTENTS, DESCRIPTIONS)
    assert first == render_sbom(IMAGE, CONTENTS, DESCRIPTIONS)
    other = sbom(replace(IMAGE, digest="sha256:" + "2" * 64), CONTENTS, DESCRIPTIONS)
    assert other["serialNumber"] != json.loads(first)["serialNumber"]


def test_the_service_is_an_application_and_a_patched_library_is_none() -> None:
    source = SourceContent("pyasn1", "2025.2", "pyasn1-0.6.4.tar.gz", "c" * 64)
    *others, pyasn1 = CONTENTS.distributions
    contents = replace(CONTENTS, distributions=(*others, replace(pyasn1, artifact=None, sha256=None, source=source)))
    components = sbom(IMAGE, contents, DESCRIPTIONS)["components"]
    assert isinstance(components, list)
    kinds = {item["name"]: item["type"] for item in components if isinstance(item, dict)}
    assert (kinds["keystone"], kinds["pyasn1"]) == ("application", "library")


def test_debian_versions_are_encoded_in_package_urls() -> None:
    assert _component("libxml2")["purl"] == "pkg:deb/debian/libxml2@1:2.9~rc1%2Bdfsg-1?arch=amd64&distro=bookworm"


def test_a_patch_is_in_the_pedigree_with_its_text_and_what_it_resolves() -> None:
    pedigree = _component("keystone")["pedigree"]
    assert isinstance(pedigree, dict) and isinstance(pedigree["patches"], list)
    assert pedigree["patches"] == [
        {
            "type": "unofficial",
            "diff": {"text": {"contentType": "text/x-diff", "content": PATCH[PATCH.index(b"diff") :].decode()}},
            "resolves": [
                {
                    "type": "defect",
                    "id": "LP#2000001",
                    "source": {"name": "Launchpad", "url": "https://bugs.launchpad.net/bugs/2000001"},
                }
            ],
        }
    ]
    assert pedigree["notes"] == "p/1.patch: Mend it"


def test_an_override_says_old_new_and_reason() -> None:
    properties = _component("pyasn1")["properties"]
    assert isinstance(properties, list)
    assert {
        "name": "c5c3:constraint-override",
        "value": '{"new": "0.6.4", "old": "0.6.1", "reason": "CVE-2026-30922: größer"}',
    } in properties


def test_files_of_a_wheel_that_are_not_installed_are_recorded() -> None:
    wheels = [replace(wheel, left_out=(f"{wheel.name}/tests/ (2 files)",)) for wheel in DESCRIPTIONS.wheels]
    components = sbom(IMAGE, CONTENTS, replace(DESCRIPTIONS, wheels=wheels))["components"]
    assert isinstance(components, list)
    found = [item["properties"] for item in components if isinstance(item, dict) and item["name"] == "ldappool"]
    assert found == [
        [
            {"name": "c5c3:artifact", "value": "ldappool-3.0.0-py3-none-any.whl"},
            {"name": "c5c3:left-out", "value": "ldappool/tests/ (2 files)"},
        ]
    ]


def test_a_licence_is_an_expression_or_a_name_or_absent() -> None:
    assert _component("keystone")["licenses"] == [{"expression": "Apache-2.0", "acknowledgement": "declared"}]
    assert _component("ldappool")["licenses"] == [{"license": {"name": "MPL/GPL/LGPL", "acknowledgement": "declared"}}]
    assert "licenses" not in _component("pyasn1")
    # Its documentation is that of another package.
    assert _component("libxml2")["licenses"] == [{"expression": "LGPL-2.1-or-later", "acknowledgement": "declared"}]


def test_edges_follow_extras_markers_and_alternatives() -> None:
    entries = sbom(IMAGE, CONTENTS, DESCRIPTIONS)["dependencies"]
    assert isinstance(entries, list)
    edges = {item["ref"]: item.get("dependsOn", []) for item in entries if isinstance(item, dict)}
    image, = (ref for ref in edges if str(ref).startswith("pkg:oci/"))
    libc6 = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=bookworm"
    libxml2 = "pkg:deb/debian/libxml2@1:2.9~rc1%2Bdfsg-1?arch=amd64&distro=bookworm"
    assert edges == {
        image: [libxml2, "pkg:pypi/keystone@28.0.0"],
        libc6: [],
        libxml2: [libc6],
        "pkg:pypi/keystone@28.0.0": ["pkg:pypi/ldappool@3.0.0"],
        "pkg:pypi/ldappool@3.0.0": ["pkg:pypi/pyasn1@0.6.4"],
        "pkg:pypi/pyasn1@0.6.4": [],
    }


def test_what_is_locked_and_not_described_is_refused() -> None:
    with pytest.raises(SbomError) as refused:
        sbom(IMAGE, CONTENTS, replace(DESCRIPTIONS, wheels=DESCRIPTIONS.wheels[1:]))
    assert str(refused.value) == "the Python distribution keystone of the lock is not described. Build the image again."


def test_contents_survive_being_written() -> None:
    assert parse_contents(json.dumps(CONTENTS.to_json()), "contents.json") == CONTENTS
