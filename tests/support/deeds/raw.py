"""System calls as code that was broken into makes them: by number, whatever a library offers."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import NamedTuple

MACHINE = os.uname().machine

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _Numbers(NamedTuple):
    x86_64: int | None
    aarch64: int | None


# The kernel's tables arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h.
_NUMBERS = {
    "acct": _Numbers(163, 89),
    "add_key": _Numbers(248, 217),
    "adjtimex": _Numbers(159, 171),
    "bind": _Numbers(49, 200),
    "bpf": _Numbers(321, 280),
    "brk": _Numbers(12, 214),
    "capset": _Numbers(126, 91),
    "chroot": _Numbers(161, 51),
    "clock_adjtime": _Numbers(305, 266),
    "clock_settime": _Numbers(227, 112),
    "clone": _Numbers(56, 220),
    "clone3": _Numbers(435, 435),
    "connect": _Numbers(42, 203),
    "delete_module": _Numbers(176, 106),
    "execve": _Numbers(59, 221),
    "execveat": _Numbers(322, 281),
    "fanotify_init": _Numbers(300, 262),
    "fchmodat": _Numbers(268, 53),
    "fchownat": _Numbers(260, 54),
    "finit_module": _Numbers(313, 273),
    "fsopen": _Numbers(430, 430),
    "init_module": _Numbers(175, 105),
    "inotify_init1": _Numbers(294, 26),
    "io_setup": _Numbers(206, 0),
    "io_uring_setup": _Numbers(425, 425),
    "ioperm": _Numbers(173, None),
    "iopl": _Numbers(172, None),
    "ioprio_set": _Numbers(251, 30),
    "kcmp": _Numbers(312, 272),
    "kexec_load": _Numbers(246, 104),
    "keyctl": _Numbers(250, 219),
    "linkat": _Numbers(265, 37),
    "memfd_secret": _Numbers(447, 447),
    "mkdirat": _Numbers(258, 34),
    "mlock": _Numbers(149, 228),
    "mmap": _Numbers(9, 222),
    "mount": _Numbers(165, 40),
    "mprotect": _Numbers(10, 226),
    "mremap": _Numbers(25, 216),
    "msgget": _Numbers(68, 186),
    "munmap": _Numbers(11, 215),
    "name_to_handle_at": _Numbers(303, 264),
    "newfstatat": _Numbers(262, 79),
    "open_by_handle_at": _Numbers(304, 265),
    "open_tree": _Numbers(428, 428),
    "openat": _Numbers(257, 56),
    "openat2": _Numbers(437, 437),
    "perf_event_open": _Numbers(298, 241),
    "personality": _Numbers(135, 92),
    "pidfd_getfd": _Numbers(438, 438),
    "pidfd_open": _Numbers(434, 434),
    "pidfd_send_signal": _Numbers(424, 424),
    "pivot_root": _Numbers(155, 41),
    "pkey_mprotect": _Numbers(329, 288),
    "prctl": _Numbers(157, 167),
    "prlimit64": _Numbers(302, 261),
    "process_vm_readv": _Numbers(310, 270),
    "process_vm_writev": _Numbers(311, 271),
    "ptrace": _Numbers(101, 117),
    "quotactl": _Numbers(179, 60),
    "readlinkat": _Numbers(267, 78),
    "reboot": _Numbers(169, 142),
    "renameat": _Numbers(264, 38),
    "request_key": _Numbers(249, 218),
    "rt_sigqueueinfo": _Numbers(129, 138),
    "sched_setaffinity": _Numbers(203, 122),
    "sched_setattr": _Numbers(314, 274),
    "sched_setscheduler": _Numbers(144, 119),
    "seccomp": _Numbers(317, 277),
    "sendmmsg": _Numbers(307, 269),
    "sendmsg": _Numbers(46, 211),
    "sendto": _Numbers(44, 206),
    "setdomainname": _Numbers(171, 162),
    "setgroups": _Numbers(116, 159),
    "sethostname": _Numbers(170, 161),
    "setns": _Numbers(308, 268),
    "setpriority": _Numbers(141, 140),
    "setresuid": _Numbers(117, 147),
    "settimeofday": _Numbers(164, 170),
    "setxattr": _Numbers(188, 5),
    "shmget": _Numbers(29, 194),
    "socket": _Numbers(41, 198),
    "socketpair": _Numbers(53, 199),
    "swapon": _Numbers(167, 224),
    "symlinkat": _Numbers(266, 36),
    "syslog": _Numbers(103, 116),
    "tgkill": _Numbers(234, 131),
    "timer_create": _Numbers(222, 107),
    "tkill": _Numbers(200, 130),
    "truncate": _Numbers(76, 45),
    "umount2": _Numbers(166, 39),
    "unlinkat": _Numbers(263, 35),
    "unshare": _Numbers(272, 97),
    "userfaultfd": _Numbers(323, 282),
    "utimensat": _Numbers(280, 88),
}

AT_FDCWD = -100


def call(name: str, *arguments: object) -> int:
    """Make the call; numbers are passed as longs, bytes as pointers to them.

    Raises:
        OSError: The kernel refuses it.
    """
    number = getattr(_NUMBERS[name], MACHINE)
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return checked(_libc.syscall(ctypes.c_long(number), *words))


def checked(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def path(text: str) -> bytes:
    return os.fsencode(text)


def at(address: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(address)


# --- machine code of our own ----------------------------------------------------------------

# vfork(2); the child ends at once. It must not return to a frame that its parent needs.
_VFORK = bytes.fromhex("b83a0000000f0585c0750931ffb83c0000000f05c3")
# getpid(2) by the gate of 32-bit programs.
_INT80 = bytes.fromhex("b814000000cd80c3")
# clone(2) with what it was called with; the new thread waits on a futex, and needs no stack.
_THREAD = bytes.fromhex(
    "4989ca b838000000 0f05 85c0 7513 4c89cf 31f6 31d2 4d31d2 b8ca000000 0f05 ebed c3"
)
_PROT_READ, _PROT_WRITE, _PROT_EXEC = 1, 2, 4
_PRIVATE, _ANONYMOUS = 2, 32
PAGE = 4096


def _map_code() -> int:
    address = call("mmap", 0, PAGE, _PROT_READ | _PROT_WRITE, _PRIVATE | _ANONYMOUS, -1, 0)
    ctypes.memmove(address, _VFORK, len(_VFORK))
    ctypes.memmove(address + 64, _INT80, len(_INT80))
    ctypes.memmove(address + 96, _THREAD, len(_THREAD))
    call("mprotect", address, PAGE, _PROT_READ | _PROT_EXEC)
    return address


# When this is imported, which is before any lock-down: afterwards nobody could.
CODE = _map_code() if MACHINE == "x86_64" else 0
VFORK, INT80, THREAD = 0, 64, 96
_TAKES_SIX = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_long] * 6)


def needs_x86_64() -> None:
    if not CODE:
        raise OSError(errno.ENOTSUP, "machine code of another processor")


def run_code(offset: int, *arguments: int) -> int:
    """Run what was mapped there; it gives a number, or an error number as a negative one."""
    result = int(_TAKES_SIX(CODE + offset)(*arguments, *[0] * (6 - len(arguments))))
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result
