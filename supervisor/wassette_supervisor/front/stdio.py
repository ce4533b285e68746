"""MCP over standard input and output: lines of JSON, as streams that the library's server takes.

The library's own transport has no limit on a line and hops to a thread for each. This one holds
no more of a client's bytes than `Bounds` allows, answers what it can't take, and never waits for
a client that doesn't read.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import mcp_types as types
import structlog
from mcp.shared._context_streams import (
    ContextReceiveStream,
    ContextSendStream,
    create_context_streams,
)
from mcp.shared.message import ServerMessageMetadata, SessionMessage

from wassette_supervisor.front import messages
from wassette_supervisor.front.descriptors import Read, Write, diverted, reader, writer
from wassette_supervisor.front.messages import Bounds, Inflight, Lines, RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = structlog.get_logger(__name__)

DEFAULT_BOUNDS = Bounds()
# At the end, only a client that doesn't read can stand in the way of the last line.
LAST_LINE_S = 1.0

ToServer = ContextSendStream[SessionMessage | Exception]
FromServer = ContextReceiveStream[SessionMessage]
Streams = tuple[ContextReceiveStream[SessionMessage | Exception], ContextSendStream[SessionMessage]]


@asynccontextmanager
async def serve_stdio(bounds: Bounds = DEFAULT_BOUNDS) -> AsyncIterator[Streams]:
    """Serve on standard input and output, which nothing else can reach meanwhile.

    Yields the streams for the library's `Server.run`. The read stream ends when the client is
    gone: at the end of the input, or when nothing reads the output any more.

    Raises:
        UsageError: Standard input or output is closed.
    """
    with diverted() as (incoming, outgoing):
        async with serve_descriptors(incoming, outgoing, bounds) as streams:
            yield streams


@asynccontextmanager
async def serve_descriptors(
    incoming: int, outgoing: int, bounds: Bounds = DEFAULT_BOUNDS
) -> AsyncIterator[Streams]:
    """Serve on two descriptors, which stay the caller's; a socket comes as two duplicates."""
    to_server, read_stream = create_context_streams[SessionMessage | Exception](0)
    write_stream, from_server = create_context_streams[SessionMessage](0)
    with writer(outgoing) as write:
        connection = _Connection(reader(incoming), write, bounds)
        async with (
            anyio.create_task_group() as tasks,
            to_server,
            read_stream,
            write_stream,
            from_server,
        ):
            tasks.start_soon(connection.run, to_server, from_server)
            yield read_stream, write_stream
            write_stream.close()
            with anyio.move_on_after(LAST_LINE_S):
                await connection.given_out.wait()
            tasks.cancel_scope.cancel()


class _Connection:
    """One client: what it sends is handed on or answered, what it is sent is written."""

    def __init__(self, read: Read, write: Write, bounds: Bounds) -> None:
        self._read = read
        self._write = write
        self._line = anyio.Lock()  # whoever writes one: the server, or we with an answer
        self._bounds = bounds
        self._inflight = Inflight(bounds)
        self._scope = anyio.CancelScope()
        self.given_out = anyio.Event()  # all that the server wrote, or nobody reads it

    async def run(self, to_server: ToServer, from_server: FromServer) -> None:
        with self._scope:
            async with anyio.create_task_group() as directions:
                directions.start_soon(self._take_in, to_server)
                directions.start_soon(self._give_out, from_server)

    async def _take_in(self, to_server: ToServer) -> None:
        lines = Lines(self._bounds.line)
        # The server closes its end when it stops before the client does.
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async with to_server:
                while data := await self._read():
                    for line in lines.feed(data):
                        await self._take_line(line, to_server)
                await self._take_line(lines.take(), to_server)

    async def _take_line(self, line: bytes | None, to_server: ToServer) -> None:
        try:
            item = self._admitted(line)
        except RefusedError as refused:
            await self._send(refused.answer)
            return
        if item is not None:
            await to_server.send(item)

    def _admitted(self, line: bytes | None) -> SessionMessage | None:
        if line is None:
            text = f"message of more than {self._bounds.line} bytes"
            raise RefusedError(types.INVALID_REQUEST, text)
        message = messages.decode(line, self._bounds)
        if not isinstance(message, types.JSONRPCRequest):
            return SessionMessage(message) if message is not None else None
        self._inflight.admit(message.id, len(line))
        return SessionMessage(message, self._when_unanswered(message.id))

    def _when_unanswered(self, request_id: types.RequestId) -> ServerMessageMetadata:
        """Have the library tell when a request that the client cancelled has really ended.

        In both eras it is never answered. Until its handler has ended, its bytes are held.
        """

        async def settle() -> None:
            self._inflight.settle(request_id)

        return ServerMessageMetadata(on_request_unanswered=settle)

    async def _give_out(self, from_server: FromServer) -> None:
        try:
            async with from_server:
                async for item in from_server:
                    # First: the client may use an id again before a write has come back to us.
                    self._settle(item.message)
                    await self._send(item.message)
        finally:
            self.given_out.set()

    def _settle(self, message: types.JSONRPCMessage) -> None:
        if isinstance(message, types.JSONRPCResponse | types.JSONRPCError):
            self._inflight.settle(message.id)

    async def _send(self, message: types.JSONRPCMessage) -> None:
        try:
            line = messages.encode(message)
        except ValueError as error:
            log.warning("front.message_dropped", kind=type(message).__name__, reason=str(error))
            return
        try:
            async with self._line:
                await self._write(memoryview(line))
        except OSError:
            # Nobody reads, so nobody is left to serve: both directions end, as at end of input.
            self._scope.cancel()
