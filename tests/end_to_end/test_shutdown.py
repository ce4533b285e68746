"""However a call's reason to run ends, its process is gone from /proc within a second."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import anyio
import pytest

from support import served
from support.processes import descendants
from support.served import ANSWER_S, ENDLESS

if TYPE_CHECKING:
    from pathlib import Path

    from support.served import Era

pytestmark = pytest.mark.anyio

GONE_S = 1.0
SPIN = 1


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_cancelled_calls_worker_is_gone_within_a_second(
    store: Path, isolation: str, era: Era
) -> None:
    async with served.client(store, *ENDLESS, "--isolation", isolation, era=era) as connection:
        server = await served.server_below(os.getpid())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.call_tool, "spin", {})
            worker = await served.busy_worker(server)
            tasks.cancel_scope.cancel()
        await served.gone_within(GONE_S, worker)
        with anyio.fail_after(ANSWER_S):
            result = await connection.call_tool("add", {"a": 2, "b": 3})
    assert result.structured_content == {"result": 5}


async def test_a_client_that_closes_its_end_leaves_nothing_within_a_second(
    store: Path, isolation: str
) -> None:
    async with served.raw(store, *ENDLESS, "--isolation", isolation) as server:
        await server.call(SPIN, "spin")
        worker = await served.busy_worker(server.pid)
        await server.stdin.aclose()
        await served.gone_within(GONE_S, worker)
        assert await _ended(server) == 0


async def test_a_killed_clients_call_and_server_are_gone_within_a_second(
    store: Path, isolation: str
) -> None:
    async with served.other_client(store, *ENDLESS, "--isolation", isolation) as killed:
        server = await served.server_below(killed.pid)
        worker = await served.busy_worker(server)
        everything = _family(server)
        killed.kill()
        await served.gone_within(GONE_S, worker)
        await _eventually_gone(everything)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_a_stopped_servers_worker_is_gone_within_a_second(
    store: Path, isolation: str, number: signal.Signals
) -> None:
    async with served.raw(store, *ENDLESS, "--isolation", isolation) as server:
        await server.call(SPIN, "spin")
        worker = await served.busy_worker(server.pid)
        everything = _family(server.pid)
        server.process.send_signal(number)
        await served.gone_within(GONE_S, worker)
        assert await _ended(server) == 0
        await _eventually_gone(everything)


async def test_of_a_killed_server_no_process_is_left_within_a_second(
    store: Path, isolation: str
) -> None:
    async with served.raw(store, *ENDLESS, "--isolation", isolation) as server:
        await server.call(SPIN, "spin")
        worker = await served.busy_worker(server.pid)
        below = [seen.pid for seen in descendants(server.pid)]
        assert worker in below
        server.process.kill()
        await served.gone_within(GONE_S, *below)
        assert await _ended(server) == -signal.SIGKILL


async def test_a_call_that_still_waits_is_ended_like_one_that_runs(store: Path) -> None:
    async with served.raw(store, *ENDLESS, "--max-workers", "1", "--queue", "2") as server:
        for request in (1, 2, 3):
            await server.call(request, "spin")
        worker = await served.busy_worker(server.pid)
        everything = _family(server.pid)
        await server.stdin.aclose()
        await served.gone_within(GONE_S, worker)
        assert await _ended(server) == 0
        await _eventually_gone(everything)


async def test_a_waiting_call_that_is_cancelled_makes_room_for_another(store: Path) -> None:
    async with served.raw(store, *ENDLESS, "--max-workers", "1", "--queue", "1") as server:
        await server.call(1, "spin")
        await served.busy_worker(server.pid)
        await server.call(2, "add", a=1, b=1)
        await server.call(3, "add", a=1, b=1)
        assert (await server.answer(3))["isError"]  # busy
        await server.send("notifications/cancelled", requestId=2)
        await server.call(4, "add", a=2, b=3)
        await server.send("notifications/cancelled", requestId=1)
        assert (await server.answer(4))["structuredContent"] == {"result": 5}


def _family(server: int) -> list[int]:
    return [server, *(seen.pid for seen in descendants(server))]


async def _ended(server: served.Raw) -> int:
    with anyio.fail_after(ANSWER_S):
        return await server.process.wait()


async def _eventually_gone(pids: list[int]) -> None:
    await served.gone_within(ANSWER_S, *pids)
