"""The C library's calls that Python doesn't offer, with errno turned into OSError."""

from __future__ import annotations

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_SET_MDWE = 65
PR_GET_MDWE = 66
PR_MDWE_REFUSE_EXEC_GAIN = 1
PR_CAP_AMBIENT_CLEAR_ALL = 4


def check(result: int, what: str) -> int:
    """Return `result`, or raise the OSError that errno names.

    Raises:
        OSError: `result` is negative.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(option: int, *arguments: int) -> int:
    """One call, its arguments unsigned longs (prctl(2))."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return check(libc.prctl(option, *map(ctypes.c_ulong, padded)), f"prctl {option}")


def name_process(name: str) -> None:
    """Set what `ps -o comm` shows; at most 15 bytes (PR_SET_NAME)."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    check(libc.prctl(PR_SET_NAME, buffer, 0, 0, 0), "prctl PR_SET_NAME")
