from __future__ import annotations

import struct

import pytest

from imagekit.sandbox.seccomp import filter_without_sync

ALLOW, SUCCEED = 0x7FFF0000, 0x00050000


def run(program: bytes, architecture: int, number: int) -> int:
    """What the kernel's BPF machine returns for a system call."""
    instructions = list(struct.iter_unpack("=HBBI", program))
    data = {0: number, 4: architecture}
    accumulator = position = 0
    while True:
        code, if_true, if_false, value = instructions[position]
        position += 1
        if code == 0x20:
            accumulator = data[value]
        elif code == 0x15:
            position += if_true if accumulator == value else if_false
        else:
            return int(value)


@pytest.mark.parametrize(
    "machine, audit, syncs, others",
    [
        ("x86_64", 0xC000003E, (26, 74, 75, 162, 277, 306), (0, 1, 73, 76, 161, 163)),
        ("aarch64", 0xC00000B7, (81, 82, 83, 84, 227, 267), (0, 64, 80, 85)),
    ],
)
def test_only_calls_that_wait_for_the_disk_are_skipped(
    machine: str, audit: int, syncs: "tuple[int, ...]", others: "tuple[int, ...]"
) -> None:
    program = filter_without_sync(machine)
    assert program is not None
    assert {run(program, audit, number) for number in syncs} == {SUCCEED}
    assert {run(program, audit, number) for number in others} == {ALLOW}


def test_another_architecture_keeps_its_calls() -> None:
    program = filter_without_sync("x86_64")
    assert program is not None
    assert run(program, 0x40000003, 74) == ALLOW


def test_an_unknown_machine_has_no_filter() -> None:
    assert filter_without_sync("riscv64") is None
