"""Make a .deb lock: apt resolves in a state directory of its own, from indexes whose signature it checked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Optional, Sequence, Tuple

from imagekit.debian.apt_configuration import AptConfiguration, AptError
from imagekit.debian.control import Stanza, parse_stanzas
from imagekit.debian.lock import DebLock, DebPackage
from imagekit.fetch.settings import HttpSettings


@dataclass(frozen=True)
class Distribution:
    """Who signs a suite: a keyring file and the package that holds it."""

    keyring: Path
    keyring_package: str


DEBIAN = Distribution(Path("/usr/share/keyrings/debian-archive-keyring.gpg"), "debian-archive-keyring")
UBUNTU = Distribution(Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg"), "ubuntu-keyring")

DISTRIBUTIONS: Mapping[str, Distribution] = {
    "bookworm": DEBIAN,
    "trixie": DEBIAN,
    "forky": DEBIAN,
    "sid": DEBIAN,
    "jammy": UBUNTU,
    "noble": UBUNTU,
}

#: What of the machine's own apt configuration holds for the private one too: how to reach mirrors, not what to choose.
_KEPT_OPTIONS = re.compile(r"Acquire::(https?::.*|Retries|Check-Date|Check-Valid-Until|ForceIPv[46])", re.IGNORECASE)

_PROGRESS = ("NOTE:", "Reading ", "Building ")

_INSTALL = re.compile(r"^Inst (\S+) \((\S+) ", re.MULTILINE)


@dataclass(frozen=True)
class Request:
    """What to lock.

    ``below`` are the locks whose packages are installed already, bottom first, each extending the one before;
    ``extends`` is the digest of the file of the last.
    """

    suites: Tuple[str, ...]
    components: Tuple[str, ...]
    architectures: Tuple[str, ...]
    packages: Tuple[str, ...]
    below: Tuple[DebLock, ...] = ()
    extends: Optional[str] = None
    keyring: Optional[Path] = None


def find_keyring(request: Request) -> Path:
    """The keyring that the suites' signatures are checked against; raises AptError naming the package that has it."""
    if request.keyring is not None:
        if not request.keyring.exists():
            raise AptError(f"the keyring {request.keyring} does not exist. Give the file with --keyring.")
        return request.keyring
    suite = request.suites[0]
    distribution = DISTRIBUTIONS.get(suite.partition("-")[0])
    if distribution is None:
        raise AptError(
            f"the suite {suite!r} is not known, and so is not who signs it; known are: {', '.join(DISTRIBUTIONS)}. "
            "Add it to DISTRIBUTIONS in imagekit/debian/resolve.py, or give the keyring with --keyring."
        )
    if not distribution.keyring.exists():
        raise AptError(
            f"the keyring {distribution.keyring} that signs {suite!r} is not on this machine. "
            f"Install it: sudo apt-get install {distribution.keyring_package}"
        )
    return distribution.keyring


def resolve(request: Request, archives: Sequence[str], apt: AptConfiguration, http: HttpSettings) -> DebLock:
    """The lock of ``request``, from the first of ``archives`` that carries the suites.

    The packages of the locks below count as installed; without any, every essential package is added. Recommended
    packages are not. Raises AptError with apt's own explanation when a package is unknown, the packages exclude each other, a
    signature is wrong, or no archive answers.
    """
    if shutil.which("apt-get") is None:
        raise AptError(
            "the program 'apt-get' is not on the PATH; .deb locks are resolved with apt. "
            "Make the lock on a Debian or Ubuntu machine."
        )
    keyring = find_keyring(request)
    failures: List[str] = []
    for archive in archives:
        with tempfile.TemporaryDirectory(prefix="imagekit-apt-") as directory:
            try:
                states = [
                    _State.make(Path(directory) / architecture, architecture, archive, keyring, request, apt, http)
                    for architecture in request.architectures
                ]
                for state in states:
                    state.update()
            except AptError as error:
                failures.append(f"\n  {archive}: {error}")
                continue
            architectures = tuple(sorted((state.architecture, state.packages(request)) for state in states))
        return DebLock(
            request.suites,
            request.components,
            tuple(sorted(set(request.packages))),
            request.extends,
            architectures,
        )
    raise AptError(
        f"no archive gave a signed index of {', '.join(request.suites)}:{''.join(failures)}\n"
        "Check the network, or name a mirror that carries the suite (deb_mirrors in the download settings)."
    )


@dataclass(frozen=True)
class _State:
    """apt with all its files below one directory, for one architecture."""

    directory: Path
    architecture: str
    environment: Tuple[Tuple[str, str], ...]

    @classmethod
    def make(
        cls,
        directory: Path,
        architecture: str,
        archive: str,
        keyring: Path,
        request: Request,
        apt: AptConfiguration,
        http: HttpSettings,
    ) -> _State:
        for name in ("lists/partial", "cache/archives/partial", "etc"):
            (directory / name).mkdir(parents=True)
        (directory / "status").write_text("")
        (directory / "etc/sources.sources").write_text(
            "Types: deb\n"
            f"URIs: {archive}\n"
            f"Suites: {' '.join(request.suites)}\n"
            f"Components: {' '.join(request.components)}\n"
            f"Architectures: {architecture}\n"
            f"Signed-By: {keyring}\n"
        )
        kept = [(name, value) for name, value in apt.options if value and _KEPT_OPTIONS.fullmatch(name)]
        if http.ca_bundle is not None and apt.option("Acquire::https::CaInfo") is None:
            kept.append(("Acquire::https::CaInfo", http.ca_bundle))
        (directory / "apt.conf").write_text(
            "".join(f'{name} "{value}";\n' for name, value in (*_options(directory, architecture), *kept))
        )
        environment = [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LC_ALL", "C.UTF-8")]
        environment.append(("APT_CONFIG", str(directory / "apt.conf")))
        for name, proxy in (("http_proxy", http.http_proxy), ("https_proxy", http.https_proxy)):
            if proxy is not None:
                environment.append((name, proxy))
        if http.no_proxy:
            environment.append(("no_proxy", ",".join(http.no_proxy)))
        return cls(directory, architecture, tuple(environment))

    def update(self) -> None:
        self._run(["apt-get", "update", "-qq", "--error-on=any"])

    def packages(self, request: Request) -> Tuple[DebPackage, ...]:
        """What must be installed; raises AptError."""
        wanted = list(request.packages)
        if request.below:
            self._install(request.below, request.suites)
        else:
            wanted.append("?essential")
        # apt settles conflicts by removing packages unless it is told not to.
        command = ["apt-get", "install", "-s", "-q", "-y", "--no-remove", *wanted]
        finished = self._start(command)
        if finished.returncode != 0:
            raise AptError(explain_failure(request, self.architecture, finished.stdout + finished.stderr))
        chosen = [f"{name}={version}" for name, version in _INSTALL.findall(finished.stdout)]
        packages = [_package(stanza) for stanza in self._stanzas(chosen)]
        return tuple(sorted(packages, key=lambda package: package.name))

    def _install(self, locks: Sequence[DebLock], suites: Sequence[str]) -> None:
        """Tell apt that the packages of ``locks`` are installed; of one name, what the last of them has."""
        by_name = {package.name: package for lock in locks for package in lock.packages_for(self.architecture)}
        locked = tuple(by_name.values())
        # apt-cache passes over names it does not know as long as it knows one.
        stanzas = self._stanzas([package.name for package in locked], all_versions=True)
        known = {(stanza.require("Package"), stanza.require("Version")): stanza for stanza in stanzas}
        gone = [package for package in locked if (package.name, package.version) not in known]
        if gone:
            raise AptError(
                f"the locks below name versions that {', '.join(suites)} no longer has: "
                f"{', '.join(f'{package.name} {package.version}' for package in gone)}. Renew those locks first, from the "
                "bottom up."
            )
        (self.directory / "status").write_text(
            "".join(
                f"{known[package.name, package.version].text}\nStatus: install ok installed\n\n" for package in locked
            )
        )

    def _stanzas(self, names: Sequence[str], all_versions: bool = False) -> Sequence[Stanza]:
        if not names:
            return ()
        return tuple(parse_stanzas(self._run(["apt-cache", "show", *(["-a"] if all_versions else []), *names])))

    def _run(self, command: Sequence[str]) -> str:
        finished = self._start(command)
        if finished.returncode != 0:
            explanation = _explanation(finished.stdout + finished.stderr)
            raise AptError(f"apt refuses for {self.architecture}: {explanation}")
        return finished.stdout

    def _start(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, env=dict(self.environment), cwd="/")


def _options(directory: Path, architecture: str) -> Sequence[Tuple[str, str]]:
    return (
        # The machine's own files: what they say of mirrors was asked before, the rest must not have a say.
        ("Dir::Etc::Main", "/dev/null"),
        ("Dir::Etc::Parts", "/dev/null"),
        ("Dir::Etc::Preferences", "/dev/null"),
        ("Dir::Etc::PreferencesParts", "/dev/null"),
        ("Dir::Etc::SourceList", f"{directory}/etc/sources.sources"),
        ("Dir::Etc::SourceParts", "/dev/null"),
        ("Dir::State", str(directory)),
        ("Dir::State::Lists", f"{directory}/lists"),
        ("Dir::State::status", f"{directory}/status"),
        ("Dir::Cache", f"{directory}/cache"),
        ("APT::Architecture", architecture),
        ("APT::Architectures", architecture),
        ("APT::Install-Recommends", "false"),
        ("APT::Install-Suggests", "false"),
        ("APT::Get::AllowUnauthenticated", "false"),
        ("Acquire::AllowInsecureRepositories", "false"),
        ("Acquire::Languages", "none"),
        # apt counts itself as essential; an image that nobody installs into at run time has no use for it.
        ("pkgCacheGen::ForceEssential", ","),
        # The directory belongs to whoever runs this, who need not be root.
        ("APT::Sandbox::User", ""),
        ("Debug::NoLocking", "true"),
    )


def explain_failure(request: Request, architecture: str, said: str) -> str:
    """What apt ``said``, progress aside, when it could not choose the packages of ``request``, and where it looked."""
    return (
        f"apt cannot choose packages for {architecture} from {', '.join(request.packages)}:\n{_explanation(said)}\n"
        f"Correct the list of packages, or take it from other suites ({', '.join(request.suites)}) and components "
        f"({', '.join(request.components)})."
    )


def _explanation(said: str) -> str:
    # What comes before is progress, and general advice.
    unmet = said.find("The following packages have unmet dependencies:")
    lines = said[max(unmet, 0) :].splitlines()
    return "\n".join(line.rstrip() for line in lines if line.strip() and not line.startswith(_PROGRESS))


def _package(stanza: Stanza) -> DebPackage:
    return DebPackage(
        stanza.require("Package"),
        stanza.require("Version"),
        stanza.require("Architecture"),
        os.path.normpath(stanza.require("Filename")),
        int(stanza.require("Size")),
        stanza.require("SHA256"),
    )
