from __future__ import annotations

import pytest

from imagekit.sources.manifest import with_manifest
from imagekit.sources.tree import SourceFile, SourceLink, SourceTree

SETUP_PY = SourceFile(b"import setuptools\n\nsetuptools.setup(setup_requires=['pbr'], pbr=True)\n")
SETUP_CFG = SourceFile(b"[metadata]\nname = openstack-placement\ndescription_file =\n    README.rst\n")
PYPROJECT = SourceFile(
    b'[build-system]\nrequires = ["pbr"]\nbuild-backend = "pbr.build"\n\n[project]\nversion = "1"\n'
    b'name = "oslo.messaging"\n\n[[project.authors]]\nname = "x"\n'
)
MODULE = SourceFile(b"")


def listed(tree: SourceTree, path: str) -> list[str]:
    entry = tree[path]
    assert isinstance(entry, SourceFile)
    return entry.content.decode().splitlines()


@pytest.mark.parametrize("path", ["keystone.egg-info/SOURCES.txt", "src/keystone.egg-info/SOURCES.txt"])
def test_the_list_of_an_sdist_follows_the_patches(path: str) -> None:
    original = {path: SourceFile(b"b.py\nold.txt\nsetup.py\n"), "b.py": MODULE, "old.txt": MODULE, "setup.py": SETUP_PY}
    patched = {path: original[path], "a.ini": MODULE, "b.py": SourceFile(b"changed"), "setup.py": SETUP_PY}

    tree = with_manifest(original, patched)

    assert listed(tree, path) == ["a.ini", "b.py", "setup.py"]
    assert {name: entry for name, entry in tree.items() if name != path} == {
        name: entry for name, entry in patched.items() if name != path
    }


def test_the_list_of_an_sdist_stays_while_no_file_comes_or_goes() -> None:
    # Not even sorted: the tree of an sdist without patches is the sdist's.
    original = {"a.egg-info/SOURCES.txt": SourceFile(b"z\na\n"), "a": MODULE, "z": MODULE}

    assert with_manifest(original, original) == original


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"setup.py": SETUP_PY, "setup.cfg": SETUP_CFG}, "openstack_placement.egg-info/SOURCES.txt"),
        ({"pyproject.toml": PYPROJECT}, "oslo.messaging.egg-info/SOURCES.txt"),
        ({"pyproject.toml": PYPROJECT, "setup.cfg": SETUP_CFG}, "openstack_placement.egg-info/SOURCES.txt"),
    ],
)
def test_a_tree_from_git_gets_a_list(tree: SourceTree, path: str) -> None:
    tree = {**tree, "p/migrations/script.mako": MODULE, "link": SourceLink("p")}

    completed = with_manifest(tree, tree)

    assert completed == {**tree, path: completed[path]}
    assert listed(completed, path) == sorted([*tree, path])


@pytest.mark.parametrize(
    "tree",
    [
        {"go.mod": MODULE},
        {"setup.py": SourceFile(b"import setuptools"), "setup.cfg": SETUP_CFG},
        {"setup.py": SETUP_PY, "setup.cfg": SourceFile(b"name")},
        {"setup.py": SETUP_PY},
    ],
)
def test_other_trees_stay_as_they_are(tree: SourceTree) -> None:
    assert with_manifest(tree, tree) == tree
