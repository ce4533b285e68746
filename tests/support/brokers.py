"""A real broker, told what the supervisor's own actor tells it, and servers that it is sent to."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from typing import TYPE_CHECKING, NamedTuple

import anyio
import msgspec
import pytest

from wassette_protocol.broker_frames import (
    AddressRules,
    Allowance,
    Attach,
    BrokerReady,
    Destination,
    Detach,
    Detached,
    Order,
    RequestEnded,
)
from wassette_protocol.frames import ChildId
from wassette_supervisor.pool import broker_process
from wassette_supervisor.pool.channel import ClosedError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wassette_protocol.broker_frames import FromBroker, ToBroker
    from wassette_supervisor.pool.broker_process import Started

PATIENCE_S = 20

ALLOWANCE = Allowance(
    concurrent=32,
    request_bytes=1 << 20,
    response_bytes=1 << 20,
    first_byte_ms=10_000,
    request_ms=10_000,
)
# The servers of the tests are on loopback, which nobody may dial whom no rule lets.
LOOPBACK = AddressRules(lifted=[["127.0.0.0/8", "::1/128"]])


class Running:
    """A broker that was started and is locked down."""

    def __init__(self, started: Started, ready: BrokerReady) -> None:
        self.started = started
        self.steps = ready.steps

    @property
    def pid(self) -> int:
        return self.started.process.pid()

    async def send(self, frame: ToBroker, *descriptors: int) -> None:
        await self.started.channel.send(frame, list(descriptors))

    async def attach(
        self, worker: int, listener: int, component: str = "c", allowance: Allowance = ALLOWANCE
    ) -> None:
        await self.send(Attach(ChildId(worker), component, allowance), listener)

    async def order(self, worker: int, port: int, target: str = "/", **changes: object) -> str:
        """Have a request of a worker made to a server here; its id."""
        order = msgspec.structs.replace(order_of(worker, port, target), **changes)
        await self.send(order)
        return order.id

    async def detach(self, worker: int) -> list[FromBroker]:
        """End a worker: what is told until that is done."""
        await self.send(Detach(ChildId(worker)))
        told: list[FromBroker] = []
        while Detached(ChildId(worker)) not in told:
            told.append(await self.receive())
        return told[:-1]

    async def receive(self) -> FromBroker:
        with anyio.fail_after(PATIENCE_S):
            return await self.started.channel.receive()

    async def ended(self) -> RequestEnded:
        told = await self.receive()
        assert isinstance(told, RequestEnded), told
        return told

    async def over(self) -> str:
        """Wait until it has ended: what it wrote."""
        assert await self.started.process.gone_within(PATIENCE_S)
        return self.said()

    def said(self) -> str:
        """What it has written to the operator's log."""
        self.started.output.drain()
        return self.started.output.text().strip()


def order_of(worker: int, port: int, target: str = "/") -> Order:
    destination = Destination("http", "127.0.0.1", port)
    order_id = secrets.token_hex(16)
    return Order(order_id, ChildId(worker), destination, "GET", target, LOOPBACK, [])


@contextlib.asynccontextmanager
async def broker(authorities: Path | None = None, *program: str) -> AsyncIterator[Running]:
    started = broker_process.start(authorities, *program)
    try:
        with anyio.fail_after(PATIENCE_S):
            ready = await started.channel.receive()
        assert isinstance(ready, BrokerReady), ready
        yield Running(started, ready)
    finally:
        await started.end()


async def last_words(authorities: Path) -> str:
    """What one writes that ends before it is ready."""
    started = broker_process.start(authorities)
    try:
        with pytest.raises(ClosedError):
            await started.channel.receive()
        return await started.post_mortem()
    finally:
        await started.end()


class Server(NamedTuple):
    """Answers each request by its target, after the gate is open."""

    port: int
    seen: list[str]
    gate: anyio.Event
    waiting: anyio.Semaphore


@contextlib.asynccontextmanager
async def server(
    *, shut: bool = False, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    """A server of HTTP on loopback; with `shut` it answers nobody before its gate is open."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, 0), family=family)
    serving = Server(listening.getsockname()[1], [], anyio.Event(), anyio.Semaphore(0))
    if not shut:
        serving.gate.set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await _answer(reader, writer, serving)
        writer.close()

    async with await asyncio.start_server(serve, sock=listening, ssl=tls):
        yield serving
        serving.gate.set()


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, serving: Server
) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    target = head.split(b" ")[1].decode()
    serving.seen.append(target)
    serving.waiting.release()
    await serving.gate.wait()
    body = f"you asked for {target}".encode()
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()
