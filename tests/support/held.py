"""A process that takes the product's own steps, all of them, and then does a deed in native code.

It stands where a guest would be that broke out of its engine. It has no namespaces: what holds it
then holds on a system that forbids them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from wassette_worker.sandbox.profiles import Profile

# What the steps need of a worker's place; `NUMBER` are the numbers of calls that no row has.
_PROGRAM = """
import ctypes, errno, fcntl, json, mmap, os, signal, socket, sys
from wassette_protocol.capabilities import Reach, Storage
from wassette_worker.sandbox import lists, lockdown, seccomp
from wassette_worker.sandbox.doorbell import Bell
from wassette_worker.sandbox.placement import Placement
from wassette_worker.sandbox.profiles import Profile

told = json.loads(sys.argv[1])
profile = Profile(told["profile"])
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
place = Placement(False, None, os.getppid())
NUMBER = told["numbers"]
folder = told["folder"]
reach = Reach(read=True, write=told["storage"] == "write")
hull = [(os.open(folder, os.O_PATH), reach)] if folder else []
storage = Storage(told["storage"])
if told["without_filter"]:
    seccomp.restrict = lambda _: None
network = bool(profile & Profile.NETWORK)
bell = Bell()
deed = compile(told["deed"], "deed", "exec")

def nothing():
    pass

def ask(call, *arguments):
    # The error's name, or what was returned.
    result = libc.syscall(ctypes.c_long(NUMBER[call]), *map(ctypes.c_long, arguments))
    return errno.errorcode[ctypes.get_errno()] if result < 0 else result

def tried(do, *arguments):
    try:
        return do(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]

def carry_out():
    found = {}
    exec(deed, globals(), found)
    os.write(1, repr(found.get("found")).encode())
    os._exit(0)

lock_down = lockdown.lock_down
if told["kind"] == "compile worker":
    for steps in lists.compile_worker(place, nothing):
        lock_down(steps)
elif told["kind"] == "broker":
    lock_down(lists.broker(place, nothing))
elif told["kind"] == "fresh worker":
    widest = lists.widest(storage, network=network)
    lock_down(lists.fresh_worker(place, nothing, nothing, widest, hull))
    lock_down(lists.fresh_worker_last(profile, bell))
else:
    lock_down(lists.template(place, nothing, storage, hull, network=network))
    lock_down(lists.after_mapping())
    parent = os.getpid()
    if told["kind"] == "forked worker" and (pid := os.fork()) != 0:
        status = os.waitpid(pid, 0)[1]
        os.write(2, str(status).encode())
        os._exit(0)
    if told["kind"] == "forked worker":
        lock_down(lists.forked_worker(nothing, parent, nothing))
        lock_down(lists.forked_worker_last(profile, bell))
carry_out()
"""


class Done(NamedTuple):
    """What the deed found, or the signal that it died of."""

    found: str
    died_of: signal.Signals | None


def does(  # noqa: PLR0913 - each is said by its name
    deed: str,
    *,
    kind: str,
    profile: Profile,
    folder: Path | None = None,
    writable: bool = False,
    without_filter: bool = False,
) -> Done:
    """What comes of a deed: statements that set `found`; they may use `ask` and `tried`.

    Args:
        deed: The statements.
        kind: "forked worker", "fresh worker", "template", "compile worker" or "broker".
        profile: The filter that a worker puts in force last.
        folder: What was granted to it.
        writable: Whether that was granted to be written to.
        without_filter: Whether it is held by everything else alone.
    """
    told = {
        "deed": deed,
        "kind": kind,
        "profile": profile.value,
        "storage": "none" if folder is None else "write" if writable else "read",
        "folder": None if folder is None else str(folder),
        "without_filter": without_filter,
        "numbers": NUMBERS[os.uname().machine],
    }
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-I", "-c", _PROGRAM, json.dumps(told)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    status = int(done.stderr) if done.stderr.isdigit() else None
    if status is not None and os.WIFSIGNALED(status):
        return Done(done.stdout, signal.Signals(os.WTERMSIG(status)))
    if done.returncode < 0:
        return Done(done.stdout, signal.Signals(-done.returncode))
    assert done.returncode == 0, done.stderr
    assert not status, done.stderr
    return Done(done.stdout, None)


# The kernel's tables: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h.
NUMBERS = {
    "x86_64": {
        "socket": 41, "socketpair": 53, "connect": 42, "bind": 49, "sendmsg": 46, "sendmmsg": 307,
        "accept4": 288, "clone": 56, "clone3": 435, "execve": 59, "execveat": 322, "ptrace": 101,
        "io_uring_setup": 425, "unshare": 272, "setns": 308, "keyctl": 250, "add_key": 248,
        "bpf": 321, "userfaultfd": 323, "perf_event_open": 298, "process_vm_readv": 310,
        "process_vm_writev": 311, "pidfd_open": 434, "pidfd_getfd": 438, "pidfd_send_signal": 424,
        "mount": 165, "open_tree": 428, "kill": 62, "tkill": 200, "tgkill": 234,
        "memfd_create": 319, "memfd_secret": 447, "shmget": 29, "mknodat": 259, "fchmodat": 268,
        "chroot": 161, "seccomp": 317, "personality": 135, "modify_ldt": 154, "prctl": 157,
        "ioctl": 16, "prlimit64": 302, "setpriority": 141, "pkey_mprotect": 329, "open": 2,
        "fork": 57, "openat": 257, "open_by_handle_at": 304, "getpid": 39, "name_to_handle_at": 303,
    },
    "aarch64": {
        "socket": 198, "socketpair": 199, "connect": 203, "bind": 200, "sendmsg": 211,
        "sendmmsg": 269, "accept4": 242, "clone": 220, "clone3": 435, "execve": 221,
        "execveat": 281, "ptrace": 117, "io_uring_setup": 425, "unshare": 97, "setns": 268,
        "keyctl": 219, "add_key": 217, "bpf": 280, "userfaultfd": 282, "perf_event_open": 241,
        "process_vm_readv": 270, "process_vm_writev": 271, "pidfd_open": 434, "pidfd_getfd": 438,
        "pidfd_send_signal": 424, "mount": 40, "open_tree": 428, "kill": 129, "tkill": 130,
        "tgkill": 131, "memfd_create": 279, "memfd_secret": 447, "shmget": 194, "mknodat": 33,
        "fchmodat": 53, "chroot": 51, "seccomp": 277, "personality": 92, "prctl": 167, "ioctl": 29,
        "prlimit64": 261, "setpriority": 140, "pkey_mprotect": 288, "openat": 56,
        "open_by_handle_at": 265, "getpid": 172, "name_to_handle_at": 264,
    },
}  # fmt: skip
