"""Handles on places of the file system, each opened by one name below another handle.

A handle opens nothing (O_PATH): it pins what was judged, so that it can't be exchanged before it
is used. No name leads through a link, or onto another mount.
"""

from __future__ import annotations

import ctypes
import os
import struct

from wassette_worker.sandbox.libc import libc

_OPENAT2 = 437  # the same on all processors (include/uapi/asm-generic/unistd.h)
# linux/openat2.h
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x01, 0x02, 0x04, 0x08
_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# struct open_how: flags, mode, resolve
_HOW = struct.pack("=QQQ", _HANDLE, 0, _NO_XDEV | _NO_MAGICLINKS | _BENEATH)

_AT_SYMLINK_NOFOLLOW, _UTIME_NOW, _UTIME_OMIT = 0x100, (1 << 30) - 1, (1 << 30) - 2

_syscall = libc.syscall
_how = ctypes.create_string_buffer(_HOW, len(_HOW))
_how_far = ctypes.create_string_buffer(
    struct.pack("=QQQ", _HANDLE | os.O_DIRECTORY, 0, _NO_XDEV | _NO_SYMLINKS | _BENEATH), len(_HOW)
)
_size = ctypes.c_size_t(len(_HOW))
_number = ctypes.c_long(_OPENAT2)


def step(directory: int, name: bytes) -> int:
    """A handle on the entry of this name, a link included; never on another mount.

    Raises:
        OSError: There is none; it is where something is mounted (EXDEV).
    """
    found: int = _syscall(_number, ctypes.c_int(directory), name, _how, _size)
    if found < 0:
        raise OSError(ctypes.get_errno(), "openat2")
    return found


def descend(directory: int, path: bytes) -> int:
    """A handle on a directory that a path of plain names leads to, none of them a link.

    Raises:
        OSError: One is a link (ELOOP), or where something is mounted; or there is none.
    """
    found: int = _syscall(_number, ctypes.c_int(directory), path, _how_far, _size)
    if found < 0:
        raise OSError(ctypes.get_errno(), "openat2")
    return found


def link_text(link: int) -> bytes:
    """Where a link leads, by a handle on the link itself."""
    return os.readlink(b"", dir_fd=link)


def set_times(directory: int, name: bytes | None, times: tuple[int | None, int | None]) -> None:
    """Set access and modification time of an entry, or of the open file itself.

    Args:
        directory: The handle that the name is looked up in, or an open file.
        name: Of the entry, which is not followed; None: the open file.
        times: Nanoseconds since the epoch; -1 is now, None leaves it as it is.
    """
    values = b"".join(_timespec(each) for each in times)
    number, flags = ctypes.c_int(directory), ctypes.c_int(_AT_SYMLINK_NOFOLLOW)
    # utimensat(3) of the library takes no empty name, other than that of the kernel.
    done = (
        libc.futimens(number, values)
        if name is None
        else libc.utimensat(number, name, values, flags)
    )
    if done < 0:
        raise OSError(ctypes.get_errno(), "utimensat")


NOW = -1


def _timespec(nanoseconds: int | None) -> bytes:
    if nanoseconds is None:
        return struct.pack("=qq", 0, _UTIME_OMIT)
    if nanoseconds == NOW:
        return struct.pack("=qq", 0, _UTIME_NOW)
    return struct.pack("=qq", *divmod(nanoseconds, 1_000_000_000))
