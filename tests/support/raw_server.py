"""A server that says just what a test has it say, byte by byte, over TCP or TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING

import h11

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable


class Peer:
    """One connection to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> bytes:
        """The head of a request.

        Raises:
            EOFError: The client ended the connection instead.
        """
        return await self.reader.readuntil(b"\r\n\r\n")

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def ended(self) -> None:
        """Until the client has gone."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 18):
                pass

    def stop_reading(self) -> None:
        transport = self.writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()

    def reset(self) -> None:
        """End it by a reset."""
        at_once = struct.pack("ii", 1, 0)  # socket(7), SO_LINGER
        held = self.writer.get_extra_info("socket")
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self.writer.transport.abort()


class RawServer:
    def __init__(self) -> None:
        self.port = 0
        self.heads: list[bytes] = []
        self.connections = 0
        self.asked = asyncio.Semaphore(0)  # for requests, released by each head
        self.over = asyncio.Semaphore(0)  # of connections, released by each

    def head(self, place: int = -1) -> dict[str, str]:
        """The headers of a request that came."""
        lines = self.heads[place].decode("latin-1").split("\r\n")[1:-2]
        pairs = [line.split(": ", 1) for line in lines]
        assert len({name for name, _ in pairs}) == len(pairs), lines
        return {name.lower(): value for name, value in pairs}

    def line(self, place: int = -1) -> str:
        return self.heads[place].split(b"\r\n")[0].decode("latin-1")


@contextlib.asynccontextmanager
async def raw_server(
    behave: Callable[[Peer], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """A server whose connections each behave so; the heads that they read are kept."""
    server = RawServer()

    served: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served[asyncio.current_task()] = writer
        server.connections += 1
        try:
            with contextlib.suppress(ConnectionError, EOFError):
                await behave(_Kept(reader, writer, server))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            server.over.release()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server
        tasks = [task for task in served if task is not None and not task.done()]
        for task in tasks:
            served[task].transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Kept(Peer):
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: RawServer
    ) -> None:
        super().__init__(reader, writer)
        self._server = server

    async def head(self) -> bytes:
        head = await super().head()
        self._server.heads.append(head)
        self._server.asked.release()
        return head


def saying(*pieces: bytes) -> Callable[[Peer], Awaitable[None]]:
    """Answers each request of a connection with these bytes, and then waits for the next one."""

    async def behave(peer: Peer) -> None:
        while True:
            await peer.head()
            await peer.say(*pieces)

    return behave


def saying_and_gone(*pieces: bytes) -> Callable[[Peer], Awaitable[None]]:
    """Answers one request with these bytes, and closes."""

    async def behave(peer: Peer) -> None:
        await peer.head()
        await peer.say(*pieces)

    return behave


async def mute(peer: Peer) -> None:
    """Reads a head, and says nothing until the client goes."""
    await peer.head()
    await peer.ended()


async def endless(peer: Peer) -> None:
    """Answers without an end."""
    await peer.head()
    await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        await peer.say(b"10000\r\n%b\r\n" % bytes(1 << 16))


async def echoing(peer: Peer) -> None:
    """Answers each request with its body and trailers, piece by piece while they come."""
    while True:
        parser = h11.Connection(h11.SERVER)
        parser.receive_data(await peer.head())
        request = parser.next_event()
        assert isinstance(request, h11.Request)
        said = [(name, value) for name, value in request.headers if name in _FRAMING]
        answer = h11.Response(status_code=200, headers=said)
        await peer.say(parser.send(answer) or b"")
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                await peer.say(parser.send(h11.Data(data=bytes(event.data))) or b"")
            else:
                parser.receive_data(await peer.reader.read(1 << 16))
        await peer.say(parser.send(h11.EndOfMessage(headers=list(event.headers))) or b"")


_FRAMING = (b"content-length", b"transfer-encoding")
