"""A parent's loop: start a child for each request, and tell of each child that ended."""

from __future__ import annotations

import errno
import os
import select
import sys
from typing import TYPE_CHECKING, Generic, NoReturn, Protocol, TypeVar

from wassette_protocol import frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from wassette_worker.channel import Packets


def leave() -> NoReturn:
    """End this forked process here: never back into its parent's loop, nothing to wait for.

    An error that is being handled is told on standard error, which is the supervisor's pipe.
    """
    error = sys.exc_info()[1]
    if error is None or isinstance(error, EOFError):
        os._exit(0)
    os.write(2, f"{type(error).__name__}: {error}\n".encode()[:1000])
    os._exit(1)


class StartFrame(Protocol):
    """A request for a child, under a number that the supervisor gave it."""

    @property
    def child(self) -> frames.ChildId: ...


FrameT = TypeVar("FrameT", bound=frames.Frame)


def _child_of(frame: frames.Frame) -> frames.ChildId:
    child: frames.ChildId = frame.child  # type: ignore[attr-defined] # every start frame has it
    return child


class Children(Generic[FrameT]):
    """The children of this process, watched by pidfd: no signal handler, no thread."""

    def __init__(self, channel: Packets[FrameT], descriptors: Callable[[FrameT], int]) -> None:
        self._channel = channel
        self._descriptors = descriptors  # how many come with a frame
        self._running: dict[int, tuple[int, frames.ChildId]] = {}  # pidfd -> pid, child
        self._poll = select.poll()
        self._poll.register(channel.fileno(), select.POLLIN)

    def serve(self, start: Callable[..., int]) -> None:
        """Serve until the supervisor is gone; `start` gets the frame and its descriptors."""
        while True:
            for number, _ in self._poll.poll():
                if number != self._channel.fileno():
                    self._reap(number)
                elif not self._start_one(start):
                    return

    def _start_one(self, start: Callable[..., int]) -> bool:
        try:
            frame, received = self._channel.receive(self._descriptors)
        except EOFError:
            return False
        try:
            pid = start(frame, received)
        except OSError as error:  # no process, no memory: for this one there is no room, perhaps
            refused = error.errno or errno.EAGAIN
            self._channel.send(frames.ChildEnded(_child_of(frame), 0, refused))
            return True
        finally:
            for number in received:
                os.close(number)
        pidfd = os.pidfd_open(pid)
        self._running[pidfd] = (pid, _child_of(frame))
        self._poll.register(pidfd, select.POLLIN)
        return True

    def _reap(self, pidfd: int) -> None:
        pid, child = self._running.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        self._channel.send(frames.ChildEnded(child, status))
