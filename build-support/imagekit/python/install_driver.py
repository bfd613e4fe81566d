"""Installs one wheel inside a root file system: ``python -m imagekit.python.install_driver JOB``.

Run by the interpreter that the image has, where only this module, ``byte_compile`` and the package ``installer`` are to
be had. Paths are those of the image, so scripts and byte code hold the right ones. ``JOB`` is a JSON file.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Dict, Iterator, List

import installer
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelContentElement, WheelFile

from imagekit.python import byte_compile

#: A distribution's own unit tests: ``keystone/tests``, not ``keystone/common/tests``.
UNIT_TESTS = re.compile(r"[^/]+/tests/")


#: The member of a wheel that becomes a file of the virtual environment's ``bin``.
SCRIPT = re.compile(r"[^/]+\.data/scripts/")

#: The member of a wheel that only a compiler reads.
HEADER = re.compile(r"[^/]+\.data/headers/")


class RuntimeFiles(WheelFile):
    """A wheel as if it had been built without headers.

    Its scripts are executable, also where it was put together on a system that has no such bit.
    """

    def get_contents(self) -> Iterator[WheelContentElement]:
        for record, stream, executable in super().get_contents():
            if not HEADER.match(record[0]):
                yield record, stream, executable or bool(SCRIPT.match(record[0]))


class WithoutTests(RuntimeFiles):
    """A wheel as if it had been built without its unit tests: they are not in the installed RECORD either."""

    def get_contents(self) -> Iterator[WheelContentElement]:
        for element in super().get_contents():
            if not UNIT_TESTS.match(element[0][0]):
                yield element


def schemes(prefix: str, distribution: str) -> Dict[str, str]:
    """Where the kinds of files of a wheel go below ``prefix``.

    Said here rather than asked of ``sysconfig``, whose answer for the system's interpreter is the distribution's.
    """
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = f"{prefix}/lib/{python}/site-packages"
    return {
        "purelib": packages,
        "platlib": packages,
        "scripts": f"{prefix}/bin",
        "data": prefix,
        "headers": f"{prefix}/include/site/{python}/{distribution}",
    }


def main(arguments: List[str]) -> None:
    with open(arguments[0], encoding="utf-8") as file:
        job = json.load(file)
    prefix = job["prefix"]
    opened = WithoutTests if job["exclude_tests"] else RuntimeFiles
    with opened.open(job["wheel"]) as wheel:
        installer.install(
            source=wheel,
            destination=SchemeDictionaryDestination(schemes(prefix, wheel.distribution), f"{prefix}/bin/python", "posix"),
            additional_metadata={},
        )
    byte_compile.byte_compile(os.path.join(prefix, "lib"))


if __name__ == "__main__":
    main(sys.argv[1:])
