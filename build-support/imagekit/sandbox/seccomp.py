"""A system call filter under which writes are not forced to disk.

dpkg waits for the disk about twenty times for each package, even with ``--force-unsafe-io``. A root file system that is
thrown away when the machine crashes has no use for that.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Mapping, Optional, Tuple

# linux/seccomp.h, linux/bpf_common.h
_LOAD_WORD = 0x20
_JUMP_IF_EQUAL = 0x15
_RETURN = 0x06
_OFFSET_OF_NUMBER = 0
_OFFSET_OF_ARCHITECTURE = 4
_ALLOW = 0x7FFF0000
#: The call is not made and returns 0.
_SUCCEED = 0x00050000


@dataclass(frozen=True)
class _Machine:
    """AUDIT_ARCH of linux/audit.h, and the numbers of sync, fsync, fdatasync, syncfs, sync_file_range and msync."""

    audit: int
    calls: Tuple[int, ...]


_MACHINES: Mapping[str, _Machine] = {
    "x86_64": _Machine(0xC000003E, (162, 74, 75, 306, 277, 26)),
    "aarch64": _Machine(0xC00000B7, (81, 82, 83, 267, 84, 227)),
}


def filter_without_sync(machine: Optional[str] = None) -> Optional[bytes]:
    """The BPF program for bubblewrap's ``--seccomp``; ``None`` for a machine (default: this one) that is not known.

    Processes of another architecture keep their calls.
    """
    known = _MACHINES.get(os.uname().machine if machine is None else machine)
    if known is None:
        return None
    count = len(known.calls)
    program = [
        (_LOAD_WORD, 0, 0, _OFFSET_OF_ARCHITECTURE),
        (_JUMP_IF_EQUAL, 0, count + 1, known.audit),
        (_LOAD_WORD, 0, 0, _OFFSET_OF_NUMBER),
        *((_JUMP_IF_EQUAL, count - index, 0, call) for index, call in enumerate(known.calls)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _SUCCEED),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
