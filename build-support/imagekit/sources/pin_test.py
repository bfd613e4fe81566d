from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from imagekit.sources.pin import (
    GitPin,
    LockError,
    RefKind,
    SdistPin,
    SourceLock,
    check_source_lock,
    parse_source_lock,
    read_source_lock,
    render_source_lock,
    write_source_lock,
)
from imagekit.sources.refs import GitRef, Place, SdistRef

ORIGIN = "3rdparty/releases/2025.2/sources/keystone.json"
PLACE = Place("source-refs.yaml", 3)
REMEDY = "./build generate-lockfiles"
SDIST = SdistPin("keystone", "28.0.0", "keystone-28.0.0.tar.gz", 1780009, "53" * 32)
GIT = GitPin("keystone", "28.0.1.dev3", "https://git.example/keystone", "stable/2025.2", RefKind.BRANCH, "a5" * 20)
SDIST_REF = SdistRef("keystone", "keystone", "28.0.0", PLACE)
GIT_REF = GitRef("keystone", "keystone", "https://git.example/keystone", "stable/2025.2", PLACE)
SDIST_LOCK = SourceLock("keystone", "2025.2", SDIST)
GIT_LOCK = SourceLock("keystone", "2025.2", GIT)


def test_an_sdist_lock_is_readable() -> None:
    assert render_source_lock(SDIST_LOCK) == (
        "{\n"
        '  "component": "keystone",\n'
        '  "format": 1,\n'
        '  "release": "2025.2",\n'
        '  "sdist": {\n'
        '    "filename": "keystone-28.0.0.tar.gz",\n'
        '    "project": "keystone",\n'
        f'    "sha256": "{"53" * 32}",\n'
        '    "size": 1780009,\n'
        '    "version": "28.0.0"\n'
        "  }\n"
        "}\n"
    )


@pytest.mark.parametrize("lock", [SDIST_LOCK, GIT_LOCK])
def test_locks_survive_a_round_trip(lock: SourceLock, tmp_path: Path) -> None:
    assert parse_source_lock(render_source_lock(lock), ORIGIN) == lock

    write_source_lock(lock, tmp_path / "lock.json")
    assert read_source_lock(tmp_path / "lock.json") == lock
    assert [path.name for path in tmp_path.iterdir()] == ["lock.json"]


def changed(lock: SourceLock, kind: str, **fields: object) -> str:
    document = json.loads(render_source_lock(lock))
    document[kind].update(fields)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"format": 2}',
            f"{ORIGIN}: 'format' must be 1, but was 2.",
        ),
        (
            '{"format": 1, "component": "keystone", "release": "2025.2"}',
            f"{ORIGIN} must have either 'sdist' or 'git'.",
        ),
        (
            changed(SDIST_LOCK, "sdist", sha256="53"),
            f"{ORIGIN}: sdist: 'sha256' must be 64 hex digits, but was '53'.",
        ),
        (
            changed(SDIST_LOCK, "sdist", filename="../keystone-28.0.0.tar.gz"),
            f"{ORIGIN}: sdist: 'filename' must be that of a .tar.gz, but was '../keystone-28.0.0.tar.gz'.",
        ),
        (
            changed(SDIST_LOCK, "sdist", size="1"),
            f"{ORIGIN}: sdist: 'size' must be an integer, but was \"1\".",
        ),
        (
            changed(SDIST_LOCK, "sdist", url="https://index.example"),
            f"{ORIGIN}: sdist: unknown key 'url'. Known keys: filename, project, sha256, size, version.",
        ),
        (
            changed(GIT_LOCK, "git", commit="stable/2025.2"),
            f"{ORIGIN}: git: 'commit' must be 40 hex digits, but was 'stable/2025.2'.",
        ),
        (
            changed(GIT_LOCK, "git", ref_kind="head"),
            f"{ORIGIN}: git: 'ref_kind' must be one of tag, branch, commit, but was 'head'.",
        ),
    ],
)
def test_malformed_locks_are_refused(text: str, message: str) -> None:
    with pytest.raises(LockError) as error:
        parse_source_lock(text, ORIGIN)

    assert str(error.value) == message


def test_fresh_locks_pass() -> None:
    check_source_lock(SDIST_LOCK, SDIST_REF, "2025.2", ORIGIN, REMEDY)
    check_source_lock(GIT_LOCK, GIT_REF, "2025.2", ORIGIN, REMEDY)


@pytest.mark.parametrize(
    ("lock", "ref", "release", "difference"),
    [
        (
            SDIST_LOCK,
            replace(SDIST_REF, version="28.0.1"),
            "2025.2",
            "source-refs.yaml:3 wants keystone 28.0.1, but it pins 28.0.0",
        ),
        (
            SDIST_LOCK,
            replace(SDIST_REF, project="openstack-keystone"),
            "2025.2",
            "source-refs.yaml:3 wants the project 'openstack-keystone', but it pins 'keystone'",
        ),
        (
            SDIST_LOCK,
            replace(SDIST_REF, component="nova"),
            "2025.2",
            "it is the lock of 'keystone', not of 'nova'",
        ),
        (SDIST_LOCK, SDIST_REF, "2025.1", "it is the lock of release 2025.2, not of 2025.1"),
        (
            SDIST_LOCK,
            GIT_REF,
            "2025.2",
            "source-refs.yaml:3 wants a git repository of keystone, but it pins an sdist",
        ),
        (GIT_LOCK, SDIST_REF, "2025.2", "source-refs.yaml:3 wants the sdist of keystone, but it pins a git commit"),
        (
            GIT_LOCK,
            replace(GIT_REF, url="https://fork.example/keystone"),
            "2025.2",
            "source-refs.yaml:3 wants keystone from https://fork.example/keystone, but it pins "
            "https://git.example/keystone",
        ),
        (
            GIT_LOCK,
            replace(GIT_REF, ref="main"),
            "2025.2",
            "source-refs.yaml:3 wants 'main' of keystone, but it pins 'stable/2025.2'",
        ),
    ],
)
def test_stale_locks_are_refused(lock: SourceLock, ref: SdistRef | GitRef, release: str, difference: str) -> None:
    with pytest.raises(LockError) as error:
        check_source_lock(lock, ref, release, ORIGIN, REMEDY)

    assert str(error.value) == f"{ORIGIN} is stale: {difference}. Renew it with: {REMEDY}"
