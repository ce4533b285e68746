"""What a worker may say on a connection of its own, and what it can't have the broker do by it."""

from __future__ import annotations

import pytest

from support.guest_end import Plane, order_to, plane
from support.raw_server import echoing, endless, mute, raw_server, saying
from wassette_protocol.broker_frames import ABORTED, COMPLETE

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
ID = "0123456789abcdef" * 2


async def told(made: Plane, raw: bytes) -> str:
    """What a worker is answered to these bytes, for an order of the id ID."""
    line = await made.line()
    await line.send(raw)
    answer = await line.told()
    await line.close()
    return answer.error if answer.status else ""


async def test_target_method_and_host_are_those_of_the_order() -> None:
    async with raw_server(saying(OK)) as server, plane() as made:
        order = order_to(server.port, "/a/../b?c=%20", method="PUT")
        answer = await made.ask(order, [("x-guest", "1")])
        assert (answer.status, answer.body, answer.whole) == (200, b"ok", True)
        assert server.line() == "PUT /a/../b?c=%20 HTTP/1.1"
        assert server.head() == {"host": f"127.0.0.1:{server.port}", "x-guest": "1"}
        assert order.id.encode() not in server.heads[0]


async def test_what_came_of_a_request_is_told_once() -> None:
    async with raw_server(saying(OK)) as server, plane() as made:
        order = order_to(server.port, method="POST")
        await made.ask(order, [("content-length", "5")], b"hello")
        ended = await made.until_ended()
        assert (ended.id, ended.outcome, ended.status) == (order.id, COMPLETE, 200)
        assert (ended.address, ended.version) == ("127.0.0.1", "HTTP/1.1")
        assert (ended.sent, ended.received) == (5, 2)
        assert 0 < ended.first_byte_us <= ended.total_us


async def test_an_id_that_nobody_ordered_is_refused() -> None:
    async with raw_server(saying(OK)) as server, plane() as made:
        made.sees(order_to(server.port, id=ID))
        line = await made.line()
        await line.begin(order_to(server.port))
        assert (await line.told()).error == "HTTP-request-denied"
        await line.close()
        assert (made.ended, server.connections) == ([], 0)


async def test_an_id_works_once() -> None:
    async with raw_server(saying(OK)) as server, plane() as made:
        order = order_to(server.port)
        assert (await made.ask(order)).status == 200
        line = await made.line()
        await line.begin(order)
        assert (await line.told()).error == "HTTP-request-denied"
        await line.close()
        await made.until_ended(1)
        assert len(server.heads) == 1


async def test_a_method_that_was_not_ordered_is_refused_and_uses_the_order_up() -> None:
    async with raw_server(saying(OK)) as server, plane() as made:
        order = made.sees(order_to(server.port))
        line = await made.line()
        await line.begin(order, method="DELETE")
        assert (await line.told()).error == "HTTP-protocol-error"
        assert (await made.until_ended()).outcome == "HTTP-protocol-error"
        assert (made.orders, server.connections) == ({}, 0)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(
            f"POST /{ID} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"
            "transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            id="two framings",
        ),
        pytest.param(
            f"POST /{ID} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
            "content-length: 0\r\n\r\n0\r\n\r\n",
            id="two framings, none of which says more",
        ),
        pytest.param(
            f"POST /{ID} HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            id="two lengths",
        ),
        pytest.param(
            f"POST /{ID} HTTP/1.1\r\nhost: x\r\ncontent-length: +1\r\n\r\na", id="a length of +1"
        ),
        pytest.param(
            f"POST /{ID} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            id="another coding",
        ),
        pytest.param(f"GET /{ID} HTTP/1.0\r\nhost: x\r\n\r\n", id="an old version"),
        pytest.param(f"GET /{ID} HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(f"GET /{ID} HTTP/1.1\r\nhost: x\r\nx : 1\r\n\r\n", id="a space in a name"),
        pytest.param(f"GET /{ID} HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n", id="a zero in a value"),
        pytest.param(f"GET /{ID} HTTP/1.1\r\nhost: x\r\nx: a\rb\r\n\r\n", id="a bare CR"),
        pytest.param("\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", id="TLS"),
        pytest.param("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
    ],
)
async def test_what_no_engine_sends_reaches_nobody(head: str) -> None:
    async with raw_server(saying(OK)) as server, plane() as made:
        made.sees(order_to(server.port, method=head.split(" ", 1)[0], id=ID))
        assert await told(made, head.encode("latin-1")) == "HTTP-protocol-error"
        assert server.connections == 0


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        pytest.param("x: a\r\n b\r\n", {"x": "a b"}, id="a folded value"),
        pytest.param("x: a\ny: b\r\n", {"x": "a", "y": "b"}, id="a bare LF"),
        pytest.param("X-Upper:a \t\r\n", {"x-upper": "a"}, id="spaces around"),
    ],
)
async def test_what_others_may_read_in_two_ways_is_written_in_one(
    said: str, sent: dict[str, str]
) -> None:
    async with raw_server(saying(OK)) as server, plane() as made:
        made.sees(order_to(server.port, id=ID))
        line = await made.line()
        await line.send(f"GET /{ID} HTTP/1.1\r\nhost: x\r\n{said}\r\n".encode())
        assert (await line.told()).body == b"ok"
        assert server.head() == {"host": f"127.0.0.1:{server.port}", **sent}
        assert server.heads[0].count(b"\n") == server.heads[0].count(b"\r\n") == 3 + len(sent)


@pytest.mark.parametrize(
    "target", ["/", f"/{ID}/", f"/{ID}?x", f"//{ID}", f"http://127.0.0.1:1/{ID}", f"/{ID.upper()}"]
)
async def test_another_target_than_an_id_is_refused(target: str) -> None:
    async with raw_server(saying(OK)) as server, plane() as made:
        made.sees(order_to(server.port, id=ID))
        raw = f"GET {target} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
        assert await told(made, raw) == "HTTP-request-denied"
        assert (list(made.orders), server.connections) == ([ID], 0)


@pytest.mark.parametrize("count", [1, 300])
async def test_a_head_beyond_the_limits_is_refused(count: int) -> None:
    fields = f"x: {'y' * (70_000 // count)}\r\n" * count
    async with plane() as made:
        raw = f"GET /{ID} HTTP/1.1\r\nhost: x\r\n{fields}\r\n".encode()
        assert await told(made, raw) == "HTTP-request-header-section-size"


async def test_a_second_request_on_a_connection_is_not_served() -> None:
    async with raw_server(saying(OK)) as server, plane() as made:
        first, second = made.sees(order_to(server.port)), made.sees(order_to(server.port))
        line = await made.line()
        await line.begin(first)
        await line.begin(second)
        rest = await line.rest()
        assert rest.count(b"HTTP/1.1 ") == 1
        assert list(made.orders) == [second.id]
        await line.close()


async def test_a_request_that_hides_in_a_body_stays_a_body() -> None:
    hidden = b"0\r\n\r\nGET /hidden HTTP/1.1\r\nhost: x\r\n\r\n"
    async with raw_server(echoing) as server, plane() as made:
        order = order_to(server.port, method="POST")
        answer = await made.ask(order, [("content-length", str(len(hidden)))], hidden)
        assert (answer.body, len(server.heads)) == (hidden, 1)


async def test_a_guest_that_goes_before_its_head_is_whole_is_forgotten() -> None:
    async with plane() as made:
        line = await made.line()
        await line.send(b"GET /")
        await line.close()
        assert made.ended == []


async def test_a_guest_that_goes_while_it_waits_ends_the_request() -> None:
    async with raw_server(mute) as server, plane() as made:
        line = await made.line()
        await line.begin(made.sees(order_to(server.port)))
        await server.asked.acquire()
        await line.close()
        assert (await made.until_ended()).outcome == ABORTED
        await server.over.acquire()


async def test_a_guest_that_goes_while_it_is_answered_ends_the_request() -> None:
    async with raw_server(endless) as server, plane() as made:
        line = await made.line()
        await line.begin(made.sees(order_to(server.port)))
        await line.reader.readexactly(1 << 20)
        await line.close()
        ended = await made.until_ended()
        assert (ended.outcome, ended.status) == (ABORTED, 200)
        await server.over.acquire()


async def test_a_guest_that_goes_while_it_sends_ends_the_request() -> None:
    async with raw_server(mute) as server, plane() as made:
        line = await made.line()
        order = made.sees(order_to(server.port, method="POST"))
        await line.begin(order, [("content-length", "10")])
        await line.send(b"hello")
        await server.asked.acquire()
        await line.close()
        assert (await made.until_ended()).outcome == ABORTED
        await server.over.acquire()


async def test_a_request_that_is_cancelled_is_told_and_leaves_nothing_open() -> None:
    async with raw_server(mute) as server, plane() as made:
        line = await made.line()
        await line.begin(made.sees(order_to(server.port)))
        await server.asked.acquire()
        line.served.cancel()
        assert (await made.until_ended()).outcome == ABORTED
        assert await line.rest() == b""
        await server.over.acquire()
