"""No two workers are given the same randomness, however they came to be."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio
import pytest

from support import served
from support.served import ANSWER_S

if TYPE_CHECKING:
    from pathlib import Path

    from mcp import Client

pytestmark = pytest.mark.anyio

EXPORTS = ["random-u64", "insecure-u64"]
CALLS = 4


async def test_random_bytes_of_all_workers_differ(store: Path) -> None:
    drawn: list[object] = []
    # Each server has a template of its own, and each call a worker of its own, most of them spares.
    for isolation in ("fork", "fork", "exec"):
        async with served.client(store, "--isolation", isolation) as connection:
            for export in EXPORTS * CALLS:
                drawn.append(await _draw(connection, export))  # noqa: PERF401 - easier to read
    assert len(drawn) == 3 * len(EXPORTS) * CALLS
    assert len(set(map(str, drawn))) == len(drawn), drawn


async def test_random_bytes_of_workers_that_run_at_once_differ(store: Path) -> None:
    drawn: list[object] = []
    async with served.client(store, "--max-workers", "4") as connection:

        async def draw(export: str) -> None:
            drawn.append(await _draw(connection, export))

        async with anyio.create_task_group() as tasks:
            for export in EXPORTS * CALLS:
                tasks.start_soon(draw, export)
    assert len(drawn) == len(EXPORTS) * CALLS
    assert len(set(map(str, drawn))) == len(drawn), drawn


async def test_random_bytes_after_a_template_was_killed_differ_from_those_before(
    store: Path, isolation: str
) -> None:
    async with served.client(store, "--isolation", isolation) as connection:
        server = await served.server_below(os.getpid())
        before = [await _draw(connection, export) for export in EXPORTS]
        killed = await served.kill_template(server)
        after = [await _draw(connection, export) for export in EXPORTS]
        assert not set(killed) & set(served.templates(server))
    assert len({*map(str, before), *map(str, after)}) == 4


async def _draw(connection: Client, export: str) -> object:
    with anyio.fail_after(ANSWER_S):
        result = await connection.call_tool(export, {})
    assert not result.is_error, served.text(result)
    assert result.structured_content is not None
    drawn: object = result.structured_content["result"]
    return drawn
