"""Blocking frames over an inherited socket."""

from __future__ import annotations

import os
import socket
from typing import Generic, TypeVar

from wassette_protocol import frames
from wassette_protocol.codec import (
    MAX_PACKET_BYTES,
    Direction,
    FrameDecoder,
    PeerViolation,
    encode_body,
    encode_frame,
)

FrameT = TypeVar("FrameT", bound=frames.Frame)

_CHUNK = 1 << 16
_MAX_DESCRIPTORS = 8


class Stream(Generic[FrameT]):
    """A stream socket: what a worker or a compiler has."""

    def __init__(self, number: int, direction: Direction[FrameT]) -> None:
        self._socket = socket.socket(fileno=number)
        self._decoder = FrameDecoder(direction)

    def send(self, frame: frames.Frame) -> None:
        self._socket.sendall(encode_frame(frame))

    def receive(self) -> FrameT:
        """Wait for the next frame.

        Raises:
            EOFError: The supervisor is gone.
            PeerViolation: It sent something else.
        """
        while (frame := self._decoder.next_frame()) is None:
            data = self._socket.recv(_CHUNK)
            if not data:
                raise EOFError
            self._decoder.feed(data)
        return frame


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

    def receive(self, descriptors: dict[type[frames.Frame], int]) -> tuple[FrameT, list[int]]:
        """Wait for the next frame, and for as many descriptors as its type has in the table.

        Raises:
            EOFError: The supervisor is gone.
            PeerViolation: It sent something else.
        """
        body, received, _, _ = socket.recv_fds(self._socket, MAX_PACKET_BYTES, _MAX_DESCRIPTORS)
        if not body:
            raise EOFError
        try:
            return self._checked(body, len(received), descriptors), received
        except PeerViolation:
            for number in received:
                os.close(number)
            raise

    def _checked(
        self, body: bytes, received: int, descriptors: dict[type[frames.Frame], int]
    ) -> FrameT:
        frame = self._direction.decode(body)
        if received != descriptors.get(type(frame), 0):
            raise PeerViolation(f"{type(frame).__name__} with {received} descriptors")
        return frame
