"""Children in namespaces of their own: no network, no name for an outside process.

The process that starts them never unshares itself: a second unshare of a PID namespace is
EINVAL, so every child is made by one clone(2) with all flags.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
from pathlib import Path

from wassette_protocol.frames import Identity
from wassette_worker.sandbox.libc import PR_SET_DUMPABLE, check, prctl

# linux/sched.h
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
ALL = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS

# The kernel's tables arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h.
_CLONE = {"x86_64": 56, "aarch64": 220}

# PyDLL keeps the interpreter's lock across the call: the child must wake up holding it.
_holding_lock = ctypes.PyDLL(None, use_errno=True)
_holding_lock.syscall.restype = ctypes.c_long


def fork_into_namespaces(mapped: list[Identity]) -> int:
    """Like os.fork(), into new user, PID, network, IPC and UTS namespaces.

    `mapped`, for root only, are the users and groups of the new user namespace, the same on
    both sides; an ordinary user keeps its own.

    The C library's fork handlers are not run, so its cached thread id is stale in the child:
    nothing but a plain os.fork() or an exec should follow before threads or abort().

    Raises:
        OSError: The system refuses a namespace or its id map.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        pid = _clone()
        if pid == 0:
            _map_own_identity(uid, gid)
        return pid
    mapped_reader, mapped_writer = os.pipe()
    try:
        pid = _clone()
    except OSError:
        os.close(mapped_reader)
        os.close(mapped_writer)
        raise
    if pid == 0:
        os.close(mapped_writer)
        if os.read(mapped_reader, 1) != b"m":
            os._exit(1)
        os.close(mapped_reader)
        return 0
    os.close(mapped_reader)
    try:
        _map_child_identity(pid, mapped)
        os.write(mapped_writer, b"m")
    except OSError:
        os.close(mapped_writer)  # without the byte, so it ends by itself
        os.waitpid(pid, 0)
        raise
    os.close(mapped_writer)
    return pid


def _clone() -> int:
    number = _CLONE.get(platform.machine())
    if number is None:
        raise OSError(f"clone(2) has no number here for {platform.machine()}")
    flags = ctypes.c_ulong(ALL | signal.SIGCHLD)
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = int(_holding_lock.syscall(ctypes.c_long(number), flags, None, None, None, None))
    error = ctypes.get_errno()
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    ctypes.set_errno(error)
    return check(pid, "clone")


def _map_own_identity(uid: int, gid: int) -> None:
    """Without privileges: one id, and no setgroups (user_namespaces(7)).

    The files of /proc/self belong to root while the process isn't dumpable.
    """
    prctl(PR_SET_DUMPABLE, 1)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _map_child_identity(pid: int, mapped: list[Identity]) -> None:
    # Each once: the kernel refuses a map in which two ranges overlap.
    Path(f"/proc/{pid}/uid_map").write_text(_map({identity.uid for identity in mapped}))
    Path(f"/proc/{pid}/gid_map").write_text(_map({identity.gid for identity in mapped}))


def _map(ids: set[int]) -> str:
    return "".join(f"{number} {number} 1\n" for number in sorted(ids))


def refusal() -> str:
    """Why the system refuses the namespaces to a child of ours; empty if it grants them."""
    try:
        pid = fork_into_namespaces([Identity(0, 0)])
    except OSError as error:
        return str(error)
    if pid == 0:
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return "" if status == 0 else "the id map of a user namespace can't be written"
