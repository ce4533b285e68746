"""What the kernel offers to this user, asked by calls that change nothing."""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

from wassette_supervisor.doctor.check import Found, lacking, there
from wassette_supervisor.pool import cgroup
from wassette_supervisor.pool.process import Process
from wassette_supervisor.store import files

_PATIENCE_S = 20

# linux/prctl.h
_PR_GET_PDEATHSIG = 2
_PR_GET_NO_NEW_PRIVS = 39
_PR_GET_MDWE = 66
# linux/landlock.h; the number is the same on all processors.
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_CREATE_RULESET_VERSION = 1
_SO_PASSPIDFD = 76  # asm-generic/socket.h

# linux/sched.h, by the names that they have in /proc.
NAMESPACES = {
    "user": 0,  # the others are asked for together with it
    "pid": 0x20000000,
    "net": 0x40000000,
    "ipc": 0x08000000,
    "uts": 0x04000000,
}
_UNSHARE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for flag in map(int, sys.argv[1:]):
    pid = os.fork()
    if pid == 0:
        refused = libc.unshare(ctypes.c_int(0x10000000 | flag))
        os._exit(min(ctypes.get_errno(), 255) if refused else 0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def namespaces() -> dict[str, Found]:
    """Whether each is granted to a process of this user; each is tried in a child that ends."""
    flags = [str(flag) for flag in NAMESPACES.values()]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and program
            [sys.executable, "-I", "-c", _UNSHARE, *flags],
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=True,
        )
        statuses = [int(line) for line in done.stdout.split()]
        results = dict(zip(NAMESPACES, statuses, strict=True))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return dict.fromkeys(NAMESPACES, lacking(f"it could not be tried: {error}"))
    return {
        name: lacking(_refusal(status)) if status else there("a child was given one")
        for name, status in results.items()
    }


def _refusal(status: int) -> str:
    why = os.strerror(status) if status > 0 else "the child was killed"
    return f"unshare(2) is refused: {why}{_restriction()}"


def _restriction() -> str:
    """The setting of the system that most likely refuses them."""
    for name, value in {
        "kernel/unprivileged_userns_clone": "0",
        "kernel/apparmor_restrict_unprivileged_userns": "1",
        "user/max_user_namespaces": "0",
    }.items():
        try:
            if Path("/proc/sys", name).read_text().strip() == value:
                return f"; sysctl {name.replace('/', '.')} is {value}"
        except OSError:
            continue
    return ""


def seccomp() -> Found:
    try:
        actions = Path("/proc/sys/kernel/seccomp/actions_avail").read_text().split()
    except OSError as error:
        return lacking(f"the kernel names no seccomp actions: {error.strerror}")
    wanted = {"kill_process", "errno", "user_notif"}
    if missing := wanted - set(actions):
        return lacking(f"the kernel lacks {', '.join(sorted(missing))}")
    return there(f"the kernel knows {', '.join(actions)}")


def landlock() -> Found:
    version = _libc.syscall(
        ctypes.c_long(_LANDLOCK_CREATE_RULESET),
        None,
        ctypes.c_size_t(0),
        ctypes.c_uint32(_LANDLOCK_CREATE_RULESET_VERSION),
    )
    if version < 0:
        why = os.strerror(ctypes.get_errno())
        return lacking(f"landlock_create_ruleset(2) is refused: {why}")
    return there(f"landlock_create_ruleset(2) tells ABI {version}", f"ABI {version}")


def parent_death_signal() -> Found:
    signal = ctypes.c_int()
    result = _libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(signal), 0, 0, 0)
    return _prctl(result)


def no_new_privileges() -> Found:
    return _prctl(_libc.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))


def no_executable_memory() -> Found:
    return _prctl(_libc.prctl(_PR_GET_MDWE, 0, 0, 0, 0))


def _prctl(result: int) -> Found:
    if result < 0:
        return lacking(f"prctl(2) is refused: {os.strerror(ctypes.get_errno())}")
    return there("prctl(2) knows it")


def limits() -> Found:
    if not hasattr(resource, "RLIMIT_DATA"):
        return lacking("setrlimit(2) has no RLIMIT_DATA")
    return there("setrlimit(2) has RLIMIT_DATA")


def pidfd() -> Found:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return lacking(f"pidfd_open(2) is refused: {error.strerror}")
    return there("pidfd_open(2) gave one")


def pidfd_of_sender() -> Found:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        try:
            ours.setsockopt(socket.SOL_SOCKET, _SO_PASSPIDFD, 1)
        except OSError as error:
            return lacking(f"SO_PASSPIDFD is refused (Linux 6.5 has it): {error.strerror}")
    return there("a socket took SO_PASSPIDFD")


def exit_status() -> Found:
    """Whether the kernel tells how a process ended of which only a pidfd is held."""
    child = subprocess.Popen([sys.executable, "-I", "-c", ""], env={})
    try:
        descriptor = os.pidfd_open(child.pid)
    except OSError as error:
        return lacking(f"pidfd_open(2) is refused: {error.strerror}")
    else:
        child.wait(_PATIENCE_S)
        told = Process(descriptor).exit_status()
        os.close(descriptor)
    finally:
        child.kill()
        child.wait()
    if told != 0:
        return lacking("PIDFD_GET_INFO doesn't tell how a child ended; Linux 6.15 does")
    return there("PIDFD_GET_INFO told how a child ended")


def sealed_memory() -> Found:
    try:
        with files.new_memory("doctor") as memory:
            os.close(files.seal(memory))
    except OSError as error:
        return lacking(f"memfd_create(2) or its seals are refused: {error.strerror}")
    return there("a memfd was sealed")


def control_group() -> Found:
    """Whether this process may divide the memory of its own group."""
    try:
        folder = cgroup.find()
    except cgroup.UnavailableError as error:
        return lacking(str(error))
    return there(f"the group {folder} is delegated to this process")
