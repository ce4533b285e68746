"""How a connection over TLS ends: said, or cut by whoever stands between (RFC 9112, 9.8)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, NamedTuple

import pytest
from anyio import to_thread

from support import tls
from support.certificates import Authority
from support.guest_end import PATIENCE_S, Told, order_to, plane
from wassette_protocol.broker_frames import COMPLETE, Destination
from wassette_supervisor.broker.wire import adopt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wassette_protocol.broker_frames import Order

SAID, CUT = True, False
# Of the loop: more than it takes to read what lies in a socket.
_TURNS = 100
UNBOUNDED = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def over_tls(port: int) -> Order:
    return order_to(port, destination=Destination("https", "localhost", port, ["127.0.0.1"]))


class Ending(NamedTuple):
    port: int
    over: threading.Event  # all but the end is said


@contextlib.asynccontextmanager
async def ending(authority: Authority, answer: bytes, *, said: bool) -> AsyncIterator[Ending]:
    """A server of one request, whose answer ends by a word of TLS or by the end of TCP alone."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(PATIENCE_S)
    context = tls.server_side(authority.issue("server"))

    server = Ending(listening.getsockname()[1], threading.Event())

    def serve() -> None:
        accepted, _ = listening.accept()
        accepted.settimeout(PATIENCE_S)
        with context.wrap_socket(accepted, server_side=True) as connection:
            connection.recv(1 << 16)
            with contextlib.suppress(OSError):
                connection.sendall(answer)
                server.over.set()
                if said:
                    connection.unwrap()
                else:
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(1)

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        yield server
    finally:
        await to_thread.run_sync(serving.join)
        listening.close()


async def told(authority: Authority, answer: bytes, *, said: bool) -> tuple[Told, str]:
    """What a guest is told by such a server, and what is on record of it."""
    async with (
        ending(authority, answer, said=said) as server,
        plane(authorities=tls.trusting(authority)) as made,
    ):
        heard = await made.ask(over_tls(server.port))
        return heard, (await made.until_ended()).outcome


async def test_a_body_that_ends_by_a_word_of_tls_is_whole(authority: Authority) -> None:
    heard, outcome = await told(authority, UNBOUNDED + b"all of it", said=SAID)
    assert (heard.body, heard.whole, outcome) == (b"all of it", True, COMPLETE)


async def test_a_body_that_anybody_between_could_have_cut_is_not_whole(
    authority: Authority,
) -> None:
    heard, outcome = await told(authority, UNBOUNDED + b"all of i", said=CUT)
    assert (heard.body, heard.whole) == (b"all of i", False)
    assert outcome == "HTTP-response-incomplete"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n", id="length"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n", id="chunked"),
    ],
)
async def test_a_body_that_tells_where_it_ends_is_whole_however_the_connection_does(
    authority: Authority, head: bytes
) -> None:
    body = b"a" * 70_000
    rest = b"\r\n0\r\n\r\n" if b"chunked" in head else b""
    heard, outcome = await told(authority, head % len(body) + body + rest, said=CUT)
    assert (heard.body, heard.whole, outcome) == (body, True, COMPLETE)


@pytest.mark.parametrize("said", [SAID, CUT])
async def test_all_that_came_before_the_end_is_read_by_one_that_reads_late(
    authority: Authority, *, said: bool
) -> None:
    # More than asyncio reads at the end, less than it holds for who doesn't read.
    everything = bytes(range(256)) * (4 * 240)
    async with ending(authority, everything, said=said) as server:
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.settimeout(0)
        wire = await adopt(connection, tls.trusting(authority), "localhost")
        wire.pause()
        wire.write(b"go on")
        await to_thread.run_sync(server.over.wait, PATIENCE_S)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        wire.resume()
        read = bytearray()
        while not wire.ended or read != everything:
            if (piece := wire.take()) is None:
                assert not wire.ended, f"{len(everything) - len(read)} bytes are lost"
                await wire.wait()
            else:
                read += piece
        assert wire.reset is not said
        wire.abort()
