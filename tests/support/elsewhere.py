"""A program of this project as another system would run it: without what that system lacks.

`python tests/support/elsewhere.py SYSTEM [WORDS]` is the command line; with `-I -m MODULE` in the
place of words it is that module, as an interpreter is asked for it. What the standard library and
the engine have for themselves was imported before: both know other systems by themselves.
"""

from __future__ import annotations

import os
import runpy
import select
import shutil  # noqa: F401 - what is not for other systems in it is chosen by the system
import signal
import socket
import subprocess  # noqa: F401 - likewise
import sys
import threading  # noqa: F401 - likewise
from pathlib import Path

_LINUX = {
    os: (
        "MFD_ALLOW_SEALING MFD_CLOEXEC O_PATH O_TMPFILE copy_file_range eventfd getrandom "
        "memfd_create pidfd_open posix_fadvise posix_fallocate sched_getaffinity "
        "sched_setaffinity setresuid splice getxattr setxattr"
    ),
    select: "epoll EPOLLIN",
    signal: "pidfd_send_signal sigtimedwait sigwaitinfo",
    socket: "SO_PEERCRED SO_PASSCRED SOCK_CLOEXEC SOCK_NONBLOCK MSG_CMSG_CLOEXEC",
}
_UNIX = {
    os: (
        "O_CLOEXEC O_DIRECTORY O_DSYNC O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC WNOHANG chown chroot "
        "fchdir fchown fork forkpty getegid geteuid getgid getgroups getpgid getpriority getsid "
        "getuid initgroups killpg lchown mkfifo mknod nice openpty pread preadv pwrite pwritev "
        "sendfile setegid seteuid setgid setgroups setpgid setpriority setregid setreuid setsid "
        "setuid statvfs fstatvfs sysconf tcgetpgrp ttyname uname wait waitid"
    ),
    select: "poll POLLIN",
    signal: "SIGALRM SIGCHLD SIGHUP SIGPIPE SIGQUIT SIGUSR1 alarm pthread_sigmask",
    socket: "AF_UNIX CMSG_SPACE CMSG_LEN SCM_RIGHTS recv_fds send_fds socketpair",
}
_UNIX_MODULES = (
    "fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty",
)  # fmt: skip


def executable(folder: Path, system: str) -> Path:
    """What can stand in the place of that system's interpreter."""
    program = folder / f"python-on-{system}"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__)}" {system} "$@"\n')
    program.chmod(0o755)
    return program


def _lack(system: str) -> None:
    lacking = [_LINUX] if system == "darwin" else [_LINUX, _UNIX]
    for module, names in (each for table in lacking for each in table.items()):
        for name in names.split():
            if hasattr(module, name):  # not every Linux has all
                delattr(module, name)
    if system == "win32":
        for name in _UNIX_MODULES:
            sys.modules[name] = None  # type: ignore[assignment] # so an import of it fails
    sys.platform = system


def _main(system: str, *words: str) -> None:
    if words[:2] == ("-I", "-m"):
        import wasmtime.component  # noqa: F401, PLC0415 - it picks a library by the system

        _lack(system)
        sys.argv[1:] = list(words[3:])
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
        return
    _lack(system)
    sys.argv[1:] = list(words)
    if interpreter := os.environ.pop("INTERPRETER", ""):
        sys.executable = interpreter
    from wassette_supervisor.cli import main  # noqa: PLC0415 - after what it must do without

    sys.exit(main())


if __name__ == "__main__":
    _main(*sys.argv[1:])
