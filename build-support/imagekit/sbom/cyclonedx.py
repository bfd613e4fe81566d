"""The SBOM of an image: CycloneDX 1.6 as JSON (https://cyclonedx.org/docs/1.6/json/).

Pure: the same contents and descriptions give the same bytes. Serial number and timestamp follow from the image, since a
random or present one would make each build another SBOM.
"""

from __future__ import annotations

import datetime
import json
import re
import uuid
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import quote

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.errors import ImagekitError
from imagekit.python.target import TargetPython
from imagekit.sbom.contents import DebContent, ImageContents, Json, PythonContent, SourceContent
from imagekit.sbom.dependencies import deb_dependencies, python_dependencies
from imagekit.sbom.descriptions import DebDescription, WheelDescription
from imagekit.sbom.licences import UNKNOWN, Licence
from imagekit.sbom.pedigree import pedigree_patch, subjects
from imagekit.sbom.purl import deb_purl, oci_purl, pypi_purl

SPEC_VERSION = "1.6"
MEDIA_TYPE = "application/vnd.cyclonedx+json"

#: The names of properties (https://cyclonedx.org/docs/1.6/json/#components_items_properties) of this SBOM.
OVERRIDE_PROPERTY = "c5c3:constraint-override"
LEFT_OUT_PROPERTY = "c5c3:left-out"
PATCH_PROPERTY = "c5c3:patch"
ARTIFACT_PROPERTY = "c5c3:artifact"
SOURCE_PROPERTY = "c5c3:source"

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+")
_PERSON = re.compile(r"\s*(?P<name>[^<]*?)\s*(?:<(?P<address>[^<>\s]+)>)?\s*")
_ADDRESS = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")

#: Words of Project-URL labels, in the order of CycloneDX's types that they mean.
_LINKS: Tuple[Tuple[str, Tuple[str, ...]], ...] = (
    ("vcs", ("source", "repository", "code", "github", "git")),
    ("issue-tracker", ("bug", "issue", "tracker")),
    ("documentation", ("doc",)),
    ("release-notes", ("change", "release", "history", "news")),
    ("website", ("home",)),
)


class SbomError(ImagekitError):
    """An SBOM that cannot be made: what was built is not what the locks say."""


@dataclass(frozen=True)
class ImageIdentity:
    """What the image is called: ``version`` is its first tag, ``digest`` that of its manifest (``sha256:…``)."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True)
class Descriptions:
    """What the packages of an image say of themselves, and the patches by path."""

    debs: Mapping[str, DebDescription]
    wheels: Sequence[WheelDescription]
    patches: Mapping[str, bytes]


def render_sbom(image: ImageIdentity, contents: ImageContents, descriptions: Descriptions) -> bytes:
    """The SBOM's bytes: UTF-8 JSON, indented, with sorted keys.

    Raises :class:`SbomError` when a package of the contents has no description.
    """
    document = sbom(image, contents, descriptions)
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def sbom(image: ImageIdentity, contents: ImageContents, descriptions: Descriptions) -> Dict[str, Json]:
    """The SBOM as a JSON object."""
    wheels = {wheel.name: wheel for wheel in descriptions.wheels}
    reference = oci_purl(image.name, image.digest, contents.architecture)
    deb_refs = {deb.name: _deb_purl(deb, contents) for deb in contents.debs}
    python_refs = {item.name: _python_purl(item) for item in contents.distributions}
    components = [_deb(deb, contents, descriptions.debs) for deb in contents.debs]
    applications = _names(contents.requirements[:1])
    components += [
        _python(item, "application" if item.name in applications else "library", wheels, descriptions.patches)
        for item in contents.distributions
    ]
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, reference)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(SOURCE_DATE_EPOCH, datetime.timezone.utc).strftime(
                "%Y-%m-%dT%H:%M:%SZ"
            ),
            "lifecycles": [{"phase": "build"}],
            "authors": [{"name": "c5c3 maintainers"}],
            "tools": {"components": [{"type": "application", "name": "imagekit", "group": "c5c3"}]},
            "component": {
                "type": "container",
                "bom-ref": reference,
                "name": image.name,
                "version": image.version,
                "purl": reference,
                "hashes": [{"alg": "SHA-256", "content": image.digest.partition(":")[2]}],
                "properties": [
                    {"name": "c5c3:architecture", "value": contents.architecture},
                    {"name": "c5c3:distribution", "value": contents.distribution},
                    *({"name": LEFT_OUT_PROPERTY, "value": text} for text in contents.left_out),
                ],
            },
        },
        "components": sorted(components, key=lambda component: str(component["bom-ref"])),
        "dependencies": _dependencies(reference, contents, descriptions, deb_refs, python_refs),
    }


def _deb_purl(deb: DebContent, contents: ImageContents) -> str:
    return deb_purl(deb.name, deb.version, deb.architecture, contents.distribution)


def _deb(deb: DebContent, contents: ImageContents, descriptions: Mapping[str, DebDescription]) -> Dict[str, Json]:
    description = descriptions.get(deb.name)
    if description is None:
        raise SbomError(f"the package {deb.name} of the .deb lock is not described. Build the image again.")
    licence = description.licence
    # A package may point to another one's documentation, once or more.
    seen = {deb.name}
    pointed = description.licence_from
    while licence == UNKNOWN and pointed in descriptions and pointed not in seen:
        assert pointed is not None
        seen.add(pointed)
        licence, pointed = descriptions[pointed].licence, descriptions[pointed].licence_from
    reference = _deb_purl(deb, contents)
    component: Dict[str, Json] = {
        "type": "library",
        "bom-ref": reference,
        "name": deb.name,
        "version": deb.version,
        "purl": reference,
        "hashes": [{"alg": "SHA-256", "content": deb.sha256}],
        "properties": [
            {"name": ARTIFACT_PROPERTY, "value": deb.filename.rpartition("/")[2]},
            {"name": SOURCE_PROPERTY, "value": description.source},
        ],
    }
    _add_text(component, "description", description.summary)
    _add_licences(component, licence)
    supplier = _organization(description.maintainer)
    if supplier:
        component["supplier"] = supplier
    _add_references(component, [_reference("website", description.homepage)])
    return component


def _python_purl(item: PythonContent) -> str:
    source = item.source
    if source is not None and source.commit is not None:
        return pypi_purl(item.name, item.version, {"vcs_url": f"git+{source.repository}@{source.commit}"})
    return pypi_purl(item.name, item.version)


def _python(
    item: PythonContent, kind: str, wheels: Mapping[str, WheelDescription], patches: Mapping[str, bytes]
) -> Dict[str, Json]:
    wheel = wheels.get(item.name)
    if wheel is None:
        raise SbomError(f"the Python distribution {item.name} of the lock is not described. Build the image again.")
    reference = _python_purl(item)
    properties: List[Json] = [{"name": ARTIFACT_PROPERTY, "value": wheel.filename}]
    properties += [{"name": LEFT_OUT_PROPERTY, "value": text} for text in wheel.left_out]
    component: Dict[str, Json] = {
        "type": kind,
        "bom-ref": reference,
        "name": item.name,
        "version": item.version,
        "purl": reference,
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
        "properties": properties,
    }
    _add_text(component, "description", wheel.summary)
    _add_licences(component, wheel.licence)
    supplier = _organization(wheel.author)
    if supplier:
        component["supplier"] = supplier
    references = [_reference(_link_type(label), url) for label, url in wheel.links]
    if item.artifact is not None and not item.artifact.endswith(".whl") and item.sha256 is not None:
        references.append(_source_file(item.name, item.version, item.artifact, item.sha256))
    if item.override is not None:
        override = {"old": item.override.old, "new": item.override.new, "reason": item.override.reason}
        properties.append(
            {"name": OVERRIDE_PROPERTY, "value": json.dumps(override, sort_keys=True, ensure_ascii=False)}
        )
    if item.source is not None:
        references += _source_references(item, item.source)
        properties.append({"name": SOURCE_PROPERTY, "value": _source_text(item.source)})
        properties.extend(
            {"name": PATCH_PROPERTY, "value": f"{patch.path} sha256:{patch.sha256}"} for patch in item.source.patches
        )
        pedigree = _pedigree(item, kind, item.source, patches)
        if pedigree:
            component["pedigree"] = pedigree
    _add_references(component, references)
    return component


def _source_text(source: SourceContent) -> str:
    if source.commit is not None:
        return f"{source.component} for {source.release}: {source.repository} {source.ref} {source.commit}"
    return f"{source.component} for {source.release}: {source.filename} sha256:{source.sha256}"


def _source_references(item: PythonContent, source: SourceContent) -> "List[Optional[Dict[str, Json]]]":
    if source.commit is not None and source.repository is not None:
        reference = _reference("vcs", source.repository)
        if reference is not None:
            reference["comment"] = f"{source.ref}, commit {source.commit}"
        return [reference]
    if source.filename is not None and source.sha256 is not None:
        return [_source_file(item.name, item.version, source.filename, source.sha256)]
    return []


def _source_file(name: str, version: str, filename: str, sha256: str) -> Dict[str, Json]:
    return {
        "type": "source-distribution",
        # Where a file is fetched from is the user's choice; this names it without a host.
        "url": pypi_purl(name, version, {"file_name": filename}),
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }


def _pedigree(
    item: PythonContent, kind: str, source: SourceContent, patches: Mapping[str, bytes]
) -> Dict[str, Json]:
    if not source.patches:
        return {}
    given = []
    for patch in source.patches:
        if patch.path not in patches:
            raise SbomError(f"the patch {patch.path} of {item.name} is not at hand. Build the image again.")
        given.append((patch, patches[patch.path]))
    ancestor: Dict[str, Json] = {
        "type": kind,
        "name": item.name,
        "version": item.version,
        "purl": _python_purl(item),
    }
    if source.sha256 is not None:
        ancestor["hashes"] = [{"alg": "SHA-256", "content": source.sha256}]
    return {
        "ancestors": [ancestor],
        "patches": [pedigree_patch(patch, data) for patch, data in given],
        "notes": subjects(given),
    }


def _dependencies(
    image: str,
    contents: ImageContents,
    descriptions: Descriptions,
    deb_refs: Mapping[str, str],
    python_refs: Mapping[str, str],
) -> List[Json]:
    there = {name: description for name, description in descriptions.debs.items() if name in deb_refs}
    edges: Dict[str, Tuple[str, ...]] = {
        deb_refs[name]: tuple(deb_refs[other] for other in others) for name, others in deb_dependencies(there).items()
    }
    if contents.python is not None:
        target = TargetPython(contents.python, (2, 17), _MACHINES[contents.architecture])
        wheels = [wheel for wheel in descriptions.wheels if wheel.name in python_refs]
        for name, others in python_dependencies(wheels, contents.requirements, target).items():
            edges[python_refs[name]] = tuple(python_refs[other] for other in others)
    asked = {deb_refs[name] for name in contents.requested if name in deb_refs}
    asked |= {python_refs[name] for name in _names(contents.requirements) if name in python_refs}
    # Essential packages are in every Debian image, and nobody asks for them by name.
    needed = {other for others in edges.values() for other in others}
    direct = sorted(asked | (edges.keys() - needed))
    entries: List[Json] = [{"ref": image, "dependsOn": list(direct)}]
    for reference in sorted(edges):
        others = sorted(set(edges[reference]))
        entries.append({"ref": reference, "dependsOn": list(others)} if others else {"ref": reference})
    return entries


def _names(requirements: Sequence[str]) -> List[str]:
    names = []
    for text in requirements:
        try:
            names.append(str(canonicalize_name(Requirement(text).name)))
        except InvalidRequirement:
            raise SbomError(f"{text!r} is not a requirement (PEP 508). Make the Python lock again.") from None
    return names


def _add_text(component: Dict[str, Json], key: str, text: str) -> None:
    if text:
        component[key] = text


def _add_licences(component: Dict[str, Json], licence: Licence) -> None:
    if licence.expression is not None:
        component["licenses"] = [{"expression": licence.expression, "acknowledgement": "declared"}]
    elif licence.names:
        component["licenses"] = [{"license": {"name": name, "acknowledgement": "declared"}} for name in licence.names]


def _organization(text: str) -> Dict[str, Json]:
    match = _PERSON.fullmatch(text)
    name = match["name"] if match else text.strip()
    address = match["address"] if match else None
    if not name and not address:
        return {}
    organization: Dict[str, Json] = {"name": name or address}
    # A schema's validator refuses an odd address, and with it the whole SBOM.
    if name and address and _ADDRESS.fullmatch(address):
        organization["contact"] = [{"name": name, "email": address}]
    return organization


def _link_type(label: str) -> str:
    lower = label.lower()
    for kind, words in _LINKS:
        if any(word in lower for word in words):
            return kind
    return "other"


def _reference(kind: str, url: str) -> Optional[Dict[str, Json]]:
    text = quote(url.strip(), safe=":/?#@!$&'()*+,;=%~._-")
    return {"type": kind, "url": text} if _URL.fullmatch(text) and " " not in url.strip() else None


def _add_references(component: Dict[str, Json], references: "Sequence[Optional[Dict[str, Json]]]") -> None:
    unique: Dict[Tuple[str, str], Dict[str, Json]] = {}
    for reference in references:
        if reference is not None:
            unique.setdefault((str(reference["type"]), str(reference["url"])), reference)
    if unique:
        component["externalReferences"] = [unique[key] for key in sorted(unique)]
