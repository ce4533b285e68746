"""Runs a filter as the kernel's machine does, so that one for another processor can be asked."""

from __future__ import annotations

import struct


def run(code: bytes, architecture: int, call: int, arguments: tuple[int, ...] = ()) -> int:
    """The action for a call; an instruction that no filter of ours has is an error."""
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("=iIQ6Q", call, architecture, 0, *padded)
    taken, at = 0, 0
    while True:
        kind, if_true, if_false, value = struct.unpack_from("=HBBI", code, at * 8)
        at += 1
        match kind:
            case 0x20:
                [taken] = struct.unpack_from("=I", data, value)
            case 0x54:
                taken &= value
            case 0x15:
                at += if_true if taken == value else if_false
            case 0x35:
                at += if_true if taken >= value else if_false
            case 0x06:
                return int(value)
            case _:
                raise ValueError(f"instruction {kind:#x}")
