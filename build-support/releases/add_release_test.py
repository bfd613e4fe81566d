from __future__ import annotations

import re
from pathlib import Path
from typing import Dict

import pytest

from releases.add_release import NewRelease, ReleaseError, add_release, main, releases_in, with_release

PRELUDE = '# Oldest first.\nRELEASES = ("2025.1", "2025.2")\n'
REFS = '# What OpenStack 2025.2 is built from: stable/2025.2\nkeystone: "28.0.0"\nplacement: {ref: "14.0.0"}\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for release in ("2025.1", "2025.2"):
        folder = root / "3rdparty/releases" / release
        (folder / "locks").mkdir(parents=True)
        (folder / "locks/keystone.lock.json").write_text("{}")
        (folder / "source-refs.yaml").write_text(REFS.replace("2025.2", release))
        (folder / "constraint-overrides.txt").write_text("pyasn1===0.6.4\n")
    (root / "build-support/prelude").mkdir(parents=True)
    (root / "build-support/prelude/releases.py").write_text(PRELUDE)
    return root


@pytest.fixture
def constraints(tmp_path: Path) -> Path:
    path = tmp_path / "upper-constraints.txt"
    path.write_text("oslo.config===10.0.0\n")
    return path


def files(root: Path) -> Dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_a_release_gets_a_folder_and_a_place_and_nothing_else_changes(tree: Path, constraints: Path) -> None:
    before = files(tree)
    assert add_release(tree, NewRelease("2026.1", "2025.2", constraints)) == ("keystone", "placement")
    after = files(tree)
    new = {path: after.pop(path) for path in list(after) if path.startswith("3rdparty/releases/2026.1/")}
    assert {Path(path).name for path in new} == {
        "BUILD",
        "source-refs.yaml",
        "upper-constraints.txt",
        "constraint-overrides.txt",
    }
    assert new["3rdparty/releases/2026.1/BUILD"] == 'openstack_release(name="2026.1", release="2026.1")\n'
    assert new["3rdparty/releases/2026.1/source-refs.yaml"] == REFS.replace("2025.2", "2026.1")
    assert new["3rdparty/releases/2026.1/upper-constraints.txt"] == "oslo.config===10.0.0\n"
    assert "pyasn1" not in new["3rdparty/releases/2026.1/constraint-overrides.txt"]
    assert after.pop("build-support/prelude/releases.py") == (
        '# Oldest first.\nRELEASES = ("2025.1", "2025.2", "2026.1")\n'
    )
    before.pop("build-support/prelude/releases.py")
    assert after == before


def test_releases_are_in_order_of_their_numbers() -> None:
    assert releases_in(with_release(PRELUDE, "2024.10")) == ("2024.10", "2025.1", "2025.2")
    assert with_release("RELEASES = ()\n", "2025.2") == 'RELEASES = ("2025.2",)\n'


@pytest.mark.parametrize(
    ("name", "like", "message"),
    [
        ("../x", "2025.2", "'../x' is not the name of a release. Give one like 2026.2."),
        (
            "2025.1",
            "2025.2",
            "3rdparty/releases/2025.1 exists already. Edit it, or remove it first: see docs/releases.md.",
        ),
        ("2026.1", "2024.2", "--like: there is no release '2024.2' to copy from. This tree has: 2025.1, 2025.2."),
    ],
)
def test_what_cannot_be_made_is_refused(tree: Path, constraints: Path, name: str, like: str, message: str) -> None:
    before = files(tree)
    with pytest.raises(ReleaseError, match=f"^{re.escape(message)}$"):
        add_release(tree, NewRelease(name, like, constraints))
    assert files(tree) == before


def test_a_file_that_is_no_constraints_is_refused(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    page.write_text("<html>")
    before = files(tree)
    assert main(["2026.1", "--like=2025.2", f"--constraints={page}", f"--tree={tree}"]) == 1
    assert capsys.readouterr().err == (
        f"add-release: error: --constraints: {page} has no line like oslo.config===10.0.0. Give the "
        "upper-constraints.txt of the release's branch of openstack/requirements.\n"
    )
    gone = tmp_path / "gone.txt"
    assert main(["2026.1", "--like=2025.2", f"--constraints={gone}", f"--tree={tree}"]) == 1
    assert capsys.readouterr().err == (
        f"add-release: error: --constraints: {gone} cannot be read: No such file or directory.\n"
    )
    assert files(tree) == before


def test_the_command_says_what_to_do_next(tree: Path, constraints: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["2026.1", "--like=2025.2", f"--constraints={constraints}", f"--tree={tree}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    review = "the versions are still those of 2025.2; take out what you do not build for 2026.1"
    assert f"  3rdparty/releases/2026.1/source-refs.yaml: {review}" in lines
    assert "  ./pants generate-lockfiles --resolve=2026.1/placement" in lines
