"""The broker's end of its socket to the supervisor, which never has it wait."""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections import deque
from typing import TYPE_CHECKING

from wassette_protocol.broker_frames import Attach, FromBroker, ToBroker
from wassette_protocol.codec import (
    MAX_PACKET_BYTES,
    TO_BROKER,
    PeerViolation,
    encode_body,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# For exactly one descriptor: CMSG_SPACE would have room for two (cmsg(3)).
_ROOM = socket.CMSG_LEN(array.array("i").itemsize)
# Each is the answer to something that the supervisor said; who leaves so many unread is lost.
MOST_UNSENT = 16_384


class Control:
    """One packet a frame; `Attach` brings one descriptor, the others none."""

    def __init__(self, peer: socket.socket, leave: Callable[[str], None]) -> None:
        """`leave` is called when there is nobody to speak to any more."""
        peer.setblocking(False)  # noqa: FBT003 - the standard library's
        self._peer = peer
        self._leave = leave
        self._unsent: deque[bytes] = deque()

    def fileno(self) -> int:
        return self._peer.fileno()

    def receive(self) -> tuple[ToBroker, int] | None:
        """The next frame that has come, with its descriptor or -1; None if none has.

        Raises:
            EOFError: The supervisor closed its end.
            PeerViolation: It sent something else.
        """
        try:
            body, ancillary, flags, _ = self._peer.recvmsg(
                MAX_PACKET_BYTES, _ROOM, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return None
        except ConnectionError:
            raise EOFError from None
        received = array.array("i")
        for _, _, content in ancillary:
            received.frombytes(content)
        try:
            return _checked(body, flags, len(received)), received[0] if received else -1
        except BaseException:
            for number in received:
                os.close(number)
            raise

    def send(self, frame: FromBroker) -> None:
        """Send it, now or when there is room."""
        if len(self._unsent) >= MOST_UNSENT:
            self._leave("the supervisor doesn't read what it is told")
        self._unsent.append(encode_body(frame))
        if len(self._unsent) == 1:
            self._send_what_fits()

    def _send_what_fits(self) -> None:
        while self._unsent:
            try:
                self._peer.send(self._unsent[0])
            except BlockingIOError:
                asyncio.get_running_loop().add_writer(self._peer, self._go_on)
                return
            except OSError:
                self._leave("")
                return
            self._unsent.popleft()

    def _go_on(self) -> None:
        asyncio.get_running_loop().remove_writer(self._peer)
        self._send_what_fits()


def _checked(body: bytes, flags: int, descriptors: int) -> ToBroker:
    if not body:
        raise EOFError
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        raise PeerViolation("more than a frame and its descriptor")
    frame = TO_BROKER.decode(body)
    if descriptors != isinstance(frame, Attach):
        raise PeerViolation(f"{type(frame).__name__} with {descriptors} descriptors")
    return frame
