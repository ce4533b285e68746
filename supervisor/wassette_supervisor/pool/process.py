"""Starting, killing and reaping; the only module that does. Classifies every death.

All processes but the zygote are children of a child: the supervisor knows them by a pidfd that
the kernel gave it with their first message, never by a number that they sent.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from ctypes import CDLL, c_ulong
from pathlib import Path
from typing import NamedTuple

import anyio

from wassette_supervisor.errors import ForbiddenCallError, WorkerDiedError
from wassette_supervisor.pool import readiness

# linux/pidfd.h: _IOWR(0xFF, 11, struct pidfd_info) for its first 64 bytes, and its mask's bits.
_PIDFD_GET_INFO = 0xC040FF0B
_PIDFD_INFO_EXIT = 1 << 3
_PIDFD_INFO = struct.Struct("=QQ11Ii")

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h

REAP_S = 5.0
_AGAIN_S = 0.005


class Process:
    """A process known by its pidfd; whoever holds this must `close` it."""

    def __init__(self, pidfd: int) -> None:
        self._pidfd = pidfd

    def kill(self) -> None:
        """SIGKILL; nothing happens if it has ended already."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def is_gone(self) -> bool:
        """Whether it has ended (pidfd_open(2): the descriptor becomes readable)."""
        return self._pidfd < 0 or _is_readable(self._pidfd)

    async def gone(self) -> None:
        """Wait until it has ended."""
        while not self.is_gone():
            try:
                await readiness.readable(self._pidfd)
            except anyio.BusyResourceError:  # somebody else waits for the same end
                await anyio.sleep(_AGAIN_S)
            except anyio.ClosedResourceError:  # who closed it had waited for the end
                return

    async def gone_within(self, seconds: float) -> bool:
        """Whether it ends by itself in this time."""
        with anyio.move_on_after(seconds):
            await self.gone()
            return True
        return False

    async def end(self) -> None:
        """Kill it and wait until it has ended. Shielded: a cancelled caller leaves none behind."""
        if self._pidfd < 0:
            return
        with anyio.CancelScope(shield=True), anyio.move_on_after(REAP_S):
            self.kill()
            await self.gone()
            reap()

    def pid(self) -> int:
        """Its number as this process sees it (proc_pid_fdinfo(5)).

        Raises:
            OSError: It has ended.
        """
        for line in Path(f"/proc/self/fdinfo/{self._pidfd}").read_text().splitlines():
            if line.startswith("Pid:") and int(line[4:]) > 0:
                return int(line[4:])
        raise ProcessLookupError("it has ended")

    def exit_status(self) -> int | None:
        """Its status as waitpid(2) gives it, in the kernel's own words; None if it has none.

        The kernel keeps it from 6.15 on, once the parent has reaped the process.
        """
        information = bytearray(_PIDFD_INFO.size)
        struct.pack_into("=Q", information, 0, _PIDFD_INFO_EXIT)
        try:
            fcntl.ioctl(self._pidfd, _PIDFD_GET_INFO, information)
        except (OSError, ValueError):  # an older kernel; a process that never said a word
            return None
        fields = _PIDFD_INFO.unpack(information)
        return int(fields[-1]) if fields[0] & _PIDFD_INFO_EXIT else None

    def close(self) -> None:
        if self._pidfd >= 0:
            readiness.closing(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1


def _is_readable(number: int) -> bool:
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))


class Zygote(NamedTuple):
    process: Process
    pid: int
    control: socket.socket


def start_zygote(program: str) -> Zygote:
    """Start the zygote with an empty environment; its control socket is its descriptor 3.

    `program` is a module, or a file that ends in .py.
    Must be called in the main thread: the zygote dies with the thread that started it.
    """
    CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, c_ulong(1), c_ulong(0), c_ulong(0), c_ulong(0))
    with contextlib.ExitStack() as held:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        held.enter_context(ours)
        with theirs:
            child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-I", "-c", _BOOTSTRAP, program, str(theirs.fileno())],
                env={},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        ours.setblocking(False)  # noqa: FBT003 - the standard library's
        # Reaped by us, through its pidfd: the object must not warn that it was left behind.
        child.returncode = 0
        pidfd = os.pidfd_open(child.pid)  # without one it ends, since `ours` is closed
        held.pop_all()
    return Zygote(Process(pidfd), child.pid, ours)


# The socket's number isn't ours to choose before the exec: it is moved to 3 after it.
_BOOTSTRAP = (
    "import os, runpy, sys; program, number = sys.argv[1], int(sys.argv[2]); "
    "number == 3 or (os.dup2(number, 3), os.close(number)); "
    "sys.argv[1:] = []; "
    "run = runpy.run_path if program.endswith('.py') else runpy.run_module; "
    "run(program, run_name='__main__')"
)


def reap() -> None:
    """Collect whatever children have ended: the zygote, and what a killed zygote left to us."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


# What a signal most likely means; SIGKILL has causes that we know of before we ask.
_SIGNALS = {
    signal.SIGABRT: "the engine aborted: a panic, or no memory left for it",
    signal.SIGSEGV: "it touched memory that it does not have",
    signal.SIGBUS: "it touched memory that it does not have",
    signal.SIGILL: "it executed what is no instruction",
    signal.SIGFPE: "an arithmetic fault",
    signal.SIGKILL: "it was killed from outside, perhaps because the system ran out of memory",
    signal.SIGTERM: "it was ended from outside",
    signal.SIGXCPU: "it used more processor time than it may",
    signal.SIGXFSZ: "it wrote more to a file than it may",
}


def died(status: int | None) -> WorkerDiedError:
    """The error for a process that ended without an answer; `status` as of waitpid(2)."""
    if status is None:
        return WorkerDiedError(cause="how it ended is not known")
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGSYS:
            return ForbiddenCallError()
        cause = next((text for known, text in _SIGNALS.items() if known == number), "a signal")
        return WorkerDiedError(signal=number, cause=cause)
    return WorkerDiedError(status=os.WEXITSTATUS(status), cause="it gave no answer")
