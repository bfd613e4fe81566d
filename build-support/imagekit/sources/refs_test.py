from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.sources.refs import GitRef, Place, RefsError, SdistRef, parse_source_refs, read_source_refs

FILE = "3rdparty/releases/2025.2/source-refs.yaml"
COMMIT = "a568938e0c967a56ade269c93f42718008487b14"


def refusal(text: str) -> str:
    with pytest.raises(RefsError) as error:
        parse_source_refs(text, FILE)
    return str(error.value)


def test_every_form() -> None:
    text = f"""\
# the whole release
keystone: "28.0.0"
placement: {{ref: "14.0.0", project: openstack-placement}}
nova:
  git: https://git.example/nova
  ref: stable/2025.2
neutron: {{git: "git@git.example:neutron", ref: {COMMIT}}}
oslo.messaging: {{git: /srv/git/oslo.messaging, ref: refs/tags/17.1.0, project: oslo-messaging}}
"""

    assert parse_source_refs(text, FILE).refs == {
        "keystone": SdistRef("keystone", "keystone", "28.0.0", Place(FILE, 2)),
        "placement": SdistRef("placement", "openstack-placement", "14.0.0", Place(FILE, 3)),
        "nova": GitRef("nova", "nova", "https://git.example/nova", "stable/2025.2", Place(FILE, 6)),
        "neutron": GitRef("neutron", "neutron", "git@git.example:neutron", COMMIT, Place(FILE, 7)),
        "oslo.messaging": GitRef(
            "oslo.messaging", "oslo-messaging", "/srv/git/oslo.messaging", "refs/tags/17.1.0", Place(FILE, 8)
        ),
    }


@pytest.mark.parametrize("version", ["28.10", "28", "28.0.0.0rc1", "1.0.dev3", "1.0+local.1"])
def test_versions_are_read_as_written(version: str) -> None:
    assert parse_source_refs(f"keystone: {version}", FILE).refs["keystone"] == SdistRef(
        "keystone", "keystone", version, Place(FILE, 1)
    )


def test_an_empty_file_has_no_refs() -> None:
    assert parse_source_refs("# nothing yet\n", FILE).refs == {}


def test_a_missing_component_is_named_with_the_one_alike() -> None:
    with pytest.raises(RefsError) as error:
        parse_source_refs("keystone: 28.0.0", FILE).ref_of("keystonee")

    assert str(error.value) == (
        f"{FILE} has no ref for 'keystonee'. Did you mean 'keystone'? Add a line such as: keystonee: \"<version>\""
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("keystone: [1", f"{FILE}:1: this is not YAML: expected ',' or ']', but got '<stream end>'."),
        ("- keystone", f"{FILE}:1: expected lines of the form 'component: ref'."),
        ("keystone:", f"{FILE}:1: the ref of 'keystone' must be a text."),
        ("keystone: []", f"{FILE}:1: the ref of 'keystone' must be a text."),
        ("nova: 32.1.0\n\nnova: 32.2.0", f"{FILE}:3: 'nova' is there twice, first on line 1. Remove one."),
        (
            "../nova: 32.1.0",
            f"{FILE}:1: '../nova' is not the name of a component: use letters, digits, '.', '_' and '-'.",
        ),
        (
            "nova: stable/2025.2",
            f"{FILE}:1: the ref 'stable/2025.2' of 'nova' is not a version. A branch or a commit needs the repository: "
            'nova: {git: "<URL>", ref: "stable/2025.2"}',
        ),
        (
            "nova: v32.1.0",
            f"{FILE}:1: the ref 'v32.1.0' of 'nova' is not a version. A branch or a commit needs the repository: "
            'nova: {git: "<URL>", ref: "v32.1.0"}',
        ),
        (
            f"nova: {'1' * 40}",
            f"{FILE}:1: the ref '{'1' * 40}' of 'nova' is not a version. A branch or a commit needs the repository: "
            f'nova: {{git: "<URL>", ref: "{"1" * 40}"}}',
        ),
        (
            "nova:\n  ref: 32.1.0\n  url: https://git.example/nova",
            f"{FILE}:3: 'nova' has the unknown key 'url'. Known keys: git, project, ref.",
        ),
        (
            "glance-store: 5.2.0\nglance_store: 5.3.0",
            f"{FILE}:2: 'glance_store' is there twice, first on line 1. Remove one.",
        ),
        ("nova: {ref: 1, ref: 2}", f"{FILE}:1: 'nova' has the key 'ref' twice. Remove one."),
        (
            "nova: {git: https://git.example/nova}",
            f"{FILE}:1: 'nova' has no 'ref'. Add the version, tag, branch or commit.",
        ),
        ("nova: {ref: 1, project: a b}", f"{FILE}:1: 'a b' is not the name of a Python project."),
        (
            "nova: {git: https://git.example/nova, ref: stable..2025}",
            f"{FILE}:1: 'stable..2025' of 'nova' is not a git ref. Use a tag, a branch or a commit of 40 hex digits.",
        ),
        (
            "nova: {git: https://git.example/nova, ref: --upload-pack=x}",
            f"{FILE}:1: '--upload-pack=x' of 'nova' is not a git ref. Use a tag, a branch or a commit of 40 hex "
            "digits.",
        ),
        (
            "nova: {git: ../nova, ref: main}",
            f"{FILE}:1: '../nova' of 'nova' is not the URL of a git repository. Use https://, ssh://, git://, file://, "
            "user@host:path or an absolute path.",
        ),
        (
            "nova: {git: 'ext::sh -c id', ref: main}",
            f"{FILE}:1: 'ext::sh -c id' of 'nova' is not the URL of a git repository. Use https://, ssh://, git://, "
            "file://, user@host:path or an absolute path.",
        ),
        (
            "nova: {git: 'https://me:secret@git.example/nova', ref: main}",
            f"{FILE}:1: the URL of 'nova' holds a password. Remove it, and let git find it: in a credential helper or "
            "your netrc file.",
        ),
    ],
)
def test_wrong_lines_are_refused(text: str, message: str) -> None:
    assert refusal(text) == message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RefsError) as error:
        read_source_refs(tmp_path / "source-refs.yaml")

    assert str(error.value).startswith(f"The source refs {tmp_path}/source-refs.yaml cannot be read: ")
