"""What `doctor` has a worker try in the guest's place, after its whole lock-down.

Nothing here is reached by a guest, or by what a client asks for: the supervisor sends `Try` to a
worker that it started for this. Each attempt is one that a guest which broke out of the engine
would make; where it succeeds it does no harm.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
from typing import TYPE_CHECKING

from wassette_protocol.frames import Attempt
from wassette_worker.sandbox.libc import check, libc

if TYPE_CHECKING:
    from collections.abc import Callable

    from wassette_protocol.frames import Try

_PTRACE_SEIZE = 0x4206  # linux/ptrace.h

libc.ptrace.restype = ctypes.c_long
libc.process_vm_readv.restype = ctypes.c_ssize_t


def make(asked: Try) -> int:
    """Try it: the number of the error with which it was refused, or 0 if it could be done.

    A filter may end the process instead; an attempt to become another program may succeed.
    """
    try:
        _ATTEMPTS[asked.attempt](asked.target)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


class _Vector(ctypes.Structure):
    """struct iovec, sys/uio.h."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _read_file(path: str) -> None:
    os.close(os.open(path, os.O_RDONLY))


def _write_file(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _connect(port: str) -> None:
    with socket.socket() as peer:  # it waits as engines do: a filter has no row for a time-out
        peer.connect(("127.0.0.1", int(port)))


def _fork(_: str) -> None:
    if os.fork() == 0:
        os._exit(0)


def _execute(shell: str) -> None:
    os.execve(shell, [shell, "-c", ":"], {})  # noqa: S606 - to see that it is refused


def _map_executable(_: str) -> None:
    protection = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, protection).close()


def _trace(process: str) -> None:
    # It is let go when this process ends, which is next.
    zero = ctypes.c_long(0)
    check(libc.ptrace(_PTRACE_SEIZE, ctypes.c_int(int(process)), zero, zero), "ptrace")


def _read_memory(process: str) -> None:
    try:
        _read_file(f"/proc/{process}/mem")
    except OSError:
        _copy_memory(int(process))


def _copy_memory(process: int) -> None:
    byte = ctypes.create_string_buffer(1)
    ours, theirs = _Vector(ctypes.addressof(byte), 1), _Vector(id(None), 1)
    one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
    copied = libc.process_vm_readv(
        ctypes.c_int(process), ctypes.byref(ours), one, ctypes.byref(theirs), one, none
    )
    # An interpreter of its own has nothing at that place; but it was looked at.
    if copied < 0 and ctypes.get_errno() != errno.EFAULT:
        check(-1, "process_vm_readv")


_ATTEMPTS: dict[Attempt, Callable[[str], None]] = {
    Attempt.READ_FILE: _read_file,
    Attempt.WRITE_FILE: _write_file,
    Attempt.CONNECT: _connect,
    Attempt.FORK: _fork,
    Attempt.EXECUTE: _execute,
    Attempt.MAP_EXECUTABLE: _map_executable,
    Attempt.TRACE: _trace,
    Attempt.READ_MEMORY: _read_memory,
}
