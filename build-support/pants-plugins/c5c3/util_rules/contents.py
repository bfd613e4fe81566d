"""What is in an image, from its locks alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from imagekit.python.constraints import Constraint, apply_overrides, parse_overrides, parse_upper_constraints
from imagekit.python.lock import SelectedPackage
from imagekit.sbom.contents import (
    DebContent,
    ImageContents,
    OverrideContent,
    PatchContent,
    PythonContent,
    SourceContent,
)
from imagekit.sources.pin import SdistPin
from packaging.utils import canonicalize_name
from pants.engine.fs import DigestContents, PathGlobs
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.platform import Platform
from pants.engine.rules import collect_rules, rule

from c5c3.util_rules.debian import LoadedDebLock, debian_architecture
from c5c3.util_rules.python import CONSTRAINTS_FILE, OVERRIDES_FILE, PythonInstallation
from c5c3.util_rules.required_file import RequiredFile, RequiredFileRequest
from c5c3.util_rules.source import Source
from c5c3.util_rules.targets import AllReleases

_DEBS_LEFT_OUT = "documentation, manual pages and translations of Debian packages (copyright files stay)"
_HEADERS_LEFT_OUT = "headers of Debian packages (/usr/include/)"


@dataclass(frozen=True)
class ContentsRequest:
    """The contents of an image of the .deb locks ``debs``, bottom first, with or without headers, and of ``python``."""

    debs: Tuple[LoadedDebLock, ...]
    python: Optional[PythonInstallation]
    headers: bool


@rule
async def find_contents(request: ContentsRequest, platform: Platform, releases: AllReleases) -> ImageContents:
    architecture = debian_architecture(platform)
    debs: Dict[str, DebContent] = {}
    for loaded in request.debs:
        for package in loaded.lock.packages_for(architecture):
            # A later lock may bring a newer version of what is there.
            debs[package.name] = DebContent(
                package.name, package.version, package.architecture, package.filename, package.sha256
            )
    left_out = [_DEBS_LEFT_OUT] if debs else []
    if debs and not request.headers:
        left_out.append(_HEADERS_LEFT_OUT)
    distributions: Tuple[PythonContent, ...] = ()
    requirements: Tuple[str, ...] = ()
    python = request.python
    if python is not None:
        environment = python.environment
        requirements = environment.requirements(python.project)
        release = releases.get(environment.release, environment.owner)
        constraints_path, overrides_path = release.path(CONSTRAINTS_FILE), release.path(OVERRIDES_FILE)
        sources = (python.source, *python.libraries.values())
        constraints, overrides, patches = await MultiGet(
            Get(RequiredFile, RequiredFileRequest(constraints_path, "the upper constraints", "Restore it from git.")),
            Get(DigestContents, PathGlobs([overrides_path])),
            Get(DigestContents, PathGlobs([path for source in sources for path in source.patches])),
        )
        in_force: Tuple[Constraint, ...] = ()
        if overrides:
            in_force = apply_overrides(
                parse_upper_constraints(constraints.text, constraints_path),
                parse_overrides(overrides[0].content.decode(), overrides_path),
            ).pins
        overridden = {pin.name: pin for pin in in_force if pin.override and python.target.fits(pin.marker)}
        digests = {file.path: hashlib.sha256(file.content).hexdigest() for file in patches}
        own = PythonContent(
            canonicalize_name(python.project), python.source.version, source=_source_content(python.source, digests)
        )
        distributions = (
            *(
                _distribution(package, overridden.get(package.name))
                if package.artifact is not None
                else PythonContent(
                    package.name, package.version, source=_source_content(python.libraries[package.name], digests)
                )
                for package in python.packages
            ),
            own,
        )
        if environment.exclude_tests:
            left_out.append(f"unit tests of {python.project} (<package>/tests/)")
    suites = request.debs[0].lock.suites if request.debs else ("",)
    return ImageContents(
        architecture=architecture,
        distribution=suites[0],
        python=None if python is None else python.target.version,
        requested=tuple(sorted({name for loaded in request.debs for name in loaded.lock.requested})),
        requirements=requirements,
        debs=tuple(debs[name] for name in sorted(debs)),
        distributions=tuple(sorted(distributions, key=lambda item: item.name)),
        left_out=tuple(left_out),
    )


def _distribution(package: SelectedPackage, override: Optional[Constraint]) -> PythonContent:
    assert package.artifact is not None
    return PythonContent(
        package.name,
        package.version,
        package.artifact.filename,
        package.artifact.sha256,
        override=None if override is None else OverrideContent(override.replaces, override.version, override.reason),
    )


def _source_content(source: Source, digests: "Dict[str, str]") -> SourceContent:
    patches = tuple(PatchContent(path, digests[path]) for path in source.patches)
    pin = source.pin
    if isinstance(pin, SdistPin):
        return SourceContent(source.component, source.release, pin.filename, pin.sha256, patches=patches)
    return SourceContent(
        source.component, source.release, repository=pin.url, ref=pin.ref, commit=pin.commit, patches=patches
    )


def rules():
    return collect_rules()
