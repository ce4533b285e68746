"""What passes between a guest and the world, in HTTP/1.1: framing, streaming, what goes wrong."""

from __future__ import annotations

import asyncio
import gzip

import anyio
import msgspec
import pytest

from support.guest_end import ALLOWANCE, PATIENCE_S, order_to, plane
from support.raw_server import (
    Peer,
    echoing,
    endless,
    mute,
    raw_server,
    saying,
    saying_and_gone,
)
from wassette_protocol.broker_frames import COMPLETE, Allowance
from wassette_protocol.http_errors import OWN_HEADER

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BEARER = [("authorization", "Bearer s3cret-token")]
CHUNKED = ("transfer-encoding", "chunked")


def _within(**changes: int) -> Allowance:
    return msgspec.structs.replace(ALLOWANCE, **changes)


async def test_a_body_of_known_length_keeps_it_both_ways() -> None:
    async with raw_server(echoing) as server, plane() as made:
        answer = await made.ask(
            order_to(server.port, method="POST"), [("content-length", "5")], b"hello"
        )
        assert (answer.body, answer.headers["content-length"]) == (b"hello", "5")
        assert server.head()["content-length"] == "5"
        assert "transfer-encoding" not in server.head() | answer.headers


async def test_chunks_and_trailers_pass_both_ways_without_what_trailers_may_not_say() -> None:
    async with raw_server(echoing) as server, plane() as made:
        body = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nx-sum: 1\r\nhost: x\r\nconnection: x\r\n\r\n"
        order = order_to(server.port, method="POST")
        answer = await made.ask(order, [CHUNKED, ("trailer", "x-sum")], body)
        assert (answer.body, answer.trailers) == (b"abcde", {"x-sum": "1"})
        assert "trailer" not in server.head()
        assert (await made.until_ended()).sent == 5


async def test_an_empty_body_is_none_but_its_length_stays() -> None:
    async with raw_server(saying(OK)) as server, plane() as made:
        await made.ask(order_to(server.port, method="POST"), [("content-length", "0")])
        assert server.head()["content-length"] == "0"
        await made.ask(order_to(server.port, method="POST"))
        assert "content-length" not in server.head()


async def test_a_guest_that_waits_for_100_is_told_to_go_on_and_the_world_never_hears_of_it() -> (
    None
):
    async with raw_server(echoing) as server, plane() as made:
        line = await made.line()
        order = made.sees(order_to(server.port, method="PUT"))
        await line.begin(order, [("expect", "100-continue"), ("content-length", "2")])
        assert await line.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 \r\n\r\n"
        await line.send(b"hi")
        assert (await line.told()).body == b"hi"
        assert "expect" not in server.head()


async def test_a_guest_that_waits_for_100_has_no_body_taken_that_nobody_wants() -> None:
    async with plane() as made:
        order = order_to(1, method="PUT")
        answer = await made.ask(order, [("expect", "100-continue"), ("content-length", "2")])
        assert answer.error == "connection-refused"


async def test_answers_before_the_answer_are_dropped() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    async with raw_server(saying(early, OK)) as server, plane() as made:
        answer = await made.ask(order_to(server.port))
        assert (answer.status, answer.headers.get("link")) == (200, None)


@pytest.mark.parametrize(
    ("method", "head", "headers"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n", {"content-length": "1234"}),
        ("GET", b"HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n", {"x-a": "b"}),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", {"content-length": "9"}),
    ],
)
async def test_an_answer_that_has_no_body_has_none(
    method: str, head: bytes, headers: dict[str, str]
) -> None:
    async with raw_server(saying(head)) as server, plane() as made:
        for _ in range(2):
            answer = await made.ask(order_to(server.port, method=method))
            assert (answer.whole, answer.body) == (True, b"")
            assert answer.headers == headers | {"connection": "close"}
        assert server.connections == 1


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_body_that_ends_with_the_connection_is_handed_on_whole(version: str) -> None:
    head = f"HTTP/{version} 200 OK\r\nserver: old\r\n\r\n".encode()
    async with raw_server(saying_and_gone(head, b"a" * 100_000)) as server, plane() as made:
        answer = await made.ask(order_to(server.port))
        assert (answer.body, answer.whole) == (b"a" * 100_000, True)
        assert (await made.until_ended()).version == f"HTTP/{version}"


async def test_large_headers_pass() -> None:
    head = b"HTTP/1.1 200 OK\r\nx: %b\r\ncontent-length: 0\r\n\r\n" % (b"y" * 60_000)
    async with raw_server(saying(head)) as server, plane() as made:
        answer = await made.ask(order_to(server.port), [("x-large", "z" * 60_000)])
        assert answer.headers["x"] == "y" * 60_000
        assert server.head()["x-large"] == "z" * 60_000


async def test_an_answer_may_come_and_go_while_the_body_is_sent() -> None:
    async with raw_server(echoing) as server, plane() as made:
        line = await made.line()
        order = made.sees(order_to(server.port, method="POST"))
        await line.begin(order, [CHUNKED])
        await line.reader.readuntil(b"\r\n\r\n")
        for word in (b"one", b"two"):
            await line.send(b"3\r\n%b\r\n" % word)
            assert await line.reader.readexactly(8) == b"3\r\n%b\r\n" % word
        await line.send(b"0\r\n\r\n")
        assert await line.rest() == b"0\r\n\r\n"


async def test_a_body_that_nobody_wants_any_more_is_not_waited_for() -> None:
    async with raw_server(_refusing) as server, plane() as made:
        line = await made.line()
        await line.begin(made.sees(order_to(server.port, method="POST")), [CHUNKED])
        await line.send(b"5\r\nhello\r\n")
        answer = await line.told()
        assert (answer.status, answer.body, answer.whole) == (413, b"no", True)
        ended = await made.until_ended()
        assert (ended.outcome, ended.sent) == (COMPLETE, 5)


async def test_an_answer_of_a_server_that_goes_without_reading_the_body_is_told() -> None:
    async with raw_server(_refusing) as server, plane() as made:
        order = made.sees(order_to(server.port, method="POST"))
        line = await made.line()
        await line.begin(order, [("content-length", str(1 << 30))])
        sending = asyncio.create_task(line.send(bytes(64 << 20)))
        answer = await line.told()
        assert (answer.status, answer.body, answer.whole) == (413, b"no", True)
        await asyncio.wait([sending])


async def _refusing(peer: Peer) -> None:
    await peer.head()
    await peer.reader.readexactly(5)
    await peer.say(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")


async def test_no_error_can_be_made_up_by_the_world() -> None:
    async def behave(peer: Peer) -> None:
        await peer.head()
        await peer.say(
            b"HTTP/1.1 599 x\r\nX-Wassette-Error: 4\r\ntransfer-encoding: chunked\r\n\r\n",
            b"0\r\nx-wassette-error: 4\r\nx-a: b\r\n\r\n",
        )

    async with raw_server(behave) as server, plane() as made:
        answer = await made.ask(order_to(server.port))
        assert (answer.status, OWN_HEADER in answer.headers) == (599, False)
        assert answer.trailers == {"x-a": "b"}
        assert (await made.until_ended()).outcome == COMPLETE


# --- what goes wrong


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param([], "connection-terminated", id="nothing"),
        pytest.param([b"HTTP/1.1 200 OK\r\nx"], "connection-terminated", id="half a head"),
        pytest.param([b"SSH-2.0-OpenSSH_9.9\r\n\r\n"], "HTTP-protocol-error", id="no HTTP"),
        pytest.param([b"HTTP/1.1 200 OK\r\nx y\r\n\r\n"], "HTTP-protocol-error", id="no header"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"],
            "HTTP-protocol-error",
            id="two lengths",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"],
            "HTTP-protocol-error",
            id="a negative length",
        ),
        pytest.param([b"HTTP/1.1 099 No\r\n\r\n"], "HTTP-protocol-error", id="no status"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n"],
            "HTTP-response-transfer-coding",
            id="another transfer coding",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nx: %b\r\n\r\n" % (b"y" * 200_000)],
            "HTTP-response-header-section-size",
            id="a large head",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\n%b\r\n" % (b"x: y\r\n" * 101)],
            "HTTP-response-header-section-size",
            id="many headers",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\n", *[b"x: y\r\n"] * 20_000],
            "HTTP-response-header-section-size",
            id="a head without an end",
        ),
        pytest.param(
            [b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n"],
            "HTTP-upgrade-failed",
            id="another protocol",
        ),
        pytest.param(
            [b"HTTP/1.1 100 Continue\r\n\r\n" * 100], "HTTP-protocol-error", id="only 100s"
        ),
    ],
)
async def test_an_answer_that_is_none_is_an_error(said: list[bytes], code: str) -> None:
    async with raw_server(saying_and_gone(*said)) as server, plane() as made:
        assert (await made.ask(order_to(server.port))).error == code
        ended = await made.until_ended()
        assert (ended.outcome, ended.status, ended.address) == (code, 0, "127.0.0.1")


async def test_a_server_that_resets_instead_of_answering_is_an_error() -> None:
    async with raw_server(_resetting) as server, plane() as made:
        assert (await made.ask(order_to(server.port))).error == "connection-terminated"


async def _resetting(peer: Peer) -> None:
    await peer.head()
    peer.reset()


@pytest.mark.parametrize(
    ("said", "body", "code"),
    [
        pytest.param(
            [b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"],
            b"hello",
            "HTTP-response-incomplete",
            id="less than was said",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"],
            b"hello",
            "HTTP-response-incomplete",
            id="chunks without an end",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"],
            b"hello",
            "HTTP-protocol-error",
            id="a chunk without a size",
        ),
    ],
)
async def test_an_answer_that_ends_early_is_broken_off(
    said: list[bytes], body: bytes, code: str
) -> None:
    async with raw_server(saying_and_gone(*said)) as server, plane() as made:
        answer = await made.ask(order_to(server.port))
        assert (answer.status, answer.body, answer.whole) == (200, body, False)
        ended = await made.until_ended()
        assert (ended.outcome, ended.status, ended.received) == (code, 200, 5)


async def test_a_reset_is_no_end_of_a_body_that_ends_with_the_connection() -> None:
    async with raw_server(_resetting_late) as server, plane() as made:
        line = await made.line()
        await line.begin(made.sees(order_to(server.port)))
        assert not (await line.told()).whole
        assert (await made.until_ended()).outcome == "HTTP-response-incomplete"


async def _resetting_late(peer: Peer) -> None:
    await peer.head()
    await peer.say(b"HTTP/1.1 200 OK\r\n\r\nhello")
    peer.reset()


async def test_an_answer_that_never_begins_is_late() -> None:
    allowance = _within(first_byte_ms=200)
    async with raw_server(mute) as server, plane(allowance=allowance) as made:
        assert (await made.ask(order_to(server.port))).error == "HTTP-response-timeout"
        await server.over.acquire()


async def test_an_answer_that_stalls_is_broken_off_when_the_time_is_over() -> None:
    stalling = saying(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")
    allowance = _within(first_byte_ms=5_000, request_ms=300)
    async with raw_server(stalling) as server, plane(allowance=allowance) as made:
        answer = await made.ask(order_to(server.port))
        assert (answer.body, answer.whole) == (b"hello", False)
        assert (await made.until_ended()).outcome == "connection-read-timeout"
        await server.over.acquire()


async def test_an_answer_may_take_longer_than_its_first_byte() -> None:
    allowance = _within(first_byte_ms=200)
    async with raw_server(_slow) as server, plane(allowance=allowance) as made:
        answer = await made.ask(order_to(server.port))
        assert (answer.body, answer.whole) == (b"....", True)


async def _slow(peer: Peer) -> None:
    await peer.head()
    await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
    for _ in range(4):
        await asyncio.sleep(0.1)
        await peer.say(b".")


async def test_an_answer_without_an_end_is_broken_off_at_the_limit() -> None:
    allowance = _within(response_bytes=1 << 20)
    async with raw_server(endless) as server, plane(allowance=allowance) as made:
        answer = await made.ask(order_to(server.port))
        assert not answer.whole
        assert len(answer.body) <= 1 << 20
        assert (await made.until_ended()).outcome == "HTTP-response-body-size"
        await server.over.acquire()


async def test_an_answer_that_is_said_to_be_too_long_is_an_error_at_once() -> None:
    allowance = _within(response_bytes=1)
    async with raw_server(saying(OK)) as server, plane(allowance=allowance) as made:
        assert (await made.ask(order_to(server.port))).error == "HTTP-response-body-size"


async def test_bodies_of_all_requests_of_a_worker_count_together() -> None:
    allowance = _within(response_bytes=5, request_bytes=5)
    async with raw_server(saying(OK)) as server, plane(allowance=allowance) as made:
        for _ in range(2):
            assert (await made.ask(order_to(server.port))).body == b"ok"
        assert (await made.ask(order_to(server.port))).error == "HTTP-response-body-size"
        sending = order_to(server.port, method="PUT")
        refused = await made.ask(sending, [("content-length", "6")], b"123456")
        assert refused.error == "HTTP-request-body-size"


async def test_a_body_that_grows_too_long_ends_the_request() -> None:
    allowance = _within(request_bytes=5)
    async with raw_server(mute) as server, plane(allowance=allowance) as made:
        order = order_to(server.port, method="PUT")
        answer = await made.ask(order, [CHUNKED], b"3\r\nabc\r\n3\r\ndef\r\n")
        assert answer.error == "HTTP-request-body-size"
        await server.over.acquire()


async def test_a_body_that_is_no_chunk_ends_the_request() -> None:
    async with raw_server(mute) as server, plane() as made:
        order = order_to(server.port, method="PUT")
        answer = await made.ask(order, [CHUNKED], b"3\r\nabc\r\nxyz\r\n")
        assert answer.error == "HTTP-protocol-error"
        await server.over.acquire()


async def test_more_requests_at_once_than_may_be_are_refused() -> None:
    async with raw_server(mute) as server, plane(allowance=_within(concurrent=1)) as made:
        line = await made.line()
        await line.begin(made.sees(order_to(server.port)))
        await server.asked.acquire()
        assert (await made.ask(order_to(server.port))).error == "connection-limit-reached"
        await line.close()
        await made.until_ended(2)
        again = await made.line()
        await again.begin(made.sees(order_to(server.port)))
        await server.asked.acquire()


async def test_a_guest_that_does_not_read_stops_the_server_from_sending() -> None:
    sent = 0
    stuck = asyncio.Event()

    async def counting(peer: Peer) -> None:
        nonlocal sent
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            try:
                async with asyncio.timeout(0.5):
                    await peer.say(b"10000\r\n%b\r\n" % bytes(1 << 16))
            except TimeoutError:
                stuck.set()
                await peer.ended()
                return
            sent += 1 << 16

    async with raw_server(counting) as server, plane() as made:
        line = await made.line()
        line.stop_reading()
        await line.begin(made.sees(order_to(server.port)))
        with anyio.fail_after(PATIENCE_S):
            await stuck.wait()
        # Buffers of the kernel on two ways, and less than a megabyte of ours.
        assert sent < 24 << 20
        line.writer.transport.abort()


async def test_a_server_that_does_not_read_stops_the_guest_from_sending() -> None:
    async with raw_server(_deaf) as server, plane() as made:
        line = await made.line()
        order = made.sees(order_to(server.port, method="POST"))
        await line.begin(order, [("content-length", str(1 << 30))])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await line.send(bytes(64 << 20))
        line.writer.transport.abort()


async def _deaf(peer: Peer) -> None:
    await peer.head()
    peer.stop_reading()
    await asyncio.Event().wait()


# --- secrets


async def test_a_secret_reaches_the_world_alone_and_its_echo_is_masked() -> None:
    async with raw_server(_echoing_secrets) as server, plane() as made:
        order = order_to(server.port, inject=BEARER)
        answer = await made.ask(order, [("authorization", "mine"), ("accept-encoding", "gzip")])
        assert server.head()["authorization"] == "Bearer s3cret-token"
        assert server.head()["accept-encoding"] == "identity"
        assert answer.body == b"<*******************> <************> <s3cret-toke>"
        assert answer.headers["x-echo"] == "************"
        assert answer.trailers == {"x-late": "token ************"}


async def _echoing_secrets(peer: Peer) -> None:
    await peer.head()
    await peer.say(b"HTTP/1.1 200 OK\r\nx-echo: s3cret-token\r\ntransfer-encoding: chunked\r\n\r\n")
    for byte in b"<Bearer s3cret-token> <s3cret-token> <s3cret-toke>":
        await peer.say(b"1\r\n%c\r\n" % byte)
    await peer.say(b"0\r\nx-late: token s3cret-token\r\n\r\n")


async def test_a_coded_answer_to_a_request_with_a_secret_is_an_error() -> None:
    body = gzip.compress(b"s3cret-token")
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with raw_server(saying(head, body)) as server, plane() as made:
        answer = await made.ask(order_to(server.port, inject=BEARER))
        assert answer.error == "HTTP-response-content-coding"
        assert (await made.ask(order_to(server.port))).body == body


async def test_a_guest_can_not_say_by_a_trailer_what_is_injected() -> None:
    async with raw_server(echoing) as server, plane() as made:
        order = order_to(server.port, method="POST", inject=BEARER)
        body = b"0\r\nauthorization: mine\r\nx-sum: 1\r\n\r\n"
        assert (await made.ask(order, [CHUNKED], body)).trailers == {"x-sum": "1"}


async def test_an_injected_value_that_is_no_header_is_told_without_it() -> None:
    async with plane() as made:
        answer = await made.ask(order_to(1, inject=[("authorization", "a\r\nhost: b")]))
        assert answer.error == "configuration-error"
