"""The component's own programs: each console script answers, each WSGI module can be imported."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Iterator, Optional, Tuple

from packaging.utils import canonicalize_name

from imagekit.checks.distributions import Distribution, console_scripts, distributions
from imagekit.checks.finding import Finding, Subject
from imagekit.constants import VENV
from imagekit.sandbox.image import run_in_image_rootfs

_QUESTIONS = ("--help", "--version")
#: Seconds.
_TIMEOUT = 60


def own_distributions(subject: Subject) -> Tuple[Distribution, ...]:
    """The distributions of the component that the image is for: of its name, or `openstack-<name>`."""
    component = canonicalize_name(subject.image.config.config.labels.get("org.opencontainers.image.title", ""))
    names = (component, f"openstack-{component}")
    return tuple(found for found in distributions(subject.rootfs.path) if canonicalize_name(found.name) in names)


def check_programs(subject: Subject) -> Iterator[Finding]:
    """Each console script answers `--help` or `--version`, and each WSGI module (`<package>.wsgi.<name>`) imports."""
    if "io.c5c3.openstack.release" not in subject.image.config.config.labels:
        return
    own = own_distributions(subject)
    if not own:
        yield Finding("image configuration", "its title names no installed distribution", "Correct the `component`.")
    scripts = sorted({script for distribution in own for script in console_scripts(distribution)})
    modules = sorted({module for distribution in own for module in _wsgi_modules(distribution)})
    with ThreadPoolExecutor(os.cpu_count() or 1) as executor:
        for finding in executor.map(lambda script: _ask(subject, script), scripts):
            if finding:
                yield finding
        for finding in executor.map(lambda module: _import(subject, module), modules):
            if finding:
                yield finding


def _wsgi_modules(distribution: Distribution) -> Iterator[str]:
    site_packages = distribution.folder.parent
    record = (distribution.folder / "RECORD").read_text(encoding="utf-8") if (distribution.folder / "RECORD").is_file() else ""
    for line in record.splitlines():
        path = line.partition(",")[0]
        parts = path.split("/")
        if len(parts) == 3 and parts[1] == "wsgi" and parts[2].endswith(".py") and (site_packages / path).is_file():
            if parts[2] != "__init__.py":
                yield ".".join((*parts[:2], parts[2][: -len(".py")]))


def _ask(subject: Subject, script: str) -> Optional[Finding]:
    said = ""
    for question in _QUESTIONS:
        finished = run_in_image_rootfs(
            subject.rootfs,
            subject.image.config.config,
            ("timeout", str(_TIMEOUT), f"{VENV}/bin/{script}", question),
            capture=True,
        )
        if finished.returncode == 0:
            return None
        said = said or _last_line(finished.stderr or finished.stdout) or f"exit code {finished.returncode}"
    return Finding(
        f"{VENV}/bin/{script}",
        f"it answers neither {' nor '.join(_QUESTIONS)}: {said}",
        "Add what it misses, or allow it with the reason.",
    )


def _import(subject: Subject, module: str) -> Optional[Finding]:
    finished = run_in_image_rootfs(
        subject.rootfs,
        subject.image.config.config,
        ("timeout", str(_TIMEOUT), f"{VENV}/bin/python", "-c", f"import {module}"),
        capture=True,
    )
    if finished.returncode == 0:
        return None
    said = _last_line(finished.stderr) or f"exit code {finished.returncode}"
    return Finding(module, f"it cannot be imported: {said}", "Add what it misses, or allow it with the reason.")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1].strip()
