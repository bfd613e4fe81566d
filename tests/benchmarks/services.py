"""Which images are compared: services of releases, as the targets of this tree describe them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Mapping, Sequence, Set, Tuple

from imagekit.debian.lock import DebLock, parse_deb_lock
from imagekit.fetch.json_record import JsonRecord, parse_json_record

from benchmarks.commands import BenchmarkError
from benchmarks.downloads import Suite

#: Every image of a service or of a base, for `./pants peek`.
ALL_IMAGES = ("services::", "3rdparty/bases::")


@dataclass(frozen=True)
class Service:
    """A service of a release: the address of its image, where `package` writes it, and what it is made from.

    ``base`` is the folder of its `debian_base`. ``shared_packages`` are system packages that it has in common with the
    services which stand on the same ``shared`` image, if it does on any; ``packages`` are its own.
    """

    name: str
    release: str
    address: str
    output_path: str
    base: str
    shared: str
    shared_packages: Tuple[str, ...]
    packages: Tuple[str, ...]

    @property
    def tag(self) -> str:
        """Its name among all images of the fleet."""
        return f"{self.name}-{self.release}"

    def lock(self, tree: Path) -> Path:
        return tree / "3rdparty/releases" / self.release / "locks" / f"{self.name}.lock.json"

    def source_lock(self, tree: Path, component: str) -> Path:
        return tree / "3rdparty/releases" / self.release / "sources" / f"{component}.json"

    def patches(self, tree: Path, component: str) -> Path:
        """The folder with the patches of ``component`` for the release, whether or not it has some."""
        return tree / "patches" / component / self.release

    def base_lock(self, tree: Path, name: str) -> DebLock:
        path = tree / self.base / "locks" / f"{name}.lock.json"
        return parse_deb_lock(read_lock(path), str(path))

    def suite(self, tree: Path) -> Suite:
        lock = self.base_lock(tree, "python-base")
        return Suite(lock.suites[0], lock.components)


def read_lock(path: Path) -> str:
    """The text of the lock at ``path``; raises :class:`BenchmarkError`."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BenchmarkError(f"{path}: {error.strerror}. Make the lock with: ./pants generate-lockfiles") from None


def parse_services(peeked: str) -> Tuple[Service, ...]:
    """The services among the targets that `./pants peek` printed for :data:`ALL_IMAGES`, sorted by release and name.

    Raises :class:`imagekit.fetch.json_record.JsonRecordError`.
    """
    targets = parse_json_record(f'{{"targets": {peeked}}}', "./pants peek").records("targets")
    images = {target.text("address"): target for target in targets if target.text("target_type") == "docker_image"}
    found = [_service(image, images) for image in images.values() if image.optional_text("release") is not None]
    return tuple(sorted(found, key=lambda service: (service.release, service.name)))


def _service(image: JsonRecord, images: Mapping[str, JsonRecord]) -> Service:
    below = image.text("base")
    shared = below if below != image.text("python_base") else ""
    return Service(
        image.text("component"),
        image.text("release"),
        image.text("address"),
        image.text("output_path"),
        image.text("distribution"),
        shared,
        images[shared].texts("system_packages") if shared else (),
        image.texts("system_packages"),
    )


def patched_service(services: Sequence[Service], tree: Path) -> Service:
    """The first service that has a patch in ``tree``: the one whose patch is edited.

    Raises :class:`BenchmarkError` where there is none.
    """
    for service in services:
        if any(service.patches(tree, service.name).glob("*.patch")):
            return service
    tags = ", ".join(service.tag for service in services)
    raise BenchmarkError(f"none of {tags} has a patch that could be edited. Choose others, or add one to patches/.")


def choose(services: Sequence[Service], names: Sequence[str], releases: Sequence[str]) -> Tuple[Service, ...]:
    """Those of ``names`` and ``releases``. No names mean what every release has; no releases mean all.

    Raises :class:`BenchmarkError` for a name or release that there is not.
    """
    all_releases = sorted({service.release for service in services})
    by_name: Dict[str, Set[str]] = {}
    for service in services:
        by_name.setdefault(service.name, set()).add(service.release)
    for given, known, option in ((names, sorted(by_name), "--services"), (releases, all_releases, "--releases")):
        for word in given:
            if word not in known:
                raise BenchmarkError(f"{option} names {word!r}, but there is only: {', '.join(known)}. Correct it.")
    names = names or [name for name in sorted(by_name) if by_name[name] == set(all_releases)]
    return tuple(
        service for service in services if service.name in names and service.release in (releases or all_releases)
    )
