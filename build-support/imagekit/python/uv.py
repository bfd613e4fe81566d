"""Resolving with uv: what it is told, and what its answers mean."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Mapping, Optional, Sequence, Tuple

from packaging.utils import canonicalize_name

from imagekit.fetch.settings import FetchSettings
from imagekit.python.constraints import Constraint, Constraints
from imagekit.python.lock import LockError
from imagekit.python.pylock import ResolvedPackage, parse_pylock
from imagekit.sandbox.bwrap import Finished, Rootfs, run_in_rootfs
from imagekit.sandbox.mounts import Bind

_UNKNOWN_EXTRA = re.compile(r"^warning: The package `([^`]*)` does not have an extra named `([^`]*)`", re.MULTILINE)


@dataclass(frozen=True)
class SourcePackage:
    """A package that is taken from its own source wherever it is required: ``wheel`` says what it requires.

    ``place`` is the line that pins it.
    """

    project: str
    version: str
    wheel: Path
    place: str

    @property
    def name(self) -> str:
        """The name that is compared (PEP 503)."""
        return canonicalize_name(self.project)


@dataclass(frozen=True)
class Resolution:
    """What to resolve: ``requirements`` under ``constraints`` for ``python`` (the oldest one) and all newer ones.

    ``ignoring`` are packages left out of the answer; with ``wheels_only`` no package without wheels is considered;
    ``preferred`` are versions to keep if they still fit; ``files`` are wheels that requirements name as ``input/<file>``;
    the constraints of ``sources`` give way to them.
    """

    what: str
    requirements: Tuple[str, ...]
    constraints: Constraints
    python: str
    ignoring: Tuple[str, ...] = ()
    wheels_only: bool = False
    preferred: Tuple[Tuple[str, str], ...] = ()
    files: Tuple[Path, ...] = ()
    sources: Tuple[SourcePackage, ...] = ()

    def constraint_lines(self) -> str:
        """The text of the constraints file: a source takes the place of the package's pins."""
        constraints = self.constraints
        for source in self.sources:
            constraints = constraints.without(source.name)
        return constraints.render() + "".join(
            f"{source.project} @ ./input/{source.wheel.name}\n" for source in self.sources
        )


#: Runs uv with these arguments and this environment in a directory.
RunUv = Callable[[Sequence[str], Mapping[str, str], Path], Finished]


def resolve(resolution: Resolution, environment: Mapping[str, str], folder: Path, run: RunUv) -> Tuple[ResolvedPackage, ...]:
    """Ask uv; ``folder`` is an empty directory for its input and output.

    Raises :class:`LockError` with uv's own explanation, and the places of the constraints that it mentions.
    """
    (folder / "requirements.in").write_text("".join(f"{line}\n" for line in resolution.requirements))
    (folder / "constraints.txt").write_text(resolution.constraint_lines())
    (folder / "build-constraints.txt").write_text(resolution.constraints.render())
    for file in (*resolution.files, *(source.wheel for source in resolution.sources)):
        (folder / "input").mkdir(exist_ok=True)
        shutil.copyfile(file, folder / "input" / file.name)
    if resolution.preferred:
        (folder / "pylock.toml").write_text(_preferences(resolution.preferred))
    finished = run(compile_arguments(resolution), environment, folder)
    if finished.returncode != 0:
        raise LockError(explain_failure(resolution, finished.stderr))
    unknown = _UNKNOWN_EXTRA.search(finished.stderr)
    if unknown:
        raise LockError(
            f"{resolution.what}: {unknown[1].split(' @ ')[0]} has no extra {unknown[2]!r}. "
            "Correct the extra or take it out of the requirements."
        )
    return parse_pylock((folder / "pylock.toml").read_text(), ignoring=resolution.ignoring)


def compile_arguments(resolution: Resolution) -> Tuple[str, ...]:
    """uv's arguments, with paths relative to the directory of :func:`resolve`."""
    return (
        "pip",
        "compile",
        "--universal",
        "--python-version",
        resolution.python,
        "--format",
        "pylock.toml",
        "--constraints",
        "constraints.txt",
        "--build-constraints",
        "build-constraints.txt",
        *(("--only-binary", ":all:") if resolution.wheels_only else ()),
        "--no-python-downloads",
        "--no-progress",
        "--color",
        "never",
        "--output-file",
        "pylock.toml",
        "requirements.in",
    )


def environment(settings: FetchSettings) -> Dict[str, str]:
    """The environment that makes uv use the indexes, proxies and certificates of ``settings``, and nothing else.

    The first index is named again in front of the extra ones: uv takes files of one version from one index only, the
    first that has it, and that must be the same for all users whatever their extra indexes hold.
    """
    http = settings.http
    variables: Dict[str, Optional[str]] = {
        "UV_NO_CONFIG": "1",
        "UV_NO_INDEX": "1" if settings.index_url is None else None,
        "UV_DEFAULT_INDEX": settings.index_url,
        "UV_INDEX": " ".join(settings.index_urls) if settings.extra_index_urls else None,
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": ",".join(settings.find_links) or None,
        "UV_HTTP_TIMEOUT": str(http.timeout),
        "UV_HTTP_RETRIES": str(http.retries),
        "UV_INSECURE_HOST": " ".join(http.trusted_hosts) or None,
        "SSL_CERT_FILE": http.ca_bundle,
        "SSL_CLIENT_CERT": http.client_certificate,
        "HTTP_PROXY": http.http_proxy,
        "HTTPS_PROXY": http.https_proxy,
        "NO_PROXY": ",".join(http.no_proxy) or None,
        "NETRC": http.netrc,
    }
    return {name: value for name, value in variables.items() if value is not None}


def local_files(settings: FetchSettings) -> Tuple[Path, ...]:
    """The files and folders of this machine that ``settings`` name."""
    named = [settings.http.ca_bundle, settings.http.client_certificate, settings.http.netrc]
    for location in (*settings.index_urls, *settings.find_links):
        named.append(location[len("file://") :] if location.startswith("file://") else location)
    return tuple(sorted({Path(name) for name in named if name is not None and name.startswith("/") and Path(name).exists()}))


def explain_failure(resolution: Resolution, stderr: str) -> str:
    """uv's explanation, and which lines of which files the constraints in it come from."""
    said = _plain(stderr)
    built = {source.name for source in resolution.sources}
    mentioned = sorted(
        f"  {_described(pin)}"
        for pin in resolution.constraints.pins
        if pin.name not in built
        and re.search(rf"(?<![\w.-]){re.escape(pin.name)}={{2,3}}{re.escape(pin.version)}(?![\w.+-])", said)
    )
    mentioned += sorted(
        f"  {source.project} {source.version}, whose source is pinned at {source.place}"
        for source in resolution.sources
        if re.search(rf"(?<![\w.-]){re.escape(source.name)}(?![\w.-])", said)
    )
    pins = "\nConstraints in it:\n" + "\n".join(mentioned) if mentioned else ""
    return f"{resolution.what} cannot be resolved. uv says:\n{stderr.strip()}{pins}"


def _described(pin: Constraint) -> str:
    if not pin.override:
        return f"`{pin.requirement}` at {pin.place}"
    replaced = f" that replaces {pin.replaces}" if pin.replaces is not None else ""
    return f"`{pin.requirement}` at {pin.place}, an override{replaced}: correct it or delete the line"


def run_on_host(uv: Path) -> RunUv:
    """uv as a process of this machine: enough where nothing has to be built."""

    def run(arguments: Sequence[str], variables: Mapping[str, str], folder: Path) -> Finished:
        process = subprocess.run(
            [str(uv.absolute()), *arguments],
            cwd=folder,
            env={"PATH": os.defpath, "HOME": str(folder), "UV_CACHE_DIR": str(folder / "cache"), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            check=False,
        )
        return Finished(process.returncode, process.stdout, process.stderr)

    return run


def run_in_sandbox(uv: Path, rootfs: Rootfs, cache: Path, readable: Sequence[Path]) -> RunUv:
    """uv inside ``rootfs`` with the network, so that sdists are asked for their metadata where they are built later."""

    def run(arguments: Sequence[str], variables: Mapping[str, str], folder: Path) -> Finished:
        return run_in_rootfs(
            rootfs,
            ["/imagekit/uv", *arguments],
            binds=(
                Bind(uv, "/imagekit/uv"),
                Bind(cache, "/imagekit/cache", writable=True),
                Bind(folder, "/imagekit/work", writable=True),
                *(Bind(path, str(path)) for path in readable),
            ),
            env={"UV_CACHE_DIR": "/imagekit/cache", "UV_LINK_MODE": "copy", **variables},
            cwd="/imagekit/work",
            network=True,
        )

    return run


def _preferences(versions: Sequence[Tuple[str, str]]) -> str:
    # uv prefers the versions of the output file that is already there.
    lines = ['lock-version = "1.0"', 'created-by = "imagekit"']
    for name, version in versions:
        lines += ["", "[[packages]]", f'name = "{name}"', f'version = "{version}"']
    return "\n".join([*lines, ""])


def _plain(stderr: str) -> str:
    """uv's text with its line breaks taken out, since it wraps in the middle of a sentence."""
    return re.sub(r"\s+", " ", stderr)
