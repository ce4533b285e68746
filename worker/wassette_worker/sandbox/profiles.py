"""Which system calls each kind of process may make, and why: one row a call, or an argument of it.

A call without a row ends the process. Several rows of one call are alternatives. A row that no
recorded run used is an error (test_recorded_calls.py of tests/sandbox, and of tests/broker) unless
`idle` says when it is needed.
"""

from __future__ import annotations

import enum
import errno
from typing import NamedTuple


class Profile(enum.Flag):
    """What a process does after its filter is in force."""

    COMPUTE = enum.auto()  # a guest that never waits
    RUNTIME = enum.auto()  # one that waits, writes or sleeps: the engine starts threads for it
    FILES = enum.auto()  # the same, with directories to read
    CHANGES = enum.auto()  # the same, with directories to write to
    NETWORK = enum.auto()  # beside one of these: connections, which the broker answers
    COMPILE = enum.auto()  # the compile worker
    TEMPLATE = enum.auto()  # maps a component, forks workers that lock themselves down further
    BROKER = enum.auto()  # speaks with the world; beside no other


_STORED = Profile.FILES | Profile.CHANGES
_WAITING = Profile.RUNTIME | _STORED
_WORKER = Profile.COMPUTE | _WAITING
_MAPPING = Profile.COMPILE | Profile.TEMPLATE
_THREADED = _WORKER | Profile.COMPILE
_ALL = _WORKER | _MAPPING

# A test's value that stands for the process which installs the filter, as it knows itself.
OWN_PID = -1


class Test(NamedTuple):
    """What an argument must be, seen through a mask."""

    argument: int
    value: int
    mask: int = 0xFFFF_FFFF


class Row(NamedTuple):
    call: str
    profiles: Profile
    why: str
    tests: tuple[Test, ...] = ()  # all of them must hold
    refused: int = 0  # the error that the call gets, instead of what it asks for
    notified: bool = False  # whoever holds the filter's listener answers it; without one: ENOSYS
    idle: str = ""  # when it is needed, if a recorded run can't show it


# asm-generic/mman-common.h
_PROT_READ, _PROT_EXEC, _MAP_SHARED = 1, 4, 1
# linux/sched.h: what the C library starts a thread with, and what it forks with.
_THREAD = 0x003D_0F00
_FORK = 0x0120_0000 | 17
_CLONE_THREAD = 0x0001_0000
# linux/prctl.h
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NAME, _PR_SET_MDWE = 1, 4, 15, 65
# asm-generic/fcntl.h, linux/fcntl.h
_F_GETFD, _F_SETFD, _F_GETFL, _F_DUPFD_CLOEXEC = 1, 2, 3, 1030
_FD_CLOEXEC = 1
_RLIMIT_FSIZE = 1  # asm-generic/resource.h
_RWF_APPEND = 0x10  # linux/fs.h
_SET_MODE_FILTER = 1  # linux/seccomp.h
# bits/socket.h, asm-generic/socket.h, netinet/tcp.h
_AF_INET, _SOCK_STREAM, _KIND, _MSG_NOSIGNAL = 2, 1, 0xF, 0x4000
_AF_UNIX, _SOCK_DGRAM = 1, 2
_SOL_SOCKET, _SO_ERROR, _SO_SNDBUF, _IPPROTO_TCP, _TCP_NODELAY = 1, 4, 7, 6, 1
_ALL_BITS = 0xFFFF_FFFF
_CONTROL = 3  # descriptors.CONTROL
# linux/seccomp.h, with the sizes of their structures; asm-generic/ioctls.h
_NOTIF_RECV, _NOTIF_SEND, _NOTIF_ADDFD = 0xC050_2100, 0xC018_2101, 0x4018_2103
_FIONBIO = 0x5421

_NO_EXEC = Test(2, 0, mask=_PROT_EXEC)
_ANY_INET = Test(0, _AF_INET, mask=_ALL_BITS ^ 8)  # AF_INET6 is 10
_ABORTS = "an engine that aborts"
_BY_CHANCE = "a heap that is full, or has a large hole, at that moment"
_OLD_CLOCK = "where the clock can't be read without the kernel: an emulated or unstable one"

ROWS = (
    # --- memory ---
    Row("mmap", _ALL | Profile.BROKER,
        "memory; never executable, never shared with another process",
        (_NO_EXEC, Test(3, 0, mask=_MAP_SHARED))),
    Row("mprotect", _ALL, "memory that becomes readable or writable", (_NO_EXEC,)),
    Row("mprotect", _MAPPING, "compiled code that becomes executable",
        (Test(2, _PROT_READ | _PROT_EXEC),)),
    Row("munmap", _THREADED, "memory that is given back"),
    Row("brk", _WORKER, "the C library's heap"),
    Row("brk", Profile.COMPILE, "the same", idle="a large component"),
    Row("mremap", _WORKER, "a large block of the heap that grows"),
    Row("mremap", _MAPPING, "the same", idle="a large component"),
    Row("madvise", _ALL, "memory of an ended thread, or of the heap, is given back",
        idle="a thread that found nothing to do for some time"),
    # --- threads ---
    Row("clone3", _THREADED, "a filter can't see its flags; the C library then takes clone",
        refused=errno.ENOSYS),
    Row("clone", _THREADED, "a thread, and nothing that is no thread", (Test(0, _THREAD),)),
    Row("rseq", _THREADED, "the C library's start of a thread"),
    Row("set_robust_list", _ALL, "the C library's start of a thread, and of a fork"),
    Row("sched_getaffinity", _WAITING | Profile.COMPILE, "how many threads are worth starting"),
    Row("sched_yield", _THREADED, "a thread that waits for a moment",
        idle="threads that want the same at once"),
    Row("futex", _THREADED, "threads that wait for each other"),
    Row("gettid", _WORKER | Profile.TEMPLATE, "a thread's number"),
    Row("prctl", _WAITING, "a thread's name", (Test(0, _PR_SET_NAME),)),
    Row("exit", _THREADED, "the end of a thread",
        idle="a thread that found nothing to do for some time"),
    Row("exit_group", _ALL, "the end of the process",
        idle="one that ends before its supervisor ends it"),
    # --- signals ---
    Row("rt_sigprocmask", _THREADED, "the C library's start of a thread"),
    Row("rt_sigaction", _THREADED, "the engine's handlers of faults"),
    Row("sigaltstack", _THREADED, "the stack of such a handler"),
    Row("rt_sigreturn", _WORKER, "the return from such a handler"),
    Row("rt_sigreturn", Profile.COMPILE, "the same", idle="an engine whose probe guest traps"),
    Row("getpid", _THREADED, "abort() asks for it", idle=_ABORTS),
    Row("gettid", Profile.COMPILE, "abort() asks for it", idle=_ABORTS),
    Row("tgkill", _THREADED, "abort() signals its own process, and may signal no other",
        (Test(0, OWN_PID),), idle=_ABORTS),
    # --- time and chance ---
    Row("getrandom", _WAITING | _MAPPING, "threads' and tables' own random numbers"),
    Row("getrandom", Profile.COMPUTE, "a guest's random numbers",
        idle="a guest that draws more than a generator gives before it is seeded anew"),
    Row("clock_gettime", _ALL, "the time", idle=_OLD_CLOCK),
    Row("clock_getres", _WAITING, "how fine the clock is", idle=_OLD_CLOCK),
    Row("gettimeofday", _ALL, "the time", idle=_OLD_CLOCK),
    Row("restart_syscall", _ALL, "the kernel's own, after a process was stopped and continued",
        idle="a process that an operator stops"),
    Row("getrusage", _WORKER, "a call's usage is told"),
    # --- frames, and what was inherited ---
    # Never with MSG_FASTOPEN, which opens a connection: the number may be another socket's by now.
    Row("sendto", _ALL, "frames to the supervisor", (Test(0, _CONTROL), Test(3, 0))),
    Row("recvmsg", _ALL, "frames from the supervisor", (Test(0, _CONTROL),)),
    Row("close", _STORED | Profile.TEMPLATE, "descriptors that are not needed any more"),
    Row("close", Profile.COMPUTE | Profile.RUNTIME | Profile.COMPILE, "the same",
        idle="an instance that is taken apart, which a process ends before"),
    Row("write", _WAITING | Profile.COMPILE, "what a guest prints; an artefact"),
    Row("write", Profile.COMPUTE | Profile.TEMPLATE, "last words", idle="a process that fails"),
    Row("pread64", _MAPPING, "the component's bytes; our shims"),
    Row("memfd_create", Profile.COMPILE, "memory without a name; the engine then copies instead",
        refused=errno.ENOSYS),
    # --- waiting ---
    Row("epoll_create1", _WAITING, "the engine waits for what a guest waits for"),
    Row("epoll_ctl", _WAITING, "the same"),
    Row("epoll_wait", _WAITING, "the same"),
    Row("epoll_pwait", _WAITING, "the same", idle="aarch64, which has no epoll_wait"),
    Row("eventfd2", _WAITING, "the engine wakes its own thread"),
    Row("fcntl", _WAITING, "the engine's second handle on what it waits with",
        (Test(1, _F_DUPFD_CLOEXEC),)),
    # --- files: Landlock says which ---
    Row("openat", Profile.RUNTIME | Profile.COMPILE,
        "threads are counted by a file of the kernel's; it can be done without",
        refused=errno.EACCES),
    Row("openat", _STORED | Profile.TEMPLATE, "directories and files; a component to be mapped"),
    Row("openat2", _STORED, "files below a directory, and through no link out of it"),
    Row("statx", _STORED | Profile.TEMPLATE, "what a file is"),
    Row("newfstatat", _STORED, "which directory a descriptor is of"),
    Row("fstat", _STORED, "the same", idle="C libraries from glibc 2.39 on"),
    Row("fcntl", _STORED | Profile.TEMPLATE, "whether a descriptor is open", (Test(1, _F_GETFD),)),
    Row("fcntl", _STORED, "how a descriptor was opened", (Test(1, _F_GETFL),)),
    Row("pread64", _STORED, "files"),
    Row("getdents64", _STORED, "the entries of a directory"),
    Row("fcntl", _STORED, "the C library lists a directory by a descriptor of its own",
        (Test(1, _F_SETFD), Test(2, _FD_CLOEXEC))),
    Row("lseek", _STORED, "the interpreter lists a directory from its beginning"),
    Row("readlinkat", _STORED, "where a link leads"),
    Row("fadvise64", _STORED, "how a guest will read a file"),
    Row("prlimit64", Profile.CHANGES, "a limit of the files' size, which comes with a grant",
        (Test(0, 0), Test(1, _RLIMIT_FSIZE))),
    Row("pwrite64", Profile.CHANGES, "files"),
    Row("pwritev2", Profile.CHANGES, "the end of a file", (Test(5, _RWF_APPEND),)),
    Row("ftruncate", Profile.CHANGES, "the length of a file"),
    Row("fsync", Profile.CHANGES, "a file that must outlive a crash"),
    Row("fdatasync", Profile.CHANGES, "the same"),
    Row("utimensat", Profile.CHANGES, "the times of a file"),
    Row("mkdirat", Profile.CHANGES, "directories"),
    Row("unlinkat", Profile.CHANGES, "files and directories that are removed"),
    Row("renameat", Profile.CHANGES, "files and directories that are moved"),
    Row("linkat", Profile.CHANGES, "a second name of a file"),
    Row("symlinkat", Profile.CHANGES, "links"),
    # --- network: one kind of socket, and whatever it is to be connected to, the broker is it ---
    Row("socket", Profile.NETWORK, "a connection of the engine's",
        (Test(0, _AF_INET), Test(1, _SOCK_STREAM, mask=_KIND), Test(2, 0))),
    Row("connect", Profile.NETWORK, "the doorbell: the broker is told, and no address is looked at",
        notified=True),
    Row("sendmsg", Profile.NETWORK, "the supervisor is given the listener",
        (Test(0, _CONTROL), Test(2, 0))),
    Row("sendto", Profile.NETWORK, "what the engine sends; never MSG_FASTOPEN, which connects",
        (Test(3, 0, mask=_ALL_BITS ^ _MSG_NOSIGNAL), Test(5, 0))),
    Row("recvfrom", Profile.NETWORK, "what the engine receives"),
    Row("shutdown", Profile.NETWORK, "the end of what it sends"),
    Row("getsockopt", Profile.NETWORK, "whether a connection stands",
        (Test(1, _SOL_SOCKET), Test(2, _SO_ERROR))),
    # --- a template, and its workers before their own filter ---
    Row("poll", Profile.TEMPLATE, "requests, and ends of workers"),
    Row("ppoll", Profile.TEMPLATE, "the same", idle="aarch64, which has no poll"),
    Row("clone", Profile.TEMPLATE, "a fork", (Test(0, _FORK),)),
    Row("getpid", Profile.TEMPLATE, "the template tells it to its workers"),
    Row("tgkill", Profile.TEMPLATE, "a worker that aborts; its own filter lets it be no other",
        idle=_ABORTS),
    Row("pidfd_open", Profile.TEMPLATE, "a handle on a worker"),
    Row("wait4", Profile.TEMPLATE, "how a worker ended"),
    Row("setsid", Profile.TEMPLATE, "the worker's session"),
    Row("getppid", Profile.TEMPLATE, "whether the template still lives"),
    Row("dup3", Profile.TEMPLATE, "the worker's descriptors, each at its place"),
    Row("fcntl", Profile.TEMPLATE, "the same", (Test(1, _F_DUPFD_CLOEXEC),)),
    Row("close_range", Profile.TEMPLATE, "and no others"),
    Row("prctl", Profile.TEMPLATE, "its name", (Test(0, _PR_SET_NAME),)),
    Row("prctl", Profile.TEMPLATE, "its end with the template", (Test(0, _PR_SET_PDEATHSIG),)),
    Row("prctl", Profile.TEMPLATE, "not dumpable, and never dumpable again",
        (Test(0, _PR_SET_DUMPABLE), Test(1, 0))),
    Row("prctl", Profile.TEMPLATE, "no memory that becomes executable",
        (Test(0, _PR_SET_MDWE),)),
    Row("prlimit64", Profile.TEMPLATE, "its limits, and nobody else's", (Test(0, 0),)),
    Row("unshare", Profile.TEMPLATE, "the check that it has one thread",
        (Test(0, _CLONE_THREAD),)),
    Row("getsockname", Profile.TEMPLATE, "the interpreter looks at a socket that it takes over"),
    Row("getsockopt", Profile.TEMPLATE, "the same"),
    Row("landlock_create_ruleset", Profile.TEMPLATE, "the worker's own layer"),
    Row("landlock_add_rule", Profile.TEMPLATE, "the same"),
    Row("landlock_restrict_self", Profile.TEMPLATE, "the same"),
    Row("seccomp", Profile.TEMPLATE, "the worker's own filter", (Test(0, _SET_MODE_FILTER),)),
    # --- the broker: a process without files, in the system's network ---
    Row("munmap", Profile.BROKER, "memory that is given back", idle=_BY_CHANCE),
    Row("brk", Profile.BROKER, "the C library's heap"),
    Row("mremap", Profile.BROKER, "a large block of the heap that grows", idle=_BY_CHANCE),
    Row("madvise", Profile.BROKER, "memory of the heap is given back", idle=_BY_CHANCE),
    Row("futex", Profile.BROKER, "the C library, after what is made once",
        idle="what was made by the time that it is locked down"),
    Row("socket", Profile.BROKER, "connections to the world",
        (_ANY_INET, Test(1, _SOCK_STREAM, mask=_KIND), Test(2, 0))),
    Row("socket", Profile.BROKER, "name servers whose answer is too long for a datagram",
        (_ANY_INET, Test(1, _SOCK_STREAM, mask=_KIND), Test(2, _IPPROTO_TCP))),
    Row("socket", Profile.BROKER, "questions to name servers",
        (_ANY_INET, Test(1, _SOCK_DGRAM, mask=_KIND), Test(2, 0))),
    Row("socketpair", Profile.BROKER, "both ends of a connection of a worker's",
        (Test(0, _AF_UNIX), Test(1, _SOCK_STREAM, mask=_KIND))),
    Row("connect", Profile.BROKER, "to whom: the address is out of a filter's sight"),
    Row("ioctl", Profile.BROKER, "a connection of a worker's is told", (Test(1, _NOTIF_RECV),)),
    Row("ioctl", Profile.BROKER, "it gets one end of a pair", (Test(1, _NOTIF_ADDFD),)),
    Row("ioctl", Profile.BROKER, "it is answered", (Test(1, _NOTIF_SEND),)),
    Row("ioctl", Profile.BROKER, "a socket that is not waited for", (Test(1, _FIONBIO),)),
    Row("sendto", Profile.BROKER, "what is sent"),
    Row("sendmsg", Profile.BROKER, "the same, of several pieces", idle="Python from 3.12 on"),
    Row("recvfrom", Profile.BROKER, "what is received"),
    Row("recvmsg", Profile.BROKER, "frames from the supervisor", (Test(0, _CONTROL),)),
    Row("shutdown", Profile.BROKER, "the end of what is sent"),
    Row("getsockopt", Profile.BROKER, "whether a connection stands",
        (Test(1, _SOL_SOCKET), Test(2, _SO_ERROR))),
    Row("setsockopt", Profile.BROKER, "whether small pieces wait",
        (Test(1, _IPPROTO_TCP), Test(2, _TCP_NODELAY))),
    Row("setsockopt", Profile.BROKER, "how much waits for a worker",
        (Test(1, _SOL_SOCKET), Test(2, _SO_SNDBUF))),
    Row("getsockname", Profile.BROKER, "the interpreter looks at a socket that it takes over"),
    Row("getpeername", Profile.BROKER, "the interpreter looks at a connection"),
    Row("close", Profile.BROKER, "what has ended"),
    Row("poll", Profile.BROKER, "whether a worker connects"),
    Row("ppoll", Profile.BROKER, "the same", idle="aarch64, which has no poll"),
    Row("epoll_create1", Profile.BROKER, "waiting for all at once"),
    Row("epoll_ctl", Profile.BROKER, "the same"),
    Row("epoll_wait", Profile.BROKER, "the same"),
    Row("epoll_pwait", Profile.BROKER, "the same", idle="aarch64, which has no epoll_wait"),
    Row("getrandom", Profile.BROKER, "keys"),
    Row("getpid", Profile.BROKER, "the event loop and OpenSSL ask whether they were forked"),
    Row("uname", Profile.BROKER, "a resolver looks for a domain of its own"),
    Row("clock_gettime", Profile.BROKER, "the time", idle=_OLD_CLOCK),
    Row("gettimeofday", Profile.BROKER, "the time", idle=_OLD_CLOCK),
    Row("restart_syscall", Profile.BROKER, "the kernel's own, as above",
        idle="a process that an operator stops"),
    Row("write", Profile.BROKER, "lines for the log"),
    Row("openat", Profile.BROKER, "nothing is there to be opened; it can be done without",
        refused=errno.EACCES, idle="a fault, whose place is looked for in the source"),
    Row("newfstatat", Profile.BROKER, "the same", refused=errno.EACCES, idle="the same"),
    Row("exit_group", Profile.BROKER, "its end, with the supervisor's"),
)  # fmt: skip


# What a process of one may do, one of a later one may do as well.
WIDENING = (Profile.COMPUTE, Profile.RUNTIME, Profile.FILES, Profile.CHANGES)


def rows_of(profile: Profile) -> list[Row]:
    """The rows that any of these profiles has."""
    return [row for row in ROWS if row.profiles & profile]
