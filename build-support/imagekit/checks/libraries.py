"""Shared libraries: what each ELF file needs, and whether the loader would find it (elf(5), ld.so(8))."""

from __future__ import annotations

import mmap
import posixpath
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

from imagekit.checks.finding import Finding, Subject
from imagekit.checks.image_tree import ImageTree

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 1, 5, 15, 29
_MACHINES = {62: "x86_64-linux-gnu", 183: "aarch64-linux-gnu"}
_DEFAULT_FOLDERS = ("/lib", "/usr/lib", "/lib64", "/usr/lib64")


@dataclass(frozen=True)
class Dynamic:
    """The dynamic section of a 64-bit ELF file: its machine, what it needs, and where it looks first."""

    machine: int
    needed: Tuple[str, ...]
    search: Tuple[str, ...]


def read_dynamic(path: Path) -> Optional[Dynamic]:
    """``None`` for what is no little-endian 64-bit ELF file with a dynamic section."""
    with path.open("rb") as file:
        if file.read(6) != b"\x7fELF\x02\x01":
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _parse(data)
            except (struct.error, ValueError, UnicodeDecodeError):
                return None


def _parse(data: mmap.mmap) -> Optional[Dynamic]:
    (machine,) = struct.unpack_from("<H", data, 18)
    (headers,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    loads: List[Tuple[int, int, int]] = []
    dynamic: Optional[Tuple[int, int]] = None
    for index in range(count):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", data, headers + index * size)
        if kind == _PT_LOAD:
            loads.append((address, offset, length))
        elif kind == _PT_DYNAMIC:
            dynamic = (offset, length)
    if dynamic is None:
        return None
    tags: List[Tuple[int, int]] = []
    for position in range(dynamic[0], sum(dynamic), 16):
        tag, value = struct.unpack_from("<QQ", data, position)
        if tag == 0:
            break
        tags.append((tag, value))
    table = next((value for tag, value in tags if tag == _DT_STRTAB), None)
    for address, offset, length in loads:
        if table is not None and address <= table < address + length:
            strings = table - address + offset
            break
    else:
        return None

    def text(position: int) -> str:
        start = strings + position
        return data[start : data.find(b"\0", start)].decode()

    runpath = [text(value) for tag, value in tags if tag == _DT_RUNPATH]
    rpath = [text(value) for tag, value in tags if tag == _DT_RPATH]
    folders = tuple(folder for value in (runpath or rpath) for folder in value.split(":") if folder)
    return Dynamic(machine, tuple(text(value) for tag, value in tags if tag == _DT_NEEDED), folders)


def check_libraries(subject: Subject) -> Iterator[Finding]:
    """Every library that an ELF file needs is where the loader looks for it, for the same machine."""
    tree = subject.tree
    configured = tuple(_configured_folders(tree, "/etc/ld.so.conf", 0))
    machines: Dict[str, Optional[int]] = {}

    def machine_of(path: str) -> Optional[int]:
        if path not in machines:
            found = read_dynamic(tree.host_path(path))
            machines[path] = found.machine if found else None
        return machines[path]

    for node in tree.nodes:
        if not node.is_file:
            continue
        dynamic = read_dynamic(tree.host_path(node.path))
        if dynamic is None:
            continue
        multiarch = _MACHINES.get(dynamic.machine, "")
        own = posixpath.dirname(node.path)
        folders = (
            *(item.replace("$ORIGIN", own).replace("${ORIGIN}", own) for item in dynamic.search),
            *configured,
            *((f"/lib/{multiarch}", f"/usr/lib/{multiarch}") if multiarch else ()),
            *_DEFAULT_FOLDERS,
        )
        for name in dynamic.needed:
            candidates = (name,) if "/" in name else tuple(posixpath.join(folder, name) for folder in folders)
            if not any(machine_of(found) == dynamic.machine for found in map(tree.resolve, candidates) if found):
                yield Finding(
                    node.path,
                    f"its library {name!r} is not found",
                    "Add the system package that has it to `system_packages`.",
                )


def _configured_folders(tree: ImageTree, path: str, depth: int) -> Iterator[str]:
    host = tree.host_path(path)
    if depth > 4 or not host.is_file():
        return
    for line in host.read_text().splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["include"] and len(words) > 1:
            pattern = posixpath.join(posixpath.dirname(path), words[1])
            for found in sorted(tree.root.glob(pattern.lstrip("/"))):
                yield from _configured_folders(tree, "/" + found.relative_to(tree.root).as_posix(), depth + 1)
        elif words:
            yield words[0]
