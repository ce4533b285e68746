"""Calls a second when many are in flight: each still has a process of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio
import pytest
from benchmarks.comparison import Comparison, Reference, Spread
from benchmarks.conftest import CALLS, Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.conftest import Servers
    from benchmarks.loop import Loop

IN_FLIGHT = 16
CALLS_A_ROUND = 192


@pytest.mark.parametrize("call", CALLS, ids=[call.tool for call in CALLS])
def test_calls_with_16_in_flight(
    compare: Comparison, loop: Loop, servers: Servers, call: Call, *, once: bool
) -> None:
    calls = IN_FLIGHT if once else CALLS_A_ROUND

    async def rush(one: Callable[[], Awaitable[object]]) -> None:
        left = iter(range(calls))

        async def go_on() -> None:
            for _ in left:
                await one()

        async with anyio.create_task_group() as tasks:
            for _ in range(IN_FLIGHT):
                tasks.start_soon(go_on)

    async def call_guest() -> None:
        await servers.call(call)

    loop.run(rush(call_guest))
    seconds = compare.run(
        f"{calls} calls of {call.tool}, {IN_FLIGHT} in flight",
        lambda: loop.run(rush(call_guest)),
        [Reference("the same of a bare mcp server", lambda: loop.run(rush(servers.no_op)))],
        rounds=8,
    )
    rate = calls / Spread.of(seconds).p50 * 1e3
    compare.note(f"{rate:.0f} calls/s with {os.cpu_count()} workers at once (--max-workers)")
