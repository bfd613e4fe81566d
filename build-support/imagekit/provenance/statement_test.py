from __future__ import annotations

import json
from dataclasses import replace
from typing import Mapping

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1 import statement
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement_pb2 import Statement

from imagekit.oci.digest import Digest
from imagekit.provenance.resource import Algorithm, Resource, packages, source, tree_file
from imagekit.provenance.statement import BUILD_TYPE, ImageBuild, render_provenance
from imagekit.python.lock import Artifact, SelectedPackage
from imagekit.sources.pin import GitPin, RefKind, SdistPin

COMMIT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
SDIST = SdistPin("keystone", "28.0.0", "keystone-28.0.0.tar.gz", 10, "5" * 64)
LOCK = tree_file("3rdparty/releases/2025.2/locks/keystone.lock.json", b"{}\n")
BUILD = ImageBuild(
    image="keystone",
    digest=Digest.parse("sha256:" + "1" * 64),
    target="services/keystone#image@release=2025.2",
    release="2025.2",
    architecture="amd64",
    compression="zstd",
    compression_level=9,
    builder="https://ci.example/builders/1",
    commit=COMMIT,
    why_no_commit="",
    inputs=(source(SDIST), LOCK),
)


def parsed(build: ImageBuild) -> "tuple[Statement, Provenance]":
    """What ``build`` renders to, read by in-toto's own types: they refuse fields that they do not know."""
    data: Mapping[str, object] = json.loads(render_provenance(build))
    return json_format.ParseDict(data, Statement()), json_format.ParseDict(data["predicate"], Provenance())


def test_the_statement_is_what_in_toto_and_slsa_ask_for() -> None:
    read, provenance = parsed(BUILD)
    statement.Statement.copy_from_pb(read).validate()
    assert read.predicate_type == "https://slsa.dev/provenance/v1"
    assert [(subject.name, dict(subject.digest)) for subject in read.subject] == [("keystone", {"sha256": "1" * 64})]
    definition = provenance.build_definition
    # What SLSA provenance v1 requires.
    assert definition.build_type == BUILD_TYPE
    assert provenance.run_details.builder.id == "https://ci.example/builders/1"
    assert json_format.MessageToDict(definition.external_parameters) == {
        "target": "services/keystone#image@release=2025.2",
        "release": "2025.2",
        "compression": {"algorithm": "zstd", "level": 9},
    }
    for descriptor in definition.resolved_dependencies:
        ResourceDescriptor.copy_from_pb(descriptor).validate()


def test_each_input_is_there_once_after_the_commit() -> None:
    _, provenance = parsed(replace(BUILD, inputs=(*BUILD.inputs, LOCK)))
    dependencies = provenance.build_definition.resolved_dependencies
    assert [(item.name, item.uri, dict(item.digest)) for item in dependencies] == [
        ("c5c3-images", "", {"gitCommit": COMMIT}),
        (LOCK.name, "", {"sha256": LOCK.digest}),
        (
            "keystone-28.0.0.tar.gz",
            "pkg:pypi/keystone@28.0.0?file_name=keystone-28.0.0.tar.gz",
            {"sha256": "5" * 64},
        ),
    ]


def test_a_tree_without_a_commit_says_why() -> None:
    _, provenance = parsed(replace(BUILD, commit=None, why_no_commit="this tree has changes"))
    assert "c5c3-images" not in [item.name for item in provenance.build_definition.resolved_dependencies]
    assert json_format.MessageToDict(provenance.build_definition.internal_parameters) == {
        "architecture": "amd64",
        "noCommit": "this tree has changes",
    }


def test_the_same_build_gives_the_same_bytes_in_any_order() -> None:
    assert render_provenance(BUILD) == render_provenance(replace(BUILD, inputs=(LOCK, source(SDIST))))


@pytest.mark.parametrize("change", [{"commit": "1" * 40}, {"compression_level": 3}, {"inputs": (LOCK,)}])
def test_another_build_gives_other_bytes(change: "dict[str, object]") -> None:
    assert render_provenance(BUILD) != render_provenance(replace(BUILD, **change))


def test_a_source_from_git_is_held_by_its_commit() -> None:
    pin = GitPin("keystone", "28.0.1.dev3", "https://git.example/keystone", "stable/2025.2", RefKind.BRANCH, COMMIT)
    assert source(pin) == Resource(
        "keystone", Algorithm.GIT_COMMIT, COMMIT, "git+https://git.example/keystone@stable/2025.2"
    )


def test_packages_come_with_what_their_builds_need() -> None:
    wheel = SelectedPackage("pbr", "7.0.1", Artifact("pbr-7.0.1-py2.py3-none-any.whl", 1, "2" * 64))
    sdist = SelectedPackage("python-ldap", "3.4.4", Artifact("python-ldap-3.4.4.tar.gz", 1, "3" * 64), (wheel,))
    patched = SelectedPackage("oslo-messaging", "17.1.0", None, (wheel,), component="oslo.messaging")
    assert [(item.name, item.digest) for item in packages((sdist, patched))] == [
        ("python-ldap-3.4.4.tar.gz", "3" * 64),
        ("pbr-7.0.1-py2.py3-none-any.whl", "2" * 64),
        ("pbr-7.0.1-py2.py3-none-any.whl", "2" * 64),
    ]
