"""Starting the broker's process, and ending it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from wassette_protocol.broker_frames import StartBroker
from wassette_protocol.codec import FROM_BROKER
from wassette_supervisor.errors import IsolationUnavailableError, one_line
from wassette_supervisor.pool import process
from wassette_supervisor.pool.channel import Packets
from wassette_supervisor.pool.identities import Identities, spare_ids
from wassette_supervisor.pool.output import Output
from wassette_supervisor.pool.process import Process

if TYPE_CHECKING:
    from pathlib import Path

    from wassette_protocol.broker_frames import FromBroker

_MODULE = "wassette_supervisor.broker"
_OUTPUT_BYTES = 1 << 20
# By which OpenSSL is told of other authorities than the system's: all that it knows of ours.
_PASSED_ON = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(eq=False)
class Started:
    """A broker that was started, and what is left of it."""

    process: Process
    channel: Packets[FromBroker]
    output: Output
    becomes_other: bool  # than the user that the supervisor is

    async def post_mortem(self) -> str:
        """How it ended, and the last line that it wrote to standard error; kills it."""
        await self.process.end()
        self.output.drain()
        *_, said = ["", *self.output.text().strip().splitlines()]
        how = process.died(self.process.exit_status())
        return one_line(f"it died of {how.death}: {said or how.cause}")

    async def end(self) -> None:
        """Leave no process and no descriptor. Shielded."""
        await self.process.end()
        self.process.close()
        self.channel.close()
        self.output.close()
        process.reap()


def start(authorities: Path | None, program: str = _MODULE) -> Started:
    """Start one; it has not said a word yet.

    To be called in the main thread: it dies with the thread that started it.

    Args:
        authorities: Certificates beside the system's, in PEM.
        program: A module, or a file that ends in .py.

    Raises:
        IsolationUnavailableError: They can't be read.
    """
    run = [program] if program.endswith(".py") else ["-m", program]
    identity = Identities(spare_ids()).of(0)
    with ExitStack() as theirs, ExitStack() as ours:
        control, child_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.enter_context(control)
        theirs.enter_context(child_control)
        output, child_output = os.pipe()
        ours.callback(os.close, output)
        theirs.callback(os.close, child_output)
        inherited = [child_control.fileno()]
        if authorities is not None:
            inherited.append(_opened(authorities))
            theirs.callback(os.close, inherited[-1])
        told = StartBroker(identity, os.getpid(), *inherited)
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-I", *run, msgspec.json.encode(told).decode()],
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=child_output,
            pass_fds=inherited,
        )
        # Reaped by us, through its pidfd: the object must not warn that it was left behind.
        child.returncode = 0
        pidfd = os.pidfd_open(child.pid)  # without one it ends, since `control` is closed
        control.setblocking(False)  # noqa: FBT003 - the standard library's
        os.set_blocking(output, False)
        ours.pop_all()
    return Started(
        Process(pidfd),
        Packets(control, FROM_BROKER),
        Output(output, _OUTPUT_BYTES),
        identity is not None,
    )


def _opened(authorities: Path) -> int:
    try:
        return os.open(authorities, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise IsolationUnavailableError(
            f"the file of --ca-file, {one_line(str(authorities))}, can't be read: {error.strerror}"
        ) from error
