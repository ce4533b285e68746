"""Clients that close their end or stop reading while calls run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from support import served
from support.processes import descendants
from support.served import ENDLESS

if TYPE_CHECKING:
    from pathlib import Path

    from anyio.abc import Process

pytestmark = [pytest.mark.anyio, pytest.mark.thorough]

CALLS = 100


async def test_a_client_that_closes_the_end_it_reads_leaves_no_process(
    scratch: Path, isolation: str
) -> None:
    # The library's process keeps the end that it reads open: this one can be closed.
    reader, writer = os.pipe()
    command = [str(served.COMMAND), "run", "--component-dir", str(scratch), *ENDLESS]
    command += ["--isolation", isolation]
    async with await anyio.open_process(
        command, env=served.environment(), stdout=writer, stderr=None
    ) as server:
        os.close(writer)
        about = {"clientInfo": {"name": "deaf", "version": "1"}, "capabilities": {}}
        await _say(server, 0, "initialize", protocolVersion=served.LEGACY, **about)
        await anyio.wait_readable(reader)
        await _say(server, 1, "tools/call", name="spin", arguments={})
        await served.busy_worker(server.pid)
        everything = [server.pid, *(seen.pid for seen in descendants(server.pid))]
        os.close(reader)
        # Its answer can't be said.
        await _say(server, 2, "tools/list")
        with anyio.fail_after(20):
            assert await server.wait() == 0
        await served.gone_within(20, *everything)


async def _say(server: Process, number: int, method: str, **params: Any) -> None:
    assert server.stdin is not None
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    await server.stdin.send(msgspec.json.encode(message) + b"\n")


async def test_a_client_that_reads_late_gets_every_answer(scratch: Path) -> None:
    async with served.raw(scratch, "--max-workers", "4", "--queue", str(CALLS)) as server:
        for request in range(1, CALLS + 1):
            await server.send("tools/list", request + CALLS)
            await server.call(request, "add", a=request, b=1)
        # Long before that there was more to say than a pipe holds.
        answers = [await server.read() for _ in range(2 * CALLS)]
    found = {answer["id"]: answer["result"] for answer in answers}
    assert len(found) == 2 * CALLS
    for request in range(1, CALLS + 1):
        assert found[request]["structuredContent"] == {"result": request + 1}
        assert found[request + CALLS]["tools"]
