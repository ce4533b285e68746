"""A server of HTTP/2 over TLS, which does with each stream and connection what it is told."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from h2.settings import SettingCodes, Settings

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from h2.errors import ErrorCodes


class Stream:
    """A request, and the way to answer it."""

    def __init__(self, connection: Connection, number: int, head: dict[str, str]) -> None:
        self.connection = connection
        self.id = number
        self.head = head
        self.trailers: dict[str, str] = {}
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()  # of the body; empty at its end
        self.was_reset = asyncio.Event()
        self.widened = asyncio.Event()

    async def body(self) -> bytes:
        whole = bytearray()
        while piece := await self.pieces.get():
            whole += piece
        return bytes(whole)

    async def answer(
        self, status: int = 200, said: Sequence[tuple[str, str]] = (), *, end: bool = False
    ) -> None:
        self.connection.h2.send_headers(self.id, [(":status", str(status)), *said], end_stream=end)
        await self.connection.flush()

    async def send(self, data: bytes) -> None:
        while data:
            self.widened.clear()
            room = self.connection.h2.local_flow_control_window(self.id)
            size = min(room, self.connection.h2.max_outbound_frame_size, len(data))
            if not size:
                await self.widened.wait()
                continue
            self.connection.h2.send_data(self.id, data[:size])
            data = data[size:]
            await self.connection.flush()

    async def end(self, trailers: Sequence[tuple[str, str]] = ()) -> None:
        if trailers:
            self.connection.h2.send_headers(self.id, trailers, end_stream=True)
        else:
            self.connection.h2.end_stream(self.id)
        await self.connection.flush()

    def happened(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.DataReceived):
            if event.data:
                self.pieces.put_nowait(event.data)
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers = _dict(event)
        elif isinstance(event, h2.events.StreamEnded):
            self.pieces.put_nowait(b"")
        elif isinstance(event, h2.events.StreamReset):
            self.was_reset.set()

    async def reset(self, code: ErrorCodes) -> None:
        self.connection.h2.reset_stream(self.id, code)
        await self.connection.flush()


class Connection:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Http2Server
    ) -> None:
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="latin-1")
        )
        self.h2.local_settings = Settings(client=False, initial_values=dict(server.settings))
        self.writer = writer
        self.streams: dict[int, Stream] = {}
        self._reader = reader
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()

    async def say(self, data: bytes) -> None:
        """Send bytes that h2 knows nothing of."""
        self.writer.write(data)
        await self.writer.drain()

    async def flush(self) -> None:
        await self.say(self.h2.data_to_send())

    async def leave(self, last: int) -> None:
        """Say that streams up to this one are the last that are served; those go on."""
        frame = b"\0\0\x08\x07\0\0\0\0\0" + last.to_bytes(4) + bytes(4)
        await self.say(frame)

    async def serve(self) -> None:
        self.h2.initiate_connection()
        await self.flush()
        try:
            while data := await self._reader.read(1 << 18):
                for event in self.h2.receive_data(data):
                    self._happened(event)
                await self.flush()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _happened(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._begin(event)
        if isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            for each in self.streams.values():
                each.widened.set()
        elif stream := self.streams.get(getattr(event, "stream_id", 0)):
            stream.happened(event)
            if isinstance(event, h2.events.DataReceived) and self._server.takes:
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, stream.id)

    def _begin(self, event: h2.events.RequestReceived) -> None:
        stream = Stream(self, event.stream_id or 0, _dict(event))
        self.streams[stream.id] = stream
        self._server.streams.append(stream)
        self._server.asked.release()
        task = asyncio.create_task(self._behave(stream))
        self._tasks.add(task)

    async def _behave(self, stream: Stream) -> None:
        with contextlib.suppress(ConnectionError, h2.exceptions.ProtocolError):
            await self._server.behave(stream)


def _dict(event: h2.events.RequestReceived | h2.events.TrailersReceived) -> dict[str, str]:
    pairs = [(str(name), str(value)) for name, value in event.headers or []]
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


class Http2Server:
    def __init__(
        self,
        behave: Callable[[Stream], Awaitable[None]],
        settings: Mapping[SettingCodes, int],
        *,
        takes: bool,
    ) -> None:
        self.behave = behave
        self.settings = settings
        self.takes = takes  # what comes, so that more may come
        self.port = 0
        self.connections = 0
        self.streams: list[Stream] = []
        self.asked = asyncio.Semaphore(0)  # released by each request
        self.over = asyncio.Semaphore(0)  # released by each connection that ends


@contextlib.asynccontextmanager
async def http2_server(
    behave: Callable[[Stream], Awaitable[None]],
    tls: ssl.SSLContext,
    settings: Mapping[SettingCodes, int] | None = None,
    *,
    takes: bool = True,
) -> AsyncIterator[Http2Server]:
    """A server whose streams each behave so."""
    tls.set_alpn_protocols(["h2"])
    server = Http2Server(behave, settings or {}, takes=takes)
    served: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served[asyncio.current_task()] = writer
        server.connections += 1
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            await Connection(reader, writer, server).serve()
        writer.transport.abort()
        server.over.release()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server
        tasks = [task for task in served if task is not None and not task.done()]
        for task in tasks:
            served[task].transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
