"""Clients that send too much, or nonsense: each gets an answer, and the server lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
import pytest

from support import served
from support.served import ANSWER_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

MIB = 1 << 20
MAX_RSS_KIB = 400 * 1024
REQUESTS = 1000


@pytest.fixture(scope="module")
async def patient(store: Path) -> AsyncIterator[served.Raw]:
    """One server that is sent all kinds of nonsense."""
    async with served.raw(store) as server:
        yield server


async def test_a_line_of_64_mb_is_refused_and_not_held(store: Path) -> None:
    async with served.raw(store) as server:
        before = _peak_kib(server)
        await server.write(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"x":"')
        for _ in range(64):
            await server.write(b"x" * MIB)
        await server.write(b'"}}\n')
        refused = await server.read()
        assert await server.adds(2)
        after = _peak_kib(server)
    assert refused["error"]["code"] == types.INVALID_REQUEST
    assert "bytes" in refused["error"]["message"]
    assert after - before < 64 * 1024


@pytest.mark.parametrize(
    ("line", "code"),
    [
        pytest.param(b'{"jsonrpc":"2.0","id":1,"x":"\xff\xfe"}', types.PARSE_ERROR, id="no UTF-8"),
        pytest.param(b"\xc3\x28", types.PARSE_ERROR, id="half a character"),
        pytest.param(b"\x00" * 100, types.PARSE_ERROR, id="nulls"),
        pytest.param(b"[" * 100_000, types.INVALID_REQUEST, id="brackets"),
        pytest.param(b"not JSON", types.PARSE_ERROR, id="words"),
        pytest.param(b'"text"', types.INVALID_REQUEST, id="no object"),
        pytest.param(b'{"jsonrpc":"2.0","id":{},"method":"ping"}', types.INVALID_REQUEST, id="id"),
    ],
)
async def test_a_line_that_is_no_message_is_answered_and_the_next_is_served(
    patient: served.Raw, line: bytes, code: int
) -> None:
    await patient.write(line + b"\n")
    assert (await patient.read())["error"]["code"] == code
    await patient.send("tools/list", 2)
    assert (await patient.answer(2))["tools"]


async def test_a_thousand_calls_at_once_are_all_answered_and_memory_is_bounded(
    store: Path, isolation: str
) -> None:
    options = ["--max-workers", "2", "--queue", "4", "--isolation", isolation]
    async with served.raw(store, *options) as server:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_call_often, server)
            answers = {}
            for _ in range(REQUESTS):
                answer = await server.read()
                answers[answer["id"]] = answer["result"]
        peak = _peak_kib(server)
        assert await server.adds(REQUESTS + 1)
    assert answers.keys() == set(range(1, REQUESTS + 1))
    refused = [result for result in answers.values() if result.get("isError")]
    assert 0 < len(refused) < REQUESTS
    assert all(result["content"][0]["text"].startswith("busy: 2 ") for result in refused)
    assert peak < MAX_RSS_KIB


async def test_a_full_queue_is_fair_between_two_components(store: Path) -> None:
    options = ["--max-workers", "1", "--queue", "6", "--limit", "wall_time=30s"]
    async with served.raw(store, *options) as server:
        assert await server.adds(1)
        # One runs and five wait, before the other component's only call fills the queue.
        for request in range(2, 8):
            await server.call(request, "sleep-ms", milliseconds=300)
        await server.call(8, "add", a=1, b=1)
        await server.call(9, "sleep-ms", milliseconds=300)
        answers: list[dict[str, Any]] = [await server.read() for _ in range(8)]
    order = [answer["id"] for answer in answers]
    assert sorted(order) == list(range(2, 10))
    assert order[0] == 9  # refused at once
    assert answers[0]["result"]["isError"]
    # Its turn is after the call that ran when it came, and at most one that was before it.
    assert order.index(8) <= 3, order
    assert not any(answer["result"].get("isError") for answer in answers[1:])


async def test_answers_that_nobody_reads_do_not_fill_the_memory(store: Path) -> None:
    async with served.raw(store, "--max-workers", "2", "--queue", "4") as server:
        with anyio.move_on_after(3):
            for request in range(1, 20_000):
                await server.send("tools/list", request)
        peak = _peak_kib(server)
    assert peak < MAX_RSS_KIB


async def _call_often(server: served.Raw) -> None:
    with anyio.fail_after(ANSWER_S):
        for request in range(1, REQUESTS + 1):
            await server.call(request, "sleep-ms", milliseconds=50)


def _peak_kib(server: served.Raw) -> int:
    return int(server.status("VmHWM").split()[0])
