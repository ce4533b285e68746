"""The broker's process: whose connection it answers, which request it makes, and what it tells.

Real ones: the process as the supervisor starts it, a process that connects as a worker does, and
servers on loopback.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest

from support import processes
from support.brokers import ALLOWANCE, Running, broker, order_of, server
from support.ringer import Rung, ringer
from wassette_protocol.broker_frames import (
    ABORTED,
    COMPLETE,
    UNUSED,
    Attach,
    Detach,
    Detached,
    RequestEnded,
)
from wassette_protocol.codec import encode_body
from wassette_protocol.frames import ChildId
from wassette_supervisor.broker.connections import World
from wassette_supervisor.broker.orders import MOST, Orders
from wassette_supervisor.broker.service import RINGS_FOR_NOTHING, Service
from wassette_supervisor.broker.trust import context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.ringer import Ringer

FORGED = "f" * 32


@pytest.fixture
def worker() -> Iterator[Ringer]:
    with ringer() as made:
        yield made


def answered(target: str) -> Rung:
    return Rung(200, f"you asked for {target}")


async def test_a_request_that_was_ordered_is_made_and_its_end_is_told(worker: Ringer) -> None:
    async with server() as there, broker() as running:
        await running.attach(1, worker.listener)
        order = await running.order(1, there.port, "/path?query")
        assert await worker.ask(order) == [answered("/path?query")]
        ended = await running.ended()
        assert (ended.id, ended.outcome, ended.status) == (order, COMPLETE, 200)
        assert ended.address == "127.0.0.1"
        assert await running.detach(1) == []


async def test_a_hundred_requests_in_a_row(worker: Ringer) -> None:
    async with server() as there, broker() as running:
        await running.attach(1, worker.listener)
        for number in range(100):
            order = await running.order(1, there.port, f"/{number}")
            assert await worker.ask(order) == [answered(f"/{number}")]
            assert (await running.ended()).outcome == COMPLETE


async def test_twenty_requests_at_once(worker: Ringer) -> None:
    async with server(shut=True) as there, broker() as running:
        await running.attach(1, worker.listener)
        orders = [await running.order(1, there.port, f"/{number}") for number in range(20)]
        await worker.begin("requests", orders, 20)
        for _ in orders:  # all of them are under way before the first is answered
            await there.waiting.acquire()
        there.gate.set()
        results = [Rung(*one) for one in await worker.result()]
        assert results == [answered(f"/{number}") for number in range(20)]
        ended = [await running.ended() for _ in orders]
        assert {each.id for each in ended} == set(orders)
        assert {each.outcome for each in ended} == {COMPLETE}


async def test_an_id_works_once(worker: Ringer) -> None:
    async with server() as there, broker() as running:
        await running.attach(1, worker.listener)
        order = await running.order(1, there.port, "/once")
        assert await worker.ask(order) == [answered("/once")]
        [again] = await worker.ask(order)
        assert again.status != 200
        assert there.seen == ["/once"]
        assert (await running.ended()).id == order
        assert await running.detach(1) == []


async def test_an_id_that_nobody_ordered_is_refused(worker: Ringer) -> None:
    async with server() as there, broker() as running:
        await running.attach(1, worker.listener)
        for forged in (FORGED, FORGED.upper(), "", "x" * 64, "../" + FORGED, FORGED + "?" + FORGED):
            [refused] = await worker.ask(forged)
            assert refused.status != 200
        order = await running.order(1, there.port, "/honest")
        assert await worker.ask(order) == [answered("/honest")]
        assert there.seen == ["/honest"]


async def test_an_id_of_another_worker_is_refused_and_stays_that_ones(worker: Ringer) -> None:
    with ringer() as other:
        async with server() as there, broker() as running:
            await running.attach(1, worker.listener)
            await running.attach(2, other.listener)
            order = await running.order(1, there.port, "/mine")
            [stolen] = await other.ask(order)
            assert stolen.status != 200
            assert there.seen == []
            assert await worker.ask(order) == [answered("/mine")]
            assert (await running.ended()).outcome == COMPLETE


async def test_detaching_ends_what_is_under_way_and_tells_each_end(worker: Ringer) -> None:
    with ringer() as other:
        async with server(shut=True) as there, broker() as running:
            await running.attach(1, worker.listener)
            await running.attach(2, other.listener)
            begun = [await running.order(1, there.port, f"/{number}") for number in range(3)]
            unused = [await running.order(1, there.port) for _ in range(2)]
            of_other = await running.order(2, there.port, "/other")
            await worker.begin("requests", begun, 3)
            await other.begin("requests", [of_other], 1)
            for _ in range(4):
                await there.waiting.acquire()
            told = await running.detach(1)
            ends = {each.id: each.outcome for each in told if isinstance(each, RequestEnded)}
            assert ends == dict.fromkeys(begun, ABORTED) | dict.fromkeys(unused, UNUSED)
            assert len(told) == 5
            assert all(not Rung(*one).status for one in await worker.result())
            there.gate.set()
            assert await other.result() == [[*answered("/other")]]


async def test_a_worker_that_is_detached_is_not_answered_any_more(worker: Ringer) -> None:
    async with server() as there, broker() as running:
        await running.attach(1, worker.listener)
        await running.order(1, there.port)
        await running.detach(1)
        await worker.begin("requests", [FORGED], 1)
        # Nothing tells that nothing happens: what comes after it does.
        with ringer() as other:
            await running.attach(2, other.listener)
            order = await running.order(2, there.port, "/later")
            assert await other.ask(order) == [answered("/later")]
        assert not worker.has_said_more


async def test_what_is_ordered_for_a_worker_that_is_gone_is_not_told_of() -> None:
    async with server() as there, broker() as running:
        await running.order(7, there.port)
        assert await running.detach(7) == []


async def test_a_worker_that_ends_leaves_nothing_to_do(worker: Ringer) -> None:
    async with server(shut=True) as there, broker() as running:
        await running.attach(1, worker.listener)
        order = await running.order(1, there.port, "/begun")
        await worker.begin("requests", [order], 1)
        await there.waiting.acquire()
        worker.end()
        ended = await running.ended()
        assert (ended.id, ended.outcome) == (order, ABORTED)
        assert await running.detach(1) == []
        # Idle: a descriptor that is hung up would be told again and again.
        before = _processor_time(running)
        with ringer() as other:
            await running.attach(2, other.listener)
            there.gate.set()
            assert await other.ask(await running.order(2, there.port, "/next")) == [
                answered("/next")
            ]
        assert _processor_time(running) - before < 50


def _processor_time(running: Running) -> int:
    """In ticks of 10 ms."""
    text = next(seen for seen in processes.descendants() if seen.pid == running.pid).read("stat")
    fields = text.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def test_a_second_broker_answers_the_doorbell_of_one_that_was_killed(worker: Ringer) -> None:
    async with server() as there:
        async with broker() as first:
            await first.attach(1, worker.listener)
            order = await first.order(1, there.port, "/first")
            assert await worker.ask(order) == [answered("/first")]
            os.kill(first.pid, signal.SIGSTOP)
            await worker.begin("connects", 3)
        async with broker() as second:
            # What rang while there was none is answered by the next one.
            await second.attach(1, worker.listener)
            assert await worker.result() == 3
            order = await second.order(1, there.port, "/second")
            assert await worker.ask(order) == [answered("/second")]


async def test_a_broker_that_is_killed_breaks_what_is_under_way(worker: Ringer) -> None:
    async with server(shut=True) as there:
        async with broker() as first:
            await first.attach(1, worker.listener)
            order = await first.order(1, there.port, "/begun")
            await worker.begin("requests", [order], 1)
            await there.waiting.acquire()
        [[status, _, error]] = await worker.result()
        assert (status, bool(error)) == (0, True)
        async with broker() as second:
            await second.attach(1, worker.listener)
            [again] = await worker.ask(order)  # which that one was never told
            assert again.status != 200


async def test_a_worker_has_so_many_connections_and_no_more(worker: Ringer) -> None:
    allowance = msgspec.structs.replace(ALLOWANCE, concurrent=2)
    async with broker() as running:
        await running.attach(1, worker.listener, allowance=allowance)
        stood = await worker.do("connects", 40)
        assert 2 <= stood <= 10
        with ringer() as other:
            await running.attach(2, other.listener, allowance=allowance)
            assert await other.do("connects", 2) == 2


async def test_who_connects_again_and_again_for_nothing_is_not_answered_any_more(
    worker: Ringer,
) -> None:
    async with server() as there, broker() as running:
        await running.attach(1, worker.listener)
        await worker.begin("connects", RINGS_FOR_NOTHING + 50)
        with ringer() as other:
            await running.attach(2, other.listener)
            async with asyncio.timeout(20):
                while "without requests" not in running.said():
                    assert await other.ask(await running.order(2, there.port, "/x"))
            assert await other.ask(await running.order(2, there.port, "/later"))
        assert not worker.has_said_more


# --- what the supervisor may not say ----------------------------------------------------------


async def test_it_ends_with_its_control_socket(worker: Ringer) -> None:
    async with broker() as running:
        await running.attach(1, worker.listener)
        running.started.channel.close()
        assert await running.over() == ""


@pytest.mark.parametrize(
    ("frame", "descriptors"),
    [
        pytest.param(Attach(ChildId(1), "c", ALLOWANCE), 0, id="a worker without a doorbell"),
        pytest.param(Attach(ChildId(1), "c", ALLOWANCE), 2, id="a worker with two"),
        pytest.param(Detach(ChildId(1)), 1, id="a descriptor that nobody asked for"),
        pytest.param(order_of(1, 1), 1, id="an order with a descriptor"),
        pytest.param(Detached(ChildId(1)), 0, id="a word of its own"),
    ],
)
async def test_it_ends_when_it_is_told_what_nobody_should_say(
    frame: Attach, descriptors: int, worker: Ringer
) -> None:
    async with broker() as running:
        await running.send(frame, *[worker.listener] * descriptors)
        assert "descriptor" in await running.over() or isinstance(frame, Detached)


@pytest.mark.parametrize("body", [b"\xc1", b"x" * 70_000, b"\x80"])
async def test_it_ends_when_it_is_told_what_is_no_frame(body: bytes) -> None:
    async with broker() as running:
        peer = running.started.channel._peer
        peer.send(body)
        assert await running.over() != ""


async def test_two_workers_or_two_orders_of_one_number_end_it(worker: Ringer) -> None:
    async with broker() as running:
        await running.attach(1, worker.listener)
        await running.attach(1, worker.listener)
        assert await running.over() == "two workers of one number"
    async with broker() as running:
        await running.attach(1, worker.listener)
        order = order_of(1, 1)
        await running.send(order)
        await running.send(order)
        assert await running.over() == "two orders of one id"


# --- without a process --------------------------------------------------------------------------


async def test_an_order_that_waits_in_the_socket_is_found_by_who_asks_for_it(
    worker: Ringer,
) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    left: list[str] = []
    with ours, theirs:
        service = Service(theirs, World(context()), 10, left.append)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run)
            attach = encode_body(Attach(ChildId(1), "c", ALLOWANCE))
            socket.send_fds(ours, [attach], [worker.listener])
            await anyio.wait_writable(ours)
            while ChildId(1) not in service._workers:
                await anyio.lowlevel.checkpoint()
            order = order_of(1, 1)
            ours.send(encode_body(order))
            # Here nobody else has had a turn since.
            attached = service._workers[ChildId(1)]
            assert service._take(attached, order.id) == order
            assert service._take(attached, order.id) is None
            tasks.cancel_scope.cancel()
    assert left == []


def test_more_orders_than_a_worker_can_have_waiting_are_told_at_once() -> None:
    orders = Orders()
    told = [orders.add(order_of(1, 1)) for _ in range(MOST + 1)]
    assert told[:-1] == [None] * MOST
    assert told[-1] is not None
    assert told[-1].outcome == "connection-limit-reached"


def test_the_end_of_an_order_is_told_once_and_only_of_what_was_taken() -> None:
    orders = Orders()
    taken, unused = order_of(1, 1), order_of(1, 1)
    orders.add(taken)
    orders.add(unused)
    assert orders.take(taken.id) is taken
    assert not orders.end(unused.id)
    assert orders.end(taken.id)
    assert not orders.end(taken.id)
    assert [(each.id, each.outcome) for each in orders.rest()] == [(unused.id, UNUSED)]
    assert orders.rest() == []
