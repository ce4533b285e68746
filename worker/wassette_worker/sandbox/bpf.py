"""Programs for the kernel's packet-filter machine, as seccomp(2) runs them on each system call.

Nothing here knows a system call: it only lays out instructions. Every jump goes a few
instructions ahead, past one answer, so that a program can be read from top to bottom.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

# linux/bpf_common.h
_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

_INSTRUCTION = struct.Struct("=HBBI")

# struct seccomp_data, linux/seccomp.h
NUMBER, ARCHITECTURE = 0, 4
_ARGUMENTS = 16

MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS


class Instruction(NamedTuple):
    code: int
    if_true: int  # instructions to skip
    if_false: int
    value: int


def load(offset: int) -> Instruction:
    """Take 32 bits of what is known of the call."""
    return Instruction(_LOAD, 0, 0, offset)


def load_argument(index: int) -> Instruction:
    """Take the lower half of an argument: all that the kernel looks at where we ask.

    Both processors known to us are little-endian.
    """
    return load(_ARGUMENTS + 8 * index)


def keep_bits(mask: int) -> Instruction:
    return Instruction(_AND, 0, 0, mask)


def unless_equal(value: int, skip: int) -> Instruction:
    """Skip the next ones unless what was taken is this."""
    return Instruction(JUMP_EQUAL, 0, skip, value)


def unless_at_least(value: int, skip: int) -> Instruction:
    return Instruction(JUMP_AT_LEAST, 0, skip, value)


def answer(action: int) -> Instruction:
    return Instruction(_RETURN, 0, 0, action)


def encode(program: list[Instruction]) -> bytes:
    """The bytes that the kernel takes.

    Raises:
        ValueError: It is longer than the kernel takes.
    """
    if len(program) > MAX_INSTRUCTIONS:
        raise ValueError(f"a filter of {len(program)} instructions")
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in program)
