"""Which requests share a connection, and what becomes of one that nobody uses."""

from __future__ import annotations

import asyncio

import pytest

from support.guest_end import LOOPBACK, Plane, order_to, plane
from support.raw_server import Peer, echoing, raw_server, saying
from wassette_protocol.broker_frames import COMPLETE, AddressRules
from wassette_supervisor.broker import connections

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def test_requests_in_turn_share_a_connection() -> None:
    async with raw_server(saying(OK)) as server, plane() as made:
        for _ in range(3):
            assert (await made.ask(order_to(server.port))).body == b"ok"
        assert (server.connections, len(server.heads)) == (1, 3)


async def test_requests_at_once_have_a_connection_each_and_those_are_kept() -> None:
    gate = asyncio.Event()

    async def behave(peer: Peer) -> None:
        while True:
            await peer.head()
            await gate.wait()
            await peer.say(OK)

    async with raw_server(behave) as server, plane() as made:
        asking = [asyncio.create_task(made.ask(order_to(server.port))) for _ in range(3)]
        for _ in asking:
            await server.asked.acquire()
        gate.set()
        await asyncio.gather(*asking)
        assert (server.connections, made.world.resting) == (3, 3)
        await made.ask(order_to(server.port))
        assert server.connections == 3


async def test_no_two_components_share_a_connection() -> None:
    async with raw_server(saying(OK)) as server, plane(component="a") as a:
        b = Plane(a.world, a.worker.allowance, "b")
        for made in (a, b, a, b):
            await made.ask(order_to(server.port))
        assert server.connections == 2
        await b.close()


async def test_no_connection_is_shared_under_other_rules_of_addresses() -> None:
    stricter = AddressRules(["192.0.2.0/24"], LOOPBACK.lifted)
    async with raw_server(saying(OK)) as server, plane() as made:
        for rules in (LOOPBACK, stricter, LOOPBACK, stricter):
            await made.ask(order_to(server.port, rules=rules))
        assert server.connections == 2


async def test_no_connection_is_shared_by_two_names_of_one_address() -> None:
    async with raw_server(saying(OK)) as server, plane() as made:
        for address in ("127.0.0.1", "127.0.0.2"):
            await made.ask(order_to(server.port, host=address))
        # 127.0.0.2 is not listened on, so it was dialled and not shared.
        assert [ended.outcome for ended in made.ended] == [COMPLETE, "connection-refused"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), id="close"),
        pytest.param(OK.replace(b"HTTP/1.1", b"HTTP/1.0"), id="HTTP/1.0"),
        pytest.param(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong", id="more"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\ntransfer-encoding: chunked\r\n\r\n"
            b"2\r\nok\r\n0\r\n\r\n",
            id="two lengths",
        ),
    ],
)
async def test_a_connection_whose_next_answer_could_be_another_is_not_used_again(
    answer: bytes,
) -> None:
    async with raw_server(saying(answer)) as server, plane() as made:
        for _ in range(2):
            assert (await made.ask(order_to(server.port))).body == b"ok"
        assert server.connections == 2


async def test_an_answer_that_nobody_asked_for_is_given_to_nobody() -> None:
    said, heard = asyncio.Event(), asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.head()
        await peer.say(OK)
        await said.wait()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong")
        heard.set()
        await peer.ended()

    async with raw_server(behave) as server, plane() as made:
        await made.ask(order_to(server.port))
        said.set()
        await heard.wait()
        assert (await made.ask(order_to(server.port))).body == b"ok"
        assert server.connections == 2


async def test_a_connection_that_the_server_ends_is_forgotten() -> None:
    async with raw_server(_once) as server, plane() as made:
        for _ in range(2):
            assert (await made.ask(order_to(server.port))).body == b"ok"
            await server.over.acquire()
        assert len(server.heads) == 2


async def _once(peer: Peer) -> None:
    await peer.head()
    await peer.say(OK)


async def test_a_request_that_met_a_connection_at_its_end_is_sent_once_more() -> None:
    async with raw_server(_ending_at_the_second) as server, plane() as made:
        for _ in range(2):
            assert (await made.ask(order_to(server.port))).body == b"ok"
        assert (server.connections, len(server.heads)) == (2, 3)
        assert [ended.outcome for ended in made.ended] == [COMPLETE, COMPLETE]


async def test_a_request_whose_body_was_begun_is_not_sent_once_more() -> None:
    async with raw_server(_ending_at_the_second) as server, plane() as made:
        await made.ask(order_to(server.port))
        answer = await made.ask(
            order_to(server.port, method="POST"), [("content-length", "5")], b"hello"
        )
        assert answer.error == "connection-terminated"
        assert (server.connections, len(server.heads)) == (1, 2)


async def test_a_request_is_sent_once_more_while_its_body_was_not_begun() -> None:
    async def behave(peer: Peer) -> None:
        await (_ending_at_the_second if server.connections == 1 else echoing)(peer)

    async with raw_server(behave) as server, plane() as made:
        await made.ask(order_to(server.port))
        line = await made.line()
        order = made.sees(order_to(server.port, method="POST"))
        await line.begin(order, [("content-length", "5")])
        for _ in range(3):
            await server.asked.acquire()
        await line.send(b"hello")
        assert (await line.told()).body == b"hello"
        assert made.ended[-1].sent == 5


@pytest.mark.parametrize(
    ("method", "times"), [("GET", 2), ("DELETE", 2), ("POST", 1), ("PATCH", 1)]
)
async def test_a_whole_request_is_sent_once_more_only_if_that_changes_nothing(
    method: str, times: int
) -> None:
    async with raw_server(_ending_at_the_second) as server, plane() as made:
        await made.ask(order_to(server.port))
        answer = await made.ask(order_to(server.port, method=method))
        assert len(server.heads) == 1 + times
        assert answer.body == b"ok" if times > 1 else answer.error == "connection-terminated"


@pytest.mark.parametrize(("method", "times"), [("PUT", 2), ("POST", 1)])
async def test_a_body_of_no_bytes_ends_each_time_that_it_is_sent(method: str, times: int) -> None:
    end = b"0\r\nx-sum: 1\r\n\r\n"

    async def behave(peer: Peer) -> None:
        if server.connections == 1:
            await peer.head()
            await peer.say(OK)
        await peer.head()
        assert await peer.reader.readexactly(len(end)) == end
        if server.connections == 1:
            peer.reset()
        else:
            await peer.say(OK)

    async with raw_server(behave) as server, plane() as made:
        await made.ask(order_to(server.port))
        order = order_to(server.port, method=method)
        answer = await made.ask(order, [("transfer-encoding", "chunked")], end)
        assert len(server.heads) == 1 + times
        assert answer.body == b"ok" if times > 1 else answer.error == "connection-terminated"


async def _ending_at_the_second(peer: Peer) -> None:
    await peer.head()
    await peer.say(OK)
    await peer.head()
    peer.reset()


async def test_a_first_connection_that_ends_is_not_made_again() -> None:
    async with raw_server(_silent) as server, plane() as made:
        assert (await made.ask(order_to(server.port))).error == "connection-terminated"
        assert server.connections == 1


async def _silent(peer: Peer) -> None:
    await peer.head()


async def test_a_connection_that_nobody_uses_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_IDLE_SECONDS", 0.05)
    async with raw_server(saying(OK)) as server, plane() as made:
        await made.ask(order_to(server.port))
        await server.over.acquire()
        assert made.world.resting == 0
        assert not made.world._shared


async def test_no_more_connections_rest_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MOST_IDLE_IN_ALL", 2)
    async with (
        plane() as made,
        raw_server(saying(OK)) as one,
        raw_server(saying(OK)) as two,
        raw_server(saying(OK)) as three,
    ):
        for server in (one, two, three):
            await made.ask(order_to(server.port))
        await one.over.acquire()
        assert made.world.resting == 2


async def test_what_was_shared_is_forgotten_with_the_last_connection() -> None:
    async with raw_server(echoing) as server, plane() as made:
        await made.ask(order_to(server.port))
        made.world.close()
        assert not made.world._shared
