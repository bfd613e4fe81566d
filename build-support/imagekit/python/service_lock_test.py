from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

import pytest

from imagekit.python.backend import Metadata, SourceTree, parse_metadata
from imagekit.python.constraints import Constraints, parse_upper_constraints
from imagekit.python.lock import Artifact, LockedPackage, LockError, PythonLock, RootPackage
from imagekit.python.service_lock import Locker, LockRequest, own_extras, resolvable_requirements
from imagekit.python.target import OLDEST_GLIBC, TargetPython
from imagekit.sandbox.bwrap import Finished

CONSTRAINTS = parse_upper_constraints("Keystone===27.0.0\npbr===7.0.1\nbcrypt===4.0.1\n", "upper-constraints.txt")
OWN = parse_metadata(
    "Name: keystone\nVersion: 28.0.0\nProvides-Extra: ldap\nProvides-Extra: test\n"
    "Requires-Dist: bcrypt\nRequires-Dist: python-ldap; extra == 'ldap'\nRequires-Dist: hacking; extra == 'test'\n"
)
REQUEST = LockRequest(
    release="2025.2",
    service="keystone",
    requirements=("keystone[ldap]", "uwsgi"),
    source=SourceTree("keystone", "28.0.0", Path("source.tar")),
    constraints=CONSTRAINTS,
    pythons=("3.11", "3.12"),
)
FILES: Mapping[str, Tuple[str, ...]] = {
    "bcrypt": ("bcrypt-4.0.1-py3-none-any.whl", "bcrypt-4.0.1.tar.gz"),
    "hatchling": ("hatchling-1-py3-none-any.whl",),
    "keystone": (),
    "pbr": ("pbr-7.0.1-py2.py3-none-any.whl",),
    "python-ldap": ("python_ldap-3.4.4.tar.gz",),
    "setuptools": ("setuptools-80.9.0-py3-none-any.whl",),
    "uwsgi": ("uwsgi-2.0.31.tar.gz",),
}
VERSIONS = {"bcrypt": "4.0.1", "hatchling": "1", "pbr": "7.0.1", "python-ldap": "3.4.4", "setuptools": "80.9.0", "uwsgi": "2.0.31"}


class FakeUv:
    """Resolves every name to the one version that it has, and the service's own wheel to what that requires."""

    def __init__(self) -> None:
        self.requirements: List[List[str]] = []
        self.constraints: List[str] = []
        self.preferences: List[str] = []

    def __call__(self, arguments: Sequence[str], variables: Mapping[str, str], folder: Path) -> Finished:
        lines = (folder / "requirements.in").read_text().splitlines()
        self.requirements.append(list(lines))
        self.constraints.append((folder / "constraints.txt").read_text())
        previous = folder / "pylock.toml"
        self.preferences.append(previous.read_text() if previous.exists() else "")
        text = ""
        for line in lines:
            name = line.partition(" @ ")[0].partition("[")[0].partition(">")[0]
            if name == "keystone":
                text += '[[packages]]\nname = "keystone"\nversion = "28.0.0"\n'
                lines += ["bcrypt", "python-ldap"]
                continue
            wheels = ", ".join(self._file(file) for file in FILES[name] if file.endswith(".whl"))
            sdists = [self._file(file) for file in FILES[name] if file.endswith(".tar.gz")]
            text += f'[[packages]]\nname = "{name}"\nversion = "{VERSIONS[name]}"\nwheels = [{wheels}]\n'
            text += "".join(f"sdist = {sdist}\n" for sdist in sdists)
        (folder / "pylock.toml").write_text(text)
        return Finished(0, "", "")

    @staticmethod
    def _file(name: str) -> str:
        return f'{{ url = "https://index.example/{name}", size = 1, hashes = {{ sha256 = "{"0" * 64}" }} }}'


@dataclass
class FakeBackends:
    """Keystone needs pbr, uwsgi names nothing but turns out to need setuptools, python-ldap names setuptools."""

    asked: List[Tuple[str, Tuple[str, ...]]]

    static: Mapping[str, Tuple[str, ...]]

    def static_requires(self, tree: SourceTree) -> Tuple[str, ...]:
        return self.static[tree.name]

    def all_requires(self, tree: SourceTree, wheels: Tuple[Path, ...]) -> Tuple[str, ...]:
        self.asked.append((tree.name, tuple(wheel.name for wheel in wheels)))
        return self.static[tree.name] + (("setuptools",) if tree.name == "uwsgi" else ())

    def metadata(self, tree: SourceTree, wheels: Tuple[Path, ...]) -> Metadata:
        self.asked.append((tree.name, tuple(wheel.name for wheel in wheels)))
        return OWN


def locker(tmp_path: Path, uv: FakeUv, asked: List[Tuple[str, Tuple[str, ...]]]) -> Locker:
    def fetch(project: str, artifact: Artifact, into: Path) -> Path:
        path = into / artifact.filename
        path.write_text(project)
        return path

    static: Dict[str, Tuple[str, ...]] = {"keystone": ("pbr>=6",), "python-ldap": ("setuptools",), "uwsgi": ()}
    target = TargetPython("3.11", OLDEST_GLIBC, "x86_64")
    return Locker(uv, {}, FakeBackends(asked, static), target, fetch, tmp_path)


def artifact(filename: str) -> Artifact:
    return Artifact(filename, 1, "0" * 64)


def test_a_service_is_locked_with_what_its_sdists_need(tmp_path: Path) -> None:
    uv, asked = FakeUv(), []  # type: FakeUv, List[Tuple[str, Tuple[str, ...]]]
    setuptools = LockedPackage("setuptools", "80.9.0", wheels=(artifact("setuptools-80.9.0-py3-none-any.whl"),))
    pbr = LockedPackage(
        "pbr", "7.0.1", constraints=("pbr===7.0.1",), wheels=(artifact("pbr-7.0.1-py2.py3-none-any.whl"),)
    )
    assert locker(tmp_path, uv, asked).lock(REQUEST) == PythonLock(
        release="2025.2",
        service="keystone",
        python=("3.11", "3.12"),
        requirements=("keystone[ldap]", "uwsgi"),
        root=RootPackage("keystone", "28.0.0", ("bcrypt", "python-ldap; extra == 'ldap'"), (pbr,)),
        packages=(
            LockedPackage("uwsgi", "2.0.31", sdist=artifact("uwsgi-2.0.31.tar.gz"), build_requires=(setuptools,)),
            LockedPackage(
                "bcrypt", "4.0.1", constraints=("bcrypt===4.0.1",), wheels=(artifact("bcrypt-4.0.1-py3-none-any.whl"),)
            ),
            LockedPackage(
                "python-ldap", "3.4.4", sdist=artifact("python_ldap-3.4.4.tar.gz"), build_requires=(setuptools,)
            ),
        ),
    )
    # What two builds require in the same words is resolved once.
    assert uv.requirements == [
        ["pbr>=6"],
        ["keystone[ldap] @ ./input/keystone-28.0.0-py3-none-any.whl", "uwsgi"],
        ["setuptools"],
    ]
    assert asked == [
        ("keystone", ("pbr-7.0.1-py2.py3-none-any.whl",)),
        ("keystone", ("pbr-7.0.1-py2.py3-none-any.whl",)),
        ("uwsgi", ()),
        ("python-ldap", ("setuptools-80.9.0-py3-none-any.whl",)),
    ]


def test_a_package_built_from_source_does_not_meet_its_own_pin(tmp_path: Path) -> None:
    uv = FakeUv()
    locker(tmp_path, uv, []).lock(REQUEST)
    assert set(uv.constraints) == {"bcrypt===4.0.1\npbr===7.0.1\n"}


def test_versions_that_nothing_pins_stay_as_they_were(tmp_path: Path) -> None:
    first, second = FakeUv(), FakeUv()
    previous = locker(tmp_path, first, []).lock(REQUEST)
    assert locker(tmp_path, second, []).lock(REQUEST, previous) == previous
    assert all('name = "uwsgi"\nversion = "2.0.31"\n' in text for text in second.preferences)
    assert first.preferences == ["", "", ""]


def requirements(*texts: str, own: Metadata = OWN) -> Tuple[str, ...]:
    return resolvable_requirements(replace(REQUEST, requirements=texts), own, Path("input/k.whl"))


def test_the_service_itself_is_resolved_from_its_own_metadata() -> None:
    assert requirements("Keystone[test,ldap]", "uwsgi>=2") == ("Keystone[ldap,test] @ ./input/k.whl", "uwsgi>=2")
    assert own_extras(replace(REQUEST, requirements=("Keystone[test,ldap]", "uwsgi[x]"))) == ("ldap", "test")


@pytest.mark.parametrize(
    "given, message",
    [
        (
            ("keystone[ladp]",),
            "the lock of keystone 2025.2: keystone 28.0.0 has no extra 'ladp'. Its extras are: ldap, test. Name one of "
            "them, or none.",
        ),
        (
            ("uwsgi",),
            "the lock of keystone 2025.2: none of its requirements (uwsgi) is keystone. Add it.",
        ),
        (
            ("keystone", "uwsgi @ https://example.org/uwsgi.tar.gz"),
            "the lock of keystone 2025.2: 'uwsgi @ https://example.org/uwsgi.tar.gz' names a URL. "
            "Require a version of a package index: uwsgi.",
        ),
    ],
)
def test_requirements_that_cannot_be_locked_are_refused(given: Sequence[str], message: str) -> None:
    with pytest.raises(LockError) as refusal:
        requirements(*given)
    assert str(refusal.value) == message


def test_a_requirement_that_is_none_is_refused() -> None:
    with pytest.raises(LockError) as refusal:
        requirements("keystone", "uwsgi latest")
    assert str(refusal.value).startswith("the lock of keystone 2025.2: 'uwsgi latest' is not a requirement (PEP 508): ")


def test_a_project_without_extras_says_so() -> None:
    with pytest.raises(LockError) as refusal:
        requirements("keystone[ldap]", own=replace(OWN, extras=()))
    assert str(refusal.value) == (
        "the lock of keystone 2025.2: keystone 28.0.0 has no extra 'ldap'. It has none: name none."
    )


def test_constraints_may_be_empty(tmp_path: Path) -> None:
    uv = FakeUv()
    locker(tmp_path, uv, []).lock(replace(REQUEST, constraints=Constraints("", ())))
    assert set(uv.constraints) == {""}
