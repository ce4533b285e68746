"""More processes, other programs, code of one's own."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from typing import TYPE_CHECKING

from support.deeds import raw
from support.deeds.catalogue import deed
from support.deeds.raw import AT_FDCWD, PAGE, at, call, needs_x86_64

if TYPE_CHECKING:
    from support.deeds.catalogue import Scene

# linux/sched.h
_CLONE_PARENT, _CLONE_NEWUSER = 0x8000, 0x10000000
# asm-generic/mman-common.h
_READ, _WRITE, _EXEC = 1, 2, 4
_SHARED, _PRIVATE, _ANONYMOUS = 1, 2, 32
_PROGRAM = "/bin/true"


def _ends(pid: int) -> None:
    if pid == 0:
        os._exit(0)


# --- processes ------------------------------------------------------------------------------


@deed("processes")
def fork(_: Scene) -> None:
    _ends(os.fork())


@deed("processes")
def vfork(_: Scene) -> None:
    needs_x86_64()
    raw.run_code(raw.VFORK)


@deed("processes")
def clone(_: Scene) -> None:
    _ends(call("clone", signal.SIGCHLD, 0, 0, 0, 0))


@deed("processes")
def clone_a_sibling(_: Scene) -> None:
    _ends(call("clone", signal.SIGCHLD | _CLONE_PARENT, 0, 0, 0, 0))


@deed("processes")
def clone3(_: Scene) -> None:
    arguments = struct.pack("=QQQQQQQQ", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    _ends(call("clone3", arguments, len(arguments)))


@deed("processes")
def spawn(_: Scene) -> None:
    os.posix_spawn(_PROGRAM, [_PROGRAM], {})


# --- other programs -------------------------------------------------------------------------


@deed("other programs")
def execute(_: Scene) -> None:
    call("execve", _PROGRAM.encode(), 0, 0)


@deed("other programs")
def execute_by_descriptor(_: Scene) -> None:
    call("execveat", AT_FDCWD, _PROGRAM.encode(), 0, 0, 0)


@deed("other programs")
def execute_what_has_no_name(_: Scene) -> None:
    """A program that it wrote itself, to memory."""
    number = os.memfd_create("program", os.MFD_CLOEXEC)
    with open(_PROGRAM, "rb") as source:  # noqa: PTH123 - as little as can be between the calls
        os.write(number, source.read())
    call("execveat", number, b"", 0, 0, 0x1000)  # AT_EMPTY_PATH


# --- executable memory ----------------------------------------------------------------------


def _map(protection: int, flags: int = _PRIVATE | _ANONYMOUS, number: int = -1) -> int:
    return call("mmap", 0, PAGE, protection, flags, number, 0)


@deed("executable memory")
def map_executable(_: Scene) -> None:
    _map(_READ | _WRITE | _EXEC)


@deed("executable memory")
def map_executable_only(_: Scene) -> None:
    _map(_READ | _EXEC)


@deed("executable memory")
def make_written_memory_executable(_: Scene) -> None:
    call("mprotect", _map(_READ | _WRITE), PAGE, _READ | _EXEC)


@deed("executable memory")
def make_written_memory_executable_with_a_key(_: Scene) -> None:
    call("pkey_mprotect", _map(_READ | _WRITE), PAGE, _READ | _EXEC, -1)


@deed("executable memory")
def map_executable_what_has_no_name(_: Scene) -> None:
    number = os.memfd_create("code", os.MFD_CLOEXEC)
    os.ftruncate(number, PAGE)
    _map(_READ | _EXEC, _SHARED, number)


@deed("executable memory")
def rewrite_code(_: Scene) -> None:
    """Code that was mapped before the lock-down: writable, and executable again."""
    needs_x86_64()
    call("mprotect", raw.CODE, PAGE, _READ | _WRITE)
    ctypes.memmove(at(raw.CODE + 256), b"\xc3", 1)
    call("mprotect", raw.CODE, PAGE, _READ | _EXEC)


@deed("executable memory")
def move_code_and_rewrite_it(_: Scene) -> None:
    """The same, at another place."""
    needs_x86_64()
    place = _map(_READ | _WRITE)
    call("mremap", raw.CODE, PAGE, PAGE, 3, place)  # MREMAP_MAYMOVE | MREMAP_FIXED
    call("mprotect", place, PAGE, _READ | _WRITE | _EXEC)


@deed("executable memory")
def have_all_that_is_read_executable(_: Scene) -> None:
    call("personality", 0x0400000)  # READ_IMPLIES_EXEC


# --- other gates into the kernel ------------------------------------------------------------


@deed("other gates")
def call_as_a_32_bit_program(_: Scene) -> None:
    needs_x86_64()
    raw.run_code(raw.INT80)


@deed("other gates")
def call_by_a_ring(_: Scene) -> None:
    os.close(call("io_uring_setup", 1, bytes(120)))


@deed("other gates")
def call_asynchronously(_: Scene) -> None:
    call("io_setup", 1, ctypes.byref(ctypes.c_ulong()))


@deed("other gates")
def have_faults_handled(_: Scene) -> None:
    os.close(call("userfaultfd", os.O_CLOEXEC | 1))  # UFFD_USER_MODE_ONLY


@deed("other gates")
def load_a_program_into_the_kernel(_: Scene) -> None:
    # struct bpf_attr of BPF_MAP_CREATE, linux/bpf.h: an array of one value.
    os.close(call("bpf", 0, struct.pack("=IIIII44x", 2, 4, 4, 1, 0), 64))


@deed("other gates")
def count_events(_: Scene) -> None:
    # struct perf_event_attr, linux/perf_event.h: a software event, without the kernel's part.
    attributes = struct.pack("=IIQQQQQ72x", 1, 120, 0, 0, 0, 0, 1 << 5 | 1 << 6)
    os.close(call("perf_event_open", attributes, 0, -1, -1, 0))
