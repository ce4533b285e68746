"""What a worker or a compiler and the supervisor say to each other, in the order that they must."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from wassette_protocol import frames
from wassette_protocol.codec import PeerViolation
from wassette_supervisor.pool.channel import Stream
from wassette_supervisor.pool.process import Process

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from wassette_protocol.codec import Direction
    from wassette_protocol.session import Session

# What the kernel calls one (kernel/seccomp.c).
_LISTENER = "anon_inode:seccomp notify"

FrameT = TypeVar("FrameT", bound=frames.Frame)


def _check_listener(number: int) -> None:
    if str(Path(f"/proc/self/fd/{number}").readlink()) != _LISTENER:
        raise PeerViolation("a descriptor that is no listener")


class Conversation(Generic[FrameT]):
    """A stream on which every frame must fit the state that its peer is in.

    Every method may raise ClosedError, if the peer has ended, and PeerViolation.
    """

    def __init__(
        self, control: socket.socket, direction: Direction[FrameT], session: Session
    ) -> None:
        self.process = Process(-1)  # of the peer, from its first word on
        self._stream = Stream(control, direction)
        self._session = session

    async def begin(self, check_steps: Callable[[list[str]], None]) -> None:
        """Learn who the peer is, what it gave up, and that its pidfd is not a later process'."""
        started, self.process = await self._stream.first()
        await self._prove(started, check_steps)

    async def begin_with_listener(self, check_steps: Callable[[list[str]], None]) -> int:
        """As `begin`, of a worker with network: its listener, which becomes the caller's."""
        started, self.process, listener = await self._stream.first_with_descriptor()
        try:
            _check_listener(listener)
            await self._prove(started, check_steps)
        except BaseException:
            os.close(listener)
            raise
        return listener

    async def _prove(self, started: FrameT, check_steps: Callable[[list[str]], None]) -> None:
        self._session.received(started)
        if isinstance(started, frames.Started):
            check_steps(started.steps)
        nonce = secrets.randbits(63)
        await self.send(frames.Echo(nonce))
        echoed = await self.receive()
        if not isinstance(echoed, frames.Echoed) or echoed.nonce != nonce:
            raise PeerViolation("an echo of something else")

    async def send(self, frame: frames.Frame, descriptors: Sequence[int] = ()) -> None:
        self._session.sent(frame)
        await self._stream.send(frame, descriptors)

    async def receive(self) -> FrameT:
        frame = await self._stream.receive()
        self._session.received(frame)
        return frame

    @property
    def has_more(self) -> bool:
        """Whether the peer has said more than was received."""
        return self._stream.has_more

    async def end(self) -> None:
        """Leave neither the process nor a descriptor of it. Shielded."""
        await self.process.end()
        self._stream.close()
        self.process.close()
