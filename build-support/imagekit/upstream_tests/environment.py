"""Where upstream's tests run: an image, and beside it what only the tests require."""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Iterator, Mapping, Optional, Sequence, Tuple

from imagekit.constants import VENV
from imagekit.errors import ImagekitError
from imagekit.oci.image_config import ContainerConfig
from imagekit.oci.layout import Layout
from imagekit.sandbox.bwrap import Finished, Rootfs
from imagekit.sandbox.image import run_in_image_rootfs
from imagekit.sandbox.mounts import Bind
from imagekit.sandbox.store import RootfsStore
from imagekit.sources.tree import read_source, unpack
from imagekit.upstream_tests import driver

_TEST = "/test"
_SOURCE = f"{_TEST}/source"
_PACKAGES = f"{_TEST}/packages"

#: What the images' own environment is added to.
ENVIRONMENT: Mapping[str, str] = {
    "HOME": "/tmp",
    "LC_ALL": "C.UTF-8",
    # What a test prints and logs is shown with its traceback, by oslotest.
    "OS_LOG_CAPTURE": "1",
    "OS_STDERR_CAPTURE": "1",
    "OS_STDOUT_CAPTURE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONPATH": f"{_SOURCE}:{_PACKAGES}",
    "TZ": "UTC",
}

#: The exit codes of timeout(1) for a command that it stopped.
TIMED_OUT = (124, 137)


class TestEnvironmentError(ImagekitError):
    """Packages of tests that cannot be used."""

    __test__ = False


@dataclass(frozen=True)
class Ran:
    """What a run of the driver left; ``records`` is the text that it wrote."""

    finished: Finished
    records: str


@dataclass(frozen=True)
class TestEnvironment:
    """An image with the ``packages`` that only its tests need, and the patched ``source`` (a tar) that holds them."""

    __test__ = False

    rootfs: Rootfs
    config: ContainerConfig
    packages: Optional[Path]
    source: Path

    def run(self, test_path: str, tests: Optional[Sequence[str]], timeout: int) -> Ran:
        """Run ``tests`` below ``test_path``, or list all, for at most ``timeout`` seconds.

        They run as the image's user, in a copy of the source that they may write to, with no network but the loopback
        device. Raises :class:`~imagekit.sandbox.bwrap.SandboxError`.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tree = read_source(self.source)
            unpack(tree, tree, folder / "source")
            (folder / "out").mkdir()
            job = {"test_path": test_path, "tests": tests, "records": f"{_TEST}/out/records"}
            (folder / "job.json").write_text(json.dumps(job))
            finished = run_in_image_rootfs(
                self.rootfs,
                replace(self.config, entrypoint=(), working_dir=_SOURCE),
                ("timeout", "--kill-after=5", str(timeout), "python", "-P", f"{_TEST}/driver.py", f"{_TEST}/job.json"),
                mounts=(
                    Bind(folder / "source", _SOURCE, writable=True),
                    Bind(folder / "out", f"{_TEST}/out", writable=True),
                    Bind(folder / "job.json", f"{_TEST}/job.json"),
                    Bind(Path(driver.__file__).absolute(), f"{_TEST}/driver.py"),
                    *(() if self.packages is None else (Bind(self.packages, _PACKAGES),)),
                ),
                env=ENVIRONMENT,
                capture=True,
            )
            records = folder / "out" / "records"
            return Ran(finished, records.read_text() if records.exists() else "")


@contextmanager
def open_environment(
    layout: Path, packages: Optional[Path], source: Path, store: RootfsStore
) -> Iterator[TestEnvironment]:
    """The environment of the one image in ``layout`` and the layer file ``packages``, unpacked into ``store``.

    Raises :class:`TestEnvironmentError` and what :meth:`RootfsStore.rootfs` raises.
    """
    opened = Layout(layout)
    image = opened.read_image()
    with store.rootfs([opened.blob_path(layer.digest) for layer in image.manifest.layers]) as rootfs:
        if packages is None:
            yield TestEnvironment(rootfs, image.config.config, None, source)
            return
        with store.rootfs([packages]) as unpacked:
            yield TestEnvironment(rootfs, image.config.config, site_packages(unpacked.path), source)


def site_packages(root: Path) -> Path:
    """The one folder of packages in a virtual environment below ``root``; raises :class:`TestEnvironmentError`."""
    found: Tuple[Path, ...] = tuple(sorted(root.glob(f"{VENV.lstrip('/')}/lib/python3.*/site-packages")))
    if len(found) != 1:
        raise TestEnvironmentError(
            f"the layer with the tests' packages has {len(found)} folders {VENV}/lib/python3.*/site-packages, and must "
            "have one. Make it again."
        )
    return found[0]
