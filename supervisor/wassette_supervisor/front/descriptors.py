"""Reading, writing and diverting descriptors, without ever blocking the event loop.

None is made non-blocking: that is a property of the open file, which other processes may share.
A pipe, a socket or a terminal is polled before each call instead, the rest has a thread.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import stat
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import anyio
import anyio.lowlevel
import anyio.to_thread

from wassette_supervisor.errors import UsageError

READ_BYTES = 64 << 10
# A peer that reads as fast as we write would never make us wait: others get their turn after it.
BYTES_PER_TURN = 256 << 10

Read = Callable[[], Awaitable[bytes]]
Write = Callable[[memoryview], Awaitable[None]]


@contextmanager
def diverted() -> Iterator[tuple[int, int]]:
    """Keep stray prints, and children, away from standard input and output.

    Meanwhile 0 reads nothing and 1 is standard error. Yields private duplicates of what they
    were, and puts them back at the end.

    Raises:
        UsageError: One of them is closed.
    """
    # Looked up here, as it was when Python started: a closed descriptor's number may by now be
    # that of another file, such as the event loop's own.
    for name, stream in [("input", sys.__stdin__), ("output", sys.__stdout__)]:
        if stream is None:
            raise UsageError(
                f"standard {name} is closed; an MCP client starts this command with a pipe to it"
            )
    incoming, outgoing = (fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3) for number in (0, 1))
    try:
        _replace(0, os.open(os.devnull, os.O_RDONLY))
        _replace(1, _standard_error())
        yield incoming, outgoing
    finally:
        # What was printed meanwhile and is still in Python's buffer is not for the client either.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        os.dup2(incoming, 0)
        os.dup2(outgoing, 1)
        for descriptor in (incoming, outgoing):
            # An abandoned thread may still be in a call on it: its number must not become
            # another file's.
            if _never_in_a_thread(descriptor):
                os.close(descriptor)


def _replace(descriptor: int, other: int) -> None:
    os.dup2(other, descriptor)
    os.close(other)


def _standard_error() -> int:
    try:
        return os.dup(2)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def _never_in_a_thread(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def reader(descriptor: int) -> Read:
    """Return a function that reads what there is; empty at the end, and when the peer is gone."""
    # epoll refuses regular files, and devices as /dev/null.
    polled = _never_in_a_thread(descriptor) or os.isatty(descriptor)

    async def read() -> bytes:
        while True:
            try:
                if polled:
                    await anyio.wait_readable(descriptor)
                    return os.read(descriptor, READ_BYTES)
                return await anyio.to_thread.run_sync(
                    os.read, descriptor, READ_BYTES, abandon_on_cancel=True
                )
            except BlockingIOError:
                # Another process made the open file non-blocking, and took what there was.
                await anyio.lowlevel.checkpoint()
            except OSError:
                return b""  # a reset connection, a terminal that was hung up

    return read


@contextmanager
def writer(descriptor: int) -> Iterator[Write]:
    """Yield a function that writes all of a buffer, and raises OSError when the peer is gone."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            yield _polled(descriptor, lambda data: connection.send(data, socket.MSG_DONTWAIT))
    elif stat.S_ISFIFO(mode):
        yield _polled(descriptor, _pipe_write(descriptor))
    else:
        yield _threaded(descriptor)


def _pipe_write(descriptor: int) -> Callable[[memoryview], int]:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)

    def write(data: memoryview) -> int:
        # poll(2) promises of a blocking pipe that it takes PIPE_BUF bytes, and no more than that.
        if not poll.poll(0):
            raise BlockingIOError
        return os.write(descriptor, data[: select.PIPE_BUF])

    return write


def _polled(descriptor: int, write_some: Callable[[memoryview], int]) -> Write:
    async def write(data: memoryview) -> None:
        position, next_turn = 0, BYTES_PER_TURN
        while position < len(data):
            try:
                position += write_some(data[position:])
            except BlockingIOError:
                await anyio.wait_writable(descriptor)
            if position >= next_turn:
                next_turn = position + BYTES_PER_TURN
                await anyio.lowlevel.checkpoint()

    return write


def _threaded(descriptor: int) -> Write:
    async def write(data: memoryview) -> None:
        while data:
            written = await anyio.to_thread.run_sync(
                os.write, descriptor, data, abandon_on_cancel=True
            )
            data = data[written:]

    return write
