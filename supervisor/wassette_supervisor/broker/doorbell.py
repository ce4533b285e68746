"""Answering the connect() of a worker: its socket becomes one end of a pair, we keep the other.

The kernel tells each connect() on the worker's notify descriptor (seccomp_unotify(2)), which is all
that says whose it is. The address that the worker named is not looked at. Each is answered, and
never by letting it happen.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import fcntl
import os
import select
import socket
import struct

_READ, _WRITE = 2, 1  # asm-generic/ioctl.h


def _request(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("!") << 8 | number


# linux/seccomp.h: struct seccomp_notif with its struct seccomp_data, seccomp_notif_resp,
# seccomp_notif_addfd. The number of a request has the size in it: a kernel with others refuses it.
_TOLD = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_PLANT = struct.Struct("=QIIII")
RECEIVE = _request(_READ | _WRITE, 0, _TOLD.size)
SEND = _request(_READ | _WRITE, 1, _ANSWER.size)
PLANT = _request(_WRITE, 3, _PLANT.size)
_OVER_A_NUMBER = 1  # SECCOMP_ADDFD_FLAG_SETFD

# The number of connect() and the name of the processor, linux/audit.h.
_CONNECTS = {"x86_64": (42, 0xC000_003E), "aarch64": (203, 0xC000_00B7)}
_CONNECT = _CONNECTS.get(os.uname().machine)

# Both ends: the engine in the worker had made its own socket so.
_KIND = socket.SOCK_STREAM | socket.SOCK_NONBLOCK


class Bell(enum.Enum):
    SILENT = enum.auto()
    RINGS = enum.auto()
    GONE = enum.auto()  # no process is left that could ring


def state(notify: int) -> Bell:
    """What is on a notify descriptor now.

    To be asked before each answer: a notification is waited for if none is there.
    """
    poll = select.poll()
    poll.register(notify, select.POLLIN)
    events = [event for _, event in poll.poll(0)]
    if not events:
        return Bell.SILENT
    return Bell.RINGS if events[0] & select.POLLIN else Bell.GONE


def answer(notify: int, refused: int = 0) -> socket.socket | None:
    """Answer the connect() that waits there, by an error if one is given.

    Returns our end; or None if the worker got an error, or doesn't wait any more.
    """
    told = bytearray(_TOLD.size)
    with contextlib.suppress(OSError):  # ENOENT: it was interrupted, or ended
        fcntl.ioctl(notify, RECEIVE, told)
        cookie, _, _, call, processor, _, number, *_ = _TOLD.unpack(told)
        if (call, processor) != _CONNECT:
            refused = errno.EACCES
        ours, error = (None, refused) if refused else _planted(notify, cookie, number)
        try:
            fcntl.ioctl(notify, SEND, bytearray(_ANSWER.pack(cookie, 0, -error, 0)))
        except OSError:
            if ours is not None:
                ours.close()
            raise
        return ours
    return None


def _planted(notify: int, cookie: int, number: int) -> tuple[socket.socket | None, int]:
    """Put one end of a new pair over the caller's descriptor; the other one, or an error."""
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, _KIND)
    except OSError as error:  # no descriptor is left
        return None, error.errno or errno.EMFILE
    with theirs:
        place = number & 0xFFFF_FFFF  # as the kernel reads a descriptor
        plant = _PLANT.pack(cookie, _OVER_A_NUMBER, theirs.fileno(), place, os.O_CLOEXEC)
        try:
            fcntl.ioctl(notify, PLANT, plant)
        except OSError as error:  # a number that it can't have; or it doesn't wait any more
            ours.close()
            return None, error.errno or errno.EBADF
    return ours, 0
