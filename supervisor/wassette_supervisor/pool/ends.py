"""The ends of one child's socket and output pipe, while they are handed over."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.pool.channel import ask_for_sender

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wassette_protocol.frames import Identity


class Ends(NamedTuple):
    """Ours are the caller's to close; theirs are closed when the `with` block ends."""

    control: socket.socket
    output: int
    theirs: list[int]


@contextmanager
def ends(kind: socket.SocketKind, identity: Identity | None) -> Iterator[Ends]:
    """Make a socketpair and a pipe for a child.

    The engine opens the guest's output anew by its path in /proc: the pipe must belong to the
    user that the child becomes.
    """
    with ExitStack() as theirs, ExitStack() as ours:
        control, child_control = socket.socketpair(socket.AF_UNIX, kind)
        ours.enter_context(control)
        theirs.enter_context(child_control)
        output, child_output = os.pipe()
        ours.callback(os.close, output)
        theirs.callback(os.close, child_output)
        ask_for_sender(control)
        control.setblocking(False)  # noqa: FBT003 - the standard library's
        os.set_blocking(output, False)
        if identity is not None:
            os.fchown(child_output, identity.uid, identity.gid)
        yield Ends(control, output, [child_control.fileno(), child_output])
        ours.pop_all()
