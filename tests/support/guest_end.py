"""A guest's end of requests that the broker's data plane serves, in this process.

The service stands in front of it in the product: here its part is played by a table of orders.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import h11
import msgspec

from wassette_protocol.broker_frames import (
    AddressRules,
    Allowance,
    Destination,
    Order,
    RequestEnded,
)
from wassette_protocol.codec import FROM_BROKER, encode_body
from wassette_protocol.frames import ChildId
from wassette_protocol.http_errors import ERROR_CODES, OWN_HEADER, OWN_STATUS
from wassette_supervisor.broker.exchange import Worker, World, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from wassette_supervisor.broker.connections import Resolve

PATIENCE_S = 20
ALLOWANCE = Allowance(16, 1 << 30, 1 << 30, 10_000, 20_000)
LOOPBACK = AddressRules(lifted=[["127.0.0.0/8", "::1/128"]])


def order_to(
    port: int, target: str = "/", *, host: str = "127.0.0.1", scheme: str = "http", **changes: Any
) -> Order:
    destination = Destination("https" if scheme == "https" else "http", host, port)
    order = Order(secrets.token_hex(16), ChildId(1), destination, "GET", target, LOOPBACK, [])
    return msgspec.structs.replace(order, **changes)


class Told(NamedTuple):
    """What a guest was answered."""

    status: int
    headers: dict[str, str]
    body: bytes
    trailers: dict[str, str]
    whole: bool  # and not broken off

    @property
    def error(self) -> str:
        """What it is instead of an answer, as the guard in the worker reads it."""
        assert self.status == OWN_STATUS, self
        return ERROR_CODES[int(self.headers[OWN_HEADER])]


class Line:
    """A connection of the guest: what is sent and read on it is the test's."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, served: asyncio.Task[None]
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.served = served

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def begin(
        self, order: Order, headers: Sequence[tuple[str, str]] = (), method: str | None = None
    ) -> None:
        lines = [f"{method or order.method} /{order.id} HTTP/1.1", "host: 127.0.0.1:1"]
        lines += [f"{name}: {value}" for name, value in headers]
        await self.send("\r\n".join([*lines, "\r\n"]).encode("latin-1"))

    async def told(self, method: str = "GET") -> Told:
        """Read the answer to its end."""
        with anyio.fail_after(PATIENCE_S):
            return await self._told(method)

    async def _told(self, method: str) -> Told:
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        parser.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        head, body, trailers, whole = None, bytearray(), {}, False
        while not whole:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError:
                break
            if event is h11.NEED_DATA:
                parser.receive_data(await self._read())
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                trailers, whole = _texts(event.headers), True
        if head is None:
            return Told(0, {}, b"", {}, whole=False)
        return Told(head.status_code, _texts(head.headers), bytes(body), trailers, whole)

    async def _read(self) -> bytes:
        with contextlib.suppress(ConnectionError):
            return await self.reader.read(1 << 18)
        return b""

    async def rest(self) -> bytes:
        """All that comes until the other end closes."""
        with anyio.fail_after(PATIENCE_S):
            read = bytearray()
            while piece := await self._read():
                read += piece
            return bytes(read)

    def stop_reading(self) -> None:
        transport = self.writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()
        with anyio.fail_after(PATIENCE_S):
            await asyncio.wait([self.served])


def _texts(headers: Any) -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, value in headers:
        key = name.decode("latin-1")
        texts[key] = ", ".join([*([texts[key]] if key in texts else []), value.decode("latin-1")])
    return texts


class Plane:
    """The data plane for one worker, and what it told of ended requests."""

    def __init__(self, world: World, allowance: Allowance, component: str) -> None:
        self.world = world
        self.worker = Worker(component, allowance)
        self.orders: dict[str, Order] = {}
        self.ended: list[RequestEnded] = []
        self.lines: list[Line] = []

    async def line(self) -> Line:
        ours, theirs = socket.socketpair()
        theirs.settimeout(0)
        served = asyncio.create_task(serve(theirs, self.worker, self._take, self.world, self._tell))
        line = Line(*await asyncio.open_connection(sock=ours), served)
        self.lines.append(line)
        return line

    def _take(self, order_id: str) -> Order | None:
        return self.orders.pop(order_id, None)

    def _tell(self, ended: RequestEnded) -> None:
        # As the supervisor reads it: a report that it can't read costs everybody the broker.
        read = FROM_BROKER.decode(encode_body(ended))
        assert isinstance(read, RequestEnded)
        self.ended.append(read)

    def sees(self, order: Order) -> Order:
        self.orders[order.id] = order
        return order

    async def ask(
        self,
        order: Order,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Told:
        """Make a request as an engine does: on a connection of its own."""
        line = await self.line()
        await line.begin(self.sees(order), headers)
        if body:
            await line.send(body)
        told = await line.told(order.method)
        await line.close()
        return told

    async def until_ended(self, count: int = 1) -> RequestEnded:
        """The last of so many requests, when all have ended."""
        with anyio.fail_after(PATIENCE_S):
            while len(self.ended) < count:
                await asyncio.wait([line.served for line in self.lines])
        assert len(self.ended) == count
        return self.ended[-1]

    async def close(self) -> None:
        for line in self.lines:
            if not line.writer.is_closing():
                await line.close()
        self.world.close()


@contextlib.asynccontextmanager
async def plane(
    *,
    resolve: Resolve | None = None,
    authorities: ssl.SSLContext | None = None,
    allowance: Allowance = ALLOWANCE,
    component: str = "c",
) -> AsyncIterator[Plane]:
    context = authorities or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    world = World(context, resolve) if resolve else World(context)
    made = Plane(world, allowance, component)
    try:
        yield made
    finally:
        await made.close()
