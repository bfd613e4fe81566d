"""SBOMs against the images that they are of, and against the schema of CycloneDX 1.6."""

from __future__ import annotations

import email.parser
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import FrozenSet, Iterator, Tuple
from urllib.parse import parse_qs

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from imagekit.debian.control import parse_stanzas
from imagekit.fetch.json_record import JsonRecord, parse_json_record
from imagekit.oci.layout import Layout
from imagekit.oci.unpack import unpack_image
from packaging.utils import canonicalize_name

LAYOUTS = sorted(path.parent for path in Path("images").glob("*/*/oci-layout"))


@dataclass(frozen=True)
class PackedImage:
    """An image: its layout, its SBOM, and its files below ``root``."""

    layout: Layout
    sbom: JsonRecord
    root: Path

    def components(self, kind: str) -> Tuple[JsonRecord, ...]:
        """The components whose package URLs are of ``kind``."""
        return tuple(item for item in self.sbom.records("components") if item.text("purl").startswith(f"pkg:{kind}/"))


@dataclass(frozen=True)
class InstalledDeb:
    name: str
    version: str
    architecture: str


@dataclass(frozen=True)
class InstalledDistribution:
    name: str
    version: str


def _sbom_file(layout: Path) -> Path:
    return Path(f"{layout}.cdx.json")


@pytest.fixture(scope="module", params=LAYOUTS, ids=str)
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackedImage]:
    layout = Layout(request.param)
    root = tmp_path_factory.mktemp("image") / "root"
    unpack_image(layout, layout.read_image(), root, owners=False)
    file = _sbom_file(request.param)
    yield PackedImage(layout, parse_json_record(file.read_text(encoding="utf-8"), str(file)), root)
    shutil.rmtree(root)


def test_there_are_images_to_look_at() -> None:
    assert LAYOUTS


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_the_sbom_is_valid_against_the_schema(layout: Path) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(_sbom_file(layout).read_text(encoding="utf-8")) is None


def test_the_sbom_is_of_this_image(image: PackedImage) -> None:
    component = image.sbom.record("metadata").record("component")
    assert [item.text("content") for item in component.records("hashes")] == [
        image.layout.read_image().descriptor.digest.hex
    ]


def test_the_debian_packages_are_those_that_dpkg_knows(image: PackedImage) -> None:
    stated = [
        InstalledDeb(item.text("name"), item.text("version"), _architecture(item.text("purl")))
        for item in image.components("deb")
    ]
    assert len(stated) == len(set(stated))
    assert frozenset(stated) == _installed_debs(image.root)


def test_the_python_distributions_are_those_of_the_virtual_environment(image: PackedImage) -> None:
    stated = [InstalledDistribution(item.text("name"), item.text("version")) for item in image.components("pypi")]
    assert len(stated) == len(set(stated))
    assert frozenset(stated) == _installed_distributions(image.root)


def test_each_component_is_a_debian_package_or_a_python_distribution(image: PackedImage) -> None:
    assert len(image.sbom.records("components")) == len(image.components("deb")) + len(image.components("pypi"))


def _architecture(purl: str) -> str:
    return parse_qs(purl.partition("?")[2])["arch"][0]


def _installed_debs(root: Path) -> FrozenSet[InstalledDeb]:
    status = (root / "var/lib/dpkg/status").read_text(encoding="utf-8")
    return frozenset(
        InstalledDeb(stanza.require("Package"), stanza.require("Version"), stanza.require("Architecture"))
        for stanza in parse_stanzas(status)
    )


def _installed_distributions(root: Path) -> FrozenSet[InstalledDistribution]:
    installed = set()
    # Not deeper: what a distribution carries inside, as setuptools does, is a part of it.
    for file in root.glob("var/lib/openstack/lib/python3.*/site-packages/*.dist-info/METADATA"):
        metadata = email.parser.HeaderParser().parsestr(file.read_text(encoding="utf-8"))
        installed.add(InstalledDistribution(canonicalize_name(metadata["Name"]), metadata["Version"]))
    return frozenset(installed)
