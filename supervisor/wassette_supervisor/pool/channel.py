"""Frames to and from processes that nobody trusts, over sockets that never block us."""

from __future__ import annotations

import array
import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING, Generic, TypeVar

from wassette_protocol import frames
from wassette_protocol.codec import (
    MAX_PACKET_BYTES,
    Direction,
    FrameDecoder,
    PeerViolation,
    encode_body,
    encode_frame,
)
from wassette_supervisor.pool import readiness
from wassette_supervisor.pool.process import Process

if TYPE_CHECKING:
    from collections.abc import Sequence

FrameT = TypeVar("FrameT", bound=frames.Frame)

_CHUNK = 1 << 16
# asm-generic/socket.h and linux/socket.h; not in Python's socket module.
_SO_PASSPIDFD, _SCM_PIDFD = 76, 4
_UCRED = struct.Struct("iII")  # unix(7): pid, uid, gid


class ClosedError(Exception):
    """The peer closed its end."""


def ask_for_sender(receiver: socket.socket) -> None:
    """Have the kernel tell who sends to this socket; before its other end is given away.

    From Linux 6.5 on it hands out a pidfd. Before, it tells a pid, which may be another process'
    by the time that we open it: so every peer has to answer an echo after that.
    """
    try:
        receiver.setsockopt(socket.SOL_SOCKET, _SO_PASSPIDFD, 1)
    except OSError:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)


def _stop_asking(receiver: socket.socket) -> None:
    for option in (_SO_PASSPIDFD, socket.SO_PASSCRED):
        with contextlib.suppress(OSError):
            receiver.setsockopt(socket.SOL_SOCKET, option, 0)


async def _receive_first(
    receiver: socket.socket, size: int, wanted: int
) -> tuple[bytes, Process, list[int]]:
    """The first bytes, who sent them, and as many descriptors as are wanted.

    Raises:
        ClosedError: The peer ended before it said anything.
        PeerViolation: It sent another number of descriptors.
    """
    data, ancillary, flags = await _receive_message(receiver, size, wanted)
    _stop_asking(receiver)
    process = None
    rights = [content for _, kind, content in ancillary if kind == socket.SCM_RIGHTS]
    received = [number for content in rights for number in _numbers(content)]
    try:
        for _, kind, content in ancillary:
            if kind == _SCM_PIDFD:
                process = _held(struct.unpack_from("i", content)[0])
            elif kind == socket.SCM_CREDENTIALS:
                process = _open(_UCRED.unpack_from(content)[0])
    except ClosedError:
        _close_all(received)
        raise
    refused = flags & socket.MSG_CTRUNC or len(received) != wanted
    if not data or process is None or refused:
        _close_all(received)
        if process is not None:
            process.close()
        raise PeerViolation("other descriptors than expected") if data else ClosedError
    return data, process, received


async def _receive_message(
    receiver: socket.socket, size: int, descriptors: int
) -> tuple[bytes, list[tuple[int, int, bytes]], int]:
    room = socket.CMSG_SPACE(_UCRED.size)
    if descriptors:
        room += socket.CMSG_SPACE(descriptors * array.array("i").itemsize)
    while True:
        try:
            return receiver.recvmsg(size, room, socket.MSG_CMSG_CLOEXEC)[:3]
        except BlockingIOError:
            await readiness.readable(receiver.fileno())
        except ConnectionError:
            raise ClosedError from None


def _held(pidfd: int) -> Process:
    if pidfd < 0:  # an error number: the sender has been reaped meanwhile
        raise ClosedError
    return Process(pidfd)


def _open(pid: int) -> Process | None:
    try:
        return Process(os.pidfd_open(pid)) if pid > 0 else None
    except ProcessLookupError:
        raise ClosedError from None


def _rights(descriptors: Sequence[int]) -> list[tuple[int, int, array.array[int]]]:
    if not descriptors:
        return []
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]


def _numbers(content: bytes) -> list[int]:
    numbers = array.array("i")
    numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
    return numbers.tolist()


def _close_all(numbers: Sequence[int]) -> None:
    for number in numbers:
        os.close(number)


class Stream(Generic[FrameT]):
    """A stream socket to a worker or a compiler."""

    def __init__(self, peer: socket.socket, direction: Direction[FrameT]) -> None:
        self._peer = peer
        self._decoder = FrameDecoder(direction)

    async def first(self) -> tuple[FrameT, Process]:
        """The first frame and its sender.

        Raises:
            ClosedError: The peer ended.
            PeerViolation: It sent something else.
        """
        data, process, _ = await _receive_first(self._peer, _CHUNK, 0)
        return await self._first(data, process), process

    async def first_with_descriptor(self) -> tuple[FrameT, Process, int]:
        """As `first`, with one descriptor, which becomes the caller's."""
        data, process, (descriptor,) = await _receive_first(self._peer, _CHUNK, 1)
        try:
            return await self._first(data, process), process, descriptor
        except BaseException:
            os.close(descriptor)
            raise

    async def _first(self, data: bytes, process: Process) -> FrameT:
        try:
            self._decoder.feed(data)
            return await self.receive()
        except BaseException:
            process.kill()
            process.close()
            raise

    async def receive(self) -> FrameT:
        """The next frame.

        Raises:
            ClosedError: The peer ended.
            PeerViolation: It sent something else.
        """
        while (frame := self._decoder.next_frame()) is None:
            data = await self._read()
            if not data:
                self._decoder.close()
                raise ClosedError
            self._decoder.feed(data)
        return frame

    @property
    def has_more(self) -> bool:
        """Whether more has come than the frames that were received."""
        return self._decoder.has_more

    async def _read(self) -> bytes:
        while True:
            try:
                data, _, flags, _ = self._peer.recvmsg(_CHUNK)
            except BlockingIOError:
                await readiness.readable(self._peer.fileno())
            except OSError:  # the peer is gone, or we closed our end meanwhile
                return b""
            else:
                if flags & socket.MSG_CTRUNC:
                    raise PeerViolation("descriptors that nobody asked for")
                return data

    async def send(self, frame: frames.Frame, descriptors: Sequence[int] = ()) -> None:
        """Send one frame; descriptors, which stay the caller's, go with its first byte.

        Raises:
            ClosedError: The peer ended.
        """
        left = memoryview(encode_frame(frame))
        ancillary = _rights(descriptors)
        while left:
            try:
                left = left[self._peer.sendmsg([left], ancillary) :]
                ancillary = []
            except BlockingIOError:
                await readiness.writable(self._peer.fileno())
            except ConnectionError:
                raise ClosedError from None

    def close(self) -> None:
        if self._peer.fileno() >= 0:
            readiness.closing(self._peer.fileno())
        self._peer.close()


class Packets(Generic[FrameT]):
    """A packet socket to the zygote or to a template; carries descriptors to it."""

    def __init__(self, peer: socket.socket, direction: Direction[FrameT]) -> None:
        self._peer = peer
        self._direction = direction

    async def first(self) -> tuple[FrameT, Process]:
        """The first frame and its sender; as of a stream."""
        data, process, _ = await _receive_first(self._peer, MAX_PACKET_BYTES, 0)
        try:
            return self._direction.decode(data), process
        except BaseException:
            process.kill()
            process.close()
            raise

    async def receive(self) -> FrameT:
        """The next frame; as of a stream."""
        while True:
            try:
                data, _, flags, _ = self._peer.recvmsg(MAX_PACKET_BYTES)
            except BlockingIOError:
                await readiness.readable(self._peer.fileno())
            except OSError:  # the peer is gone, or we closed our end meanwhile
                raise ClosedError from None
            else:
                if not data:
                    raise ClosedError
                if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
                    raise PeerViolation("more than a frame")
                return self._direction.decode(data)

    async def send(self, frame: frames.Frame, descriptors: list[int] | None = None) -> None:
        """Send one frame with descriptors, which stay the caller's.

        Raises:
            ClosedError: The peer ended.
        """
        while True:
            try:
                socket.send_fds(self._peer, [encode_body(frame)], descriptors or [])
            except BlockingIOError:
                await readiness.writable(self._peer.fileno())
            except ConnectionError:
                raise ClosedError from None
            else:
                return

    def close(self) -> None:
        if self._peer.fileno() >= 0:
            readiness.closing(self._peer.fileno())
        self._peer.close()
