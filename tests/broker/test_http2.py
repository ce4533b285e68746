"""HTTP/2 towards the world: what is shared, what is bounded, and what servers may do to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from support import tls
from support.certificates import Authority
from support.guest_end import ALLOWANCE, PATIENCE_S, order_to, plane
from support.http2_server import Http2Server, Stream, http2_server
from wassette_protocol.broker_frames import ABORTED, COMPLETE

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from wassette_protocol.broker_frames import Order

CHUNKED = ("transfer-encoding", "chunked")


class Sides:
    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        self.server: ssl.SSLContext = tls.server_side(authority.issue("server"))
        self.client: ssl.SSLContext = tls.trusting(authority)


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


def order(server: Http2Server, method: str = "GET", **changes: Any) -> Order:
    return order_to(server.port, "/a?b", scheme="https", method=method, **changes)


async def greeting(stream: Stream) -> None:
    await stream.answer(said=[("x-a", "b")])
    await stream.send(b"hello")
    await stream.end()


async def echoing(stream: Stream) -> None:
    await stream.answer()
    while piece := await stream.pieces.get():
        await stream.send(piece)
    await stream.end(list(stream.trailers.items()))


async def mute(stream: Stream) -> None:
    await stream.was_reset.wait()


async def test_a_request_and_its_answer_pass_by_http2(sides: Sides) -> None:
    async with (
        http2_server(greeting, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        answer = await made.ask(order(server), [("x-guest", "1"), ("connection", "x-guest")])
        assert (answer.status, answer.body, answer.headers["x-a"]) == (200, b"hello", "b")
        assert server.streams[0].head == {
            ":method": "GET",
            ":scheme": "https",
            ":authority": f"127.0.0.1:{server.port}",
            ":path": "/a?b",
        }
        ended = await made.until_ended()
        assert (ended.outcome, ended.version) == (COMPLETE, "HTTP/2")
        assert (ended.address, ended.received) == ("127.0.0.1", 5)


async def test_bodies_and_trailers_pass_both_ways_at_once(sides: Sides) -> None:
    async with (
        http2_server(echoing, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        line = await made.line()
        await line.begin(made.sees(order(server, "POST")), [CHUNKED])
        await line.reader.readuntil(b"\r\n\r\n")
        for word in (b"one", b"two"):
            await line.send(b"3\r\n%b\r\n" % word)
            assert await line.reader.readexactly(8) == b"3\r\n%b\r\n" % word
        await line.send(b"0\r\nx-sum: 1\r\nhost: x\r\n\r\n")
        assert await line.rest() == b"0\r\nx-sum: 1\r\n\r\n"
        assert (await made.until_ended()).sent == 6


async def test_large_bodies_pass_both_ways_through_small_windows(sides: Sides) -> None:
    body = bytes(range(256)) * (3 << 12)
    settings = {SettingCodes.INITIAL_WINDOW_SIZE: 5_000}
    async with (
        http2_server(echoing, sides.server, settings) as server,
        plane(authorities=sides.client) as made,
    ):
        await made.ask(order(server))  # its settings are known
        line = await made.line()
        await line.begin(made.sees(order(server, "PUT")), [("content-length", str(len(body)))])
        sending = asyncio.create_task(line.send(body))
        answer = await line.told()
        await sending
        assert (answer.body == body, answer.whole) == (True, True)
        assert server.streams[1].head["content-length"] == str(len(body))


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_an_answer_without_a_body_has_none(sides: Sides, method: str, status: int) -> None:
    async def behave(stream: Stream) -> None:
        await stream.answer(status, [("x-a", "b")], end=True)

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        answer = await made.ask(order(server, method))
        assert (answer.status, answer.body, answer.whole) == (status, b"", True)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_it_is_over_though_its_end_is_never_told_and_others_go_on(
    sides: Sides, method: str, status: int
) -> None:
    async def behave(stream: Stream) -> None:
        if stream.head[":path"] == "/other":
            await stream.answer(end=True)
        else:
            await stream.answer(status, [("x-a", "b")])

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        answer = await made.ask(order(server, method))
        assert (answer.status, answer.body, answer.whole) == (status, b"", True)
        await server.streams[0].was_reset.wait()
        assert (await made.until_ended()).outcome == COMPLETE
        other = await made.ask(order_to(server.port, "/other", scheme="https"))
        assert (other.status, server.connections) == (200, 1)


async def test_announced_trailers_reach_the_guest_though_the_length_is_said(sides: Sides) -> None:
    async def behave(stream: Stream) -> None:
        await stream.answer(said=[("content-length", "5"), ("trailer", "x-sum")])
        await stream.send(b"hello")
        await stream.end([("x-sum", "1")])

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        answer = await made.ask(order(server))
        assert (answer.body, answer.trailers) == (b"hello", {"x-sum": "1"})


async def test_a_secret_is_masked_across_frames(sides: Sides) -> None:
    async def behave(stream: Stream) -> None:
        secret = stream.head["x-key"]
        await stream.answer(said=[("x-echo", secret)])
        for byte in f"<{secret}>".encode():
            await stream.send(bytes([byte]))
        await stream.end([("x-late", secret)])

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        answer = await made.ask(order(server, inject=[("x-key", "s3cret")]), [("x-key", "mine")])
        assert server.streams[0].head["x-key"] == "s3cret"
        assert (answer.headers["x-echo"], answer.body) == ("******", b"<******>")
        assert answer.trailers == {"x-late": "******"}


async def test_a_body_in_frames_of_a_byte_each_is_whole(sides: Sides) -> None:
    body = bytes(range(256)) * 80

    async def behave(stream: Stream) -> None:
        await stream.answer()
        for byte in body:
            stream.connection.h2.send_data(stream.id, bytes([byte]))
        await stream.end()

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        answer = await made.ask(order(server))
        assert (answer.body == body, answer.whole) == (True, True)


# --- what is shared


async def test_requests_at_once_share_one_connection(sides: Sides) -> None:
    async with (
        http2_server(greeting, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        answers = await asyncio.gather(*(made.ask(order(server)) for _ in range(10)))
        assert [answer.body for answer in answers] == [b"hello"] * 10
        assert server.connections == 1


async def test_a_server_s_limit_of_streams_is_kept(sides: Sides) -> None:
    running = most = 0
    gate = asyncio.Event()

    async def behave(stream: Stream) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        await stream.answer(end=True)
        running -= 1

    settings = {SettingCodes.MAX_CONCURRENT_STREAMS: 2}
    async with (
        http2_server(behave, sides.server, settings) as server,
        plane(authorities=sides.client) as made,
    ):
        gate.set()
        assert (await made.ask(order(server))).status == 200  # the limit is known
        gate.clear()
        asking = [asyncio.create_task(made.ask(order(server))) for _ in range(5)]
        for _ in range(6):
            await server.asked.acquire()
        gate.set()
        assert [answer.status for answer in await asyncio.gather(*asking)] == [200] * 5
        by_connection = [len(each.connection.streams) for each in server.streams]
        assert server.connections >= 3
        assert most == 5
        assert max(by_connection) <= 3


async def test_a_guest_that_does_not_read_holds_up_its_own_stream_alone(sides: Sides) -> None:
    sent = 0

    async def behave(stream: Stream) -> None:
        nonlocal sent
        if stream.head[":method"] == "GET":
            await greeting(stream)
            return
        await stream.answer()
        while True:
            await stream.send(bytes(1 << 16))
            sent += 1 << 16

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        line = await made.line()
        line.stop_reading()
        await line.begin(made.sees(order(server, "POST")))
        await _until_still(lambda: sent)
        assert 1 << 20 <= sent < 4 << 20
        assert (await made.ask(order(server))).body == b"hello"
        assert server.connections == 1
        line.writer.transport.abort()


async def _until_still(count: Callable[[], int]) -> None:
    with anyio.fail_after(PATIENCE_S):
        seen = -1
        while seen != count() or not seen:
            seen = count()
            await asyncio.sleep(0.2)


async def test_a_server_that_takes_nothing_stops_the_guest_from_sending(sides: Sides) -> None:
    async with (
        http2_server(mute, sides.server, takes=False) as server,
        plane(authorities=sides.client) as made,
    ):
        line = await made.line()
        await line.begin(made.sees(order(server, "POST")), [("content-length", str(1 << 30))])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await line.send(bytes(64 << 20))
        line.writer.transport.abort()
        ended = await made.until_ended()
        assert (ended.outcome, ended.sent) == (ABORTED, ended.sent)
        assert ended.sent <= 65_535


# --- how it ends


async def test_a_guest_that_goes_has_its_stream_reset_and_the_connection_kept(sides: Sides) -> None:
    async def behave(stream: Stream) -> None:
        await (mute if stream.head[":method"] == "POST" else greeting)(stream)

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        line = await made.line()
        await line.begin(made.sees(order(server, "POST")))
        await server.asked.acquire()
        await line.close()
        assert (await made.until_ended()).outcome == ABORTED
        await server.streams[0].was_reset.wait()
        assert (await made.ask(order(server))).body == b"hello"
        assert server.connections == 1


async def test_an_answer_that_ends_early_ends_the_sending(sides: Sides) -> None:
    async def behave(stream: Stream) -> None:
        await stream.pieces.get()
        await stream.answer(413)
        await stream.end()
        await stream.reset(ErrorCodes.NO_ERROR)

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        line = await made.line()
        await line.begin(made.sees(order(server, "POST")), [CHUNKED])
        await line.send(b"5\r\nhello\r\n")
        answer = await line.told()
        assert (answer.status, answer.whole) == (413, True)
        assert (await made.until_ended()).outcome == COMPLETE


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (ErrorCodes.INTERNAL_ERROR, "connection-terminated"),
        (ErrorCodes.PROTOCOL_ERROR, "HTTP-protocol-error"),
    ],
)
async def test_a_stream_that_is_reset_is_an_error(
    sides: Sides, code: ErrorCodes, outcome: str
) -> None:
    async def behave(stream: Stream) -> None:
        await stream.reset(code)

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        assert (await made.ask(order(server))).error == outcome
        assert len(server.streams) == 1


async def test_a_stream_that_is_reset_in_its_answer_is_broken_off(sides: Sides) -> None:
    async def behave(stream: Stream) -> None:
        await stream.answer()
        await stream.send(b"hello")
        await stream.reset(ErrorCodes.INTERNAL_ERROR)

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        answer = await made.ask(order(server))
        assert (answer.body, answer.whole) == (b"hello", False)
        assert (await made.until_ended()).outcome == "HTTP-response-incomplete"


async def test_a_stream_that_the_server_refused_is_sent_once_more(sides: Sides) -> None:
    async def behave(stream: Stream) -> None:
        if len(server.streams) == 1:
            await stream.reset(ErrorCodes.REFUSED_STREAM)
        else:
            await greeting(stream)

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        assert (await made.ask(order(server))).body == b"hello"
        assert len(server.streams) == 2


async def test_a_request_whose_body_was_begun_is_not_sent_again(sides: Sides) -> None:
    async def behave(stream: Stream) -> None:
        await stream.pieces.get()
        await stream.reset(ErrorCodes.REFUSED_STREAM)

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        answer = await made.ask(order(server, "POST"), [CHUNKED], b"1\r\na\r\n")
        assert answer.error == "connection-terminated"
        assert len(server.streams) == 1


async def test_what_a_leaving_server_took_goes_on_and_the_rest_is_sent_elsewhere(
    sides: Sides,
) -> None:
    going = asyncio.Event()

    async def behave(stream: Stream) -> None:
        if stream is server.streams[0]:
            await stream.answer()
            await stream.send(b"before ")
            await going.wait()
            await stream.connection.leave(stream.id)
            await stream.send(b"after")
            await stream.end()
        elif stream.connection is server.streams[0].connection:
            going.set()
        else:
            await greeting(stream)

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        first = asyncio.create_task(made.ask(order(server)))
        await server.asked.acquire()
        assert (await made.ask(order(server))).body == b"hello"
        assert (await first).body == b"before after"
        assert (server.connections, len(server.streams)) == (2, 3)
        await server.over.acquire()


async def test_a_connection_that_goes_ends_all_of_its_requests(sides: Sides) -> None:
    async def behave(stream: Stream) -> None:
        if len(server.streams) == 2:
            stream.connection.writer.transport.abort()

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        answers = await asyncio.gather(*(made.ask(order(server)) for _ in range(2)))
        assert {answer.error for answer in answers} == {"connection-terminated"}


# --- what is bounded


PING = b"\0\0\x08\x06\0\0\0\0\0" + bytes(8)
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"


@pytest.mark.parametrize("frame", [PING, SETTINGS], ids=["ping", "settings"])
async def test_a_flood_of_frames_that_bring_nothing_ends_the_connection(
    sides: Sides, frame: bytes
) -> None:
    async def behave(stream: Stream) -> None:
        while True:
            await stream.connection.say(frame * 100)

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        assert (await made.ask(order(server))).error == "HTTP-protocol-error"
        await server.over.acquire()


async def test_a_flood_of_empty_data_ends_the_connection(sides: Sides) -> None:
    async def behave(stream: Stream) -> None:
        await stream.answer()
        while True:
            await stream.connection.say(b"\0\0\0\0\0" + stream.id.to_bytes(4))

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        assert not (await made.ask(order(server))).whole
        assert (await made.until_ended()).outcome == "HTTP-protocol-error"
        await server.over.acquire()


@pytest.mark.parametrize("count", [1, 200])
async def test_too_large_a_head_is_an_error(sides: Sides, count: int) -> None:
    async def behave(stream: Stream) -> None:
        await stream.answer(said=[(f"x-{n}", "y" * (100_000 // count)) for n in range(count)])

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        assert (await made.ask(order(server))).error == "HTTP-response-header-section-size"


async def test_a_pushed_stream_ends_the_connection(sides: Sides) -> None:
    async def behave(stream: Stream) -> None:
        # PUSH_PROMISE of stream 2, with END_HEADERS and no header.
        await stream.connection.say(b"\0\0\x04\x05\x04" + stream.id.to_bytes(4) + b"\0\0\0\x02")

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        assert (await made.ask(order(server))).error == "HTTP-protocol-error"
        await server.over.acquire()


@pytest.mark.parametrize(
    "said",
    [[("connection", "close")], [("transfer-encoding", "chunked")], [("content-length", "x")]],
    ids=["connection", "transfer-encoding", "length"],
)
async def test_an_answer_with_headers_of_another_version_is_an_error(
    sides: Sides, said: list[tuple[str, str]]
) -> None:
    async def behave(stream: Stream) -> None:
        stream.connection.h2.config.validate_outbound_headers = False
        stream.connection.h2.config.normalize_outbound_headers = False
        await stream.answer(said=said)

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        assert (await made.ask(order(server))).error == "HTTP-protocol-error"


async def test_a_body_of_another_length_than_was_said_is_broken_off(sides: Sides) -> None:
    async def behave(stream: Stream) -> None:
        await stream.answer(said=[("content-length", "9")])
        await stream.send(b"hello")
        await stream.end()

    async with (
        http2_server(behave, sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        answer = await made.ask(order(server))
        assert (answer.status, answer.whole) != (200, True)
        assert (await made.until_ended()).outcome == "HTTP-protocol-error"


async def test_an_answer_that_never_begins_is_late(sides: Sides) -> None:
    allowance = msgspec.structs.replace(ALLOWANCE, first_byte_ms=300)
    async with (
        http2_server(mute, sides.server) as server,
        plane(authorities=sides.client, allowance=allowance) as made,
    ):
        assert (await made.ask(order(server))).error == "HTTP-response-timeout"
        await server.streams[0].was_reset.wait()
        assert made.world.resting == 1
