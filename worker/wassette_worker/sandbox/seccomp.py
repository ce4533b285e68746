"""A process' filter of system calls (seccomp(2)): built from the rows, once, and put in force."""

from __future__ import annotations

import ctypes
import os
import struct
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from wassette_worker.sandbox import bpf
from wassette_worker.sandbox.libc import check, libc
from wassette_worker.sandbox.profiles import OWN_PID, Profile, Row, Test, rows_of
from wassette_worker.sandbox.syscall_numbers import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

# linux/seccomp.h
_SET_MODE_FILTER = 1
_TSYNC, _NEW_LISTENER, _TSYNC_ESRCH = 1 << 0, 1 << 3, 1 << 4
_GET_ACTION_AVAIL = 2
KILL_PROCESS = 0x8000_0000
USER_NOTIF = 0x7FC0_0000
ERRNO = 0x0005_0000
ALLOW = 0x7FFF_0000

# linux/audit.h
ARCHITECTURES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
# Numbers from here on are those of x32, which share x86_64's name (asm/unistd.h).
X32 = 0x4000_0000

_PROGRAM = struct.Struct("HxxxxxxP")  # struct sock_fprog, linux/filter.h

# Asked for once: under a filter it is one call too many.
_MACHINE = os.uname().machine


class Filter(NamedTuple):
    """An encoded program; `own_pid` are the places at which the process' own number stands."""

    code: bytes
    own_pid: tuple[int, ...]

    def of(self, pid: int) -> bytes:
        """The program for this process."""
        code = bytearray(self.code)
        for place in self.own_pid:
            struct.pack_into("=I", code, place, pid)
        return bytes(code)


@cache
def build(profile: Profile, machine: str) -> Filter:
    """The filter that lets through what the rows of any of these profiles allow.

    Raises:
        OSError: The numbers of this processor's calls are not known here.
    """
    if machine not in ARCHITECTURES:
        raise OSError(f"no system call has a number here for {machine}")
    program = [
        bpf.load(bpf.ARCHITECTURE),
        bpf.unless_equal(ARCHITECTURES[machine], 2),
        bpf.load(bpf.NUMBER),
        bpf.unless_at_least(X32, 1),
        bpf.answer(KILL_PROCESS),
    ]
    for call, rows in groupby(sorted(rows_of(profile), key=_call), _call):
        number = getattr(NUMBERS[call], machine)
        if number is not None:
            answer = list(_answer(list(rows)))
            program += [bpf.unless_equal(number, len(answer)), *answer]
    program.append(bpf.answer(KILL_PROCESS))
    own_pid = [place * 8 + 4 for place, step in enumerate(program) if step.value == OWN_PID]
    plain = [step._replace(value=step.value & 0xFFFF_FFFF) for step in program]
    return Filter(bpf.encode(plain), tuple(own_pid))


def _call(row: Row) -> str:
    return row.call


def _answer(rows: list[Row]) -> Iterator[bpf.Instruction]:
    """What a call gets, by its arguments where they matter."""
    if rows[0].notified:
        yield bpf.answer(USER_NOTIF)
        return
    allowing = [row for row in rows if not row.refused]
    if any(not row.tests for row in allowing):
        yield bpf.answer(ALLOW)
        return
    for row in allowing:
        steps: list[bpf.Instruction] = [bpf.answer(ALLOW)]
        for test in reversed(row.tests):
            steps = [*_look_at(test), bpf.unless_equal(test.value, len(steps)), *steps]
        yield from steps
    refused = [row.refused for row in rows if row.refused]
    yield bpf.answer(ERRNO | refused[0] if refused else KILL_PROCESS)


def _look_at(test: Test) -> Iterator[bpf.Instruction]:
    yield bpf.load_argument(test.argument)
    if test.mask != 0xFFFF_FFFF:
        yield bpf.keep_bits(test.mask)


def build_ahead() -> None:
    """Build every filter of this processor: a child that is forked from here on has them."""
    for profile in Profile:
        build(profile, _MACHINE)
    for storage in (Profile.RUNTIME, Profile.FILES, Profile.CHANGES):
        for more in (Profile(0), Profile.NETWORK):
            build(storage | more, _MACHINE)
            build(Profile.TEMPLATE | storage | more, _MACHINE)


def restrict(profile: Profile) -> None:
    """Put the filter in force; it stays, and later ones can only take away from it.

    Calls that somebody is to be told of fail with ENOSYS: nobody is.

    Raises:
        OSError: The kernel refuses it.
    """
    _install(build(profile, _MACHINE).of(os.getpid()), 0)


def restrict_told(profile: Profile) -> int:
    """As `restrict`: the descriptor of whoever answers the calls that somebody is told of.

    Of several filters that tell of a call, the last one's listener answers.

    Raises:
        OSError: The kernel refuses it; EBUSY if somebody listens already, as some container
            runtimes do, for a process has one listener.
    """
    flags = _NEW_LISTENER | _TSYNC | _TSYNC_ESRCH
    return _install(build(profile, _MACHINE).of(os.getpid()), flags)


def listen_only() -> int:
    """A listener of a filter that lets everything through, and tells of nothing.

    Raises:
        OSError: The kernel refuses it.
    """
    return _install(bpf.encode([bpf.answer(ALLOW)]), _NEW_LISTENER | _TSYNC | _TSYNC_ESRCH)


def _install(code: bytes, flags: int) -> int:
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _PROGRAM.pack(len(code) // 8, ctypes.addressof(buffer))
    return _seccomp(_SET_MODE_FILTER, program, flags)


def refusal() -> str:
    """Why a filter can't end a process here; empty if it can."""
    try:
        build(Profile.COMPUTE, _MACHINE)
        _seccomp(_GET_ACTION_AVAIL, struct.pack("=I", KILL_PROCESS))
    except OSError as error:
        return str(error)
    return ""


def _seccomp(operation: int, argument: bytes, flags: int = 0) -> int:
    number = ctypes.c_long(getattr(NUMBERS["seccomp"], _MACHINE))
    made = libc.syscall(number, ctypes.c_uint(operation), ctypes.c_uint(flags), argument)
    return check(made, "seccomp")
