"""Byte-compile a tree; run by the interpreter that will use it, as ``python byte_compile.py DIRECTORY``.

Standard library only. Unchecked-hash byte code (PEP 552) holds no time and is never compared with its source, so it is
valid wherever and whenever its layer is unpacked. Run it with ``PYTHONHASHSEED=0``: the order of constant sets depends
on it.
"""

import os
import py_compile
import sys
from typing import Iterator


def sources(folder: str) -> Iterator[str]:
    """The Python files below ``folder``, sorted: byte code depends on what was compiled before it in a process."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                yield os.path.join(parent, name)


def byte_compile(folder: str) -> None:
    """Write the byte code of every Python file below ``folder`` that compiles."""
    for source in sources(folder):
        try:
            py_compile.compile(source, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        except (py_compile.PyCompileError, ValueError):
            # Wheels carry templates and code of other versions; only importing them would be an error.
            continue


if __name__ == "__main__":
    byte_compile(sys.argv[1])
