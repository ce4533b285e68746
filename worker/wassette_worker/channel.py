"""Blocking frames over an inherited socket."""

from __future__ import annotations

import array
import os
import socket
from typing import TYPE_CHECKING, Generic, TypeVar

from wassette_protocol import frames
from wassette_protocol.capabilities import MAX_DIRECTORIES
from wassette_protocol.codec import (
    MAX_PACKET_BYTES,
    Direction,
    FrameDecoder,
    PeerViolation,
    encode_body,
    encode_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FrameT = TypeVar("FrameT", bound=frames.Frame)

_CHUNK = 1 << 16
_MAX_DESCRIPTORS = MAX_DIRECTORIES + 8
_GRANTED_ROOM = socket.CMSG_SPACE(MAX_DIRECTORIES * array.array("i").itemsize)


class Stream(Generic[FrameT]):
    """A stream socket: what a worker or a compiler has. One frame of it brings descriptors."""

    def __init__(self, number: int, direction: Direction[FrameT]) -> None:
        self._socket = socket.socket(fileno=number)
        self._decoder = FrameDecoder(direction)

    def send(self, frame: frames.Frame) -> None:
        self._socket.sendall(encode_frame(frame))

    def start(self, frame: frames.Started, descriptor: int | None) -> None:
        """Send the first frame, and perhaps a descriptor with it, which is closed here."""
        if descriptor is None:
            self.send(frame)
            return
        try:
            socket.send_fds(self._socket, [encode_frame(frame)], [descriptor])
        finally:
            os.close(descriptor)

    def receive(self) -> FrameT:
        """Wait for the next frame.

        Raises:
            EOFError: The supervisor is gone.
            PeerViolation: It sent something else, or descriptors with it.
        """
        while (frame := self._decoder.next_frame()) is None:
            self._read(0)
        return frame

    def receive_granted(self) -> tuple[FrameT, list[int]]:
        """Wait for the next frame; a grant brings one descriptor for each of its directories.

        Raises:
            EOFError: The supervisor is gone.
            PeerViolation: It sent something else, or another number of descriptors.
        """
        received: list[int] = []
        try:
            while (frame := self._decoder.next_frame()) is None:
                received += self._read(_GRANTED_ROOM)
            wanted = len(frame.directories) if isinstance(frame, frames.Grant) else 0
            if len(received) != wanted:
                raise PeerViolation(f"{type(frame).__name__} with {len(received)} descriptors")
        except BaseException:
            _close(received)
            raise
        return frame, received

    def _read(self, room: int) -> list[int]:
        """Take what has come; return its descriptors."""
        data, ancillary, flags, _ = self._socket.recvmsg(_CHUNK, room, socket.MSG_CMSG_CLOEXEC)
        received = array.array("i")
        for _, _, content in ancillary:
            received.frombytes(content[: len(content) - len(content) % received.itemsize])
        # What found no room has been closed by the kernel, and is not counted.
        if flags & socket.MSG_CTRUNC:
            _close(received.tolist())
            raise PeerViolation("more descriptors than expected")
        if not data:
            _close(received.tolist())
            raise EOFError
        self._decoder.feed(data)
        return received.tolist()


def _close(numbers: list[int]) -> None:
    for number in numbers:
        os.close(number)


class Packets(Generic[FrameT]):
    """A packet socket that can carry descriptors: what the zygote or a template has."""

    def __init__(self, number: int, direction: Direction[FrameT]) -> None:
        self._socket = socket.socket(fileno=number)
        self._direction = direction

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, frame: frames.Frame) -> None:
        self._socket.send(encode_body(frame))

    def receive(self, count: Callable[[FrameT], int]) -> tuple[FrameT, list[int]]:
        """Wait for the next frame, and for as many descriptors as are counted for it.

        Raises:
            EOFError: The supervisor is gone.
            PeerViolation: It sent something else.
        """
        body, received, _, _ = socket.recv_fds(self._socket, MAX_PACKET_BYTES, _MAX_DESCRIPTORS)
        if not body:
            raise EOFError
        try:
            return self._checked(body, len(received), count), received
        except PeerViolation:
            _close(received)
            raise

    def _checked(self, body: bytes, received: int, count: Callable[[FrameT], int]) -> FrameT:
        frame = self._direction.decode(body)
        if received != count(frame):
            raise PeerViolation(f"{type(frame).__name__} with {received} descriptors")
        return frame
