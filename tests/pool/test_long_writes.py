"""How much a guest may write at once at an offset, where each path is judged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.pools import Component, component, directory, granting, judged, settings_for
from wassette_supervisor.errors import TrappedError
from wassette_supervisor.pool.pool import Pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wassette_supervisor.pool.grants import Grants
    from wassette_supervisor.pool.outcome import CallOutcome

# What the engine copies for one call, 48 bytes for each byte of a list.
MOST = (128 << 20) // 48


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    async with open_pool(settings_for()) as pool:
        yield pool


@pytest.fixture
async def compiled() -> Component:
    return await component("timed")


async def write(pool: Pool, compiled: Component, grants: Grants, size: int) -> CallOutcome:
    given = json.dumps({"path": "new", "amount": size, "times": 1})
    return await compiled.call(pool, "test:timed/files@0.1.0#pwrite", given, grants)


async def test_as_much_as_the_engine_copies_is_written_at_once(
    pool: Pool, compiled: Component, tmp_path: Path
) -> None:
    grants = granting(judged(directory(tmp_path, "d", writable=True)))
    for size in (2 << 20, MOST):
        await write(pool, compiled, grants, size)
        assert (tmp_path / "new").stat().st_size == size


async def test_a_longer_write_ends_the_call_and_names_the_limit_and_what_to_do(
    pool: Pool, compiled: Component, tmp_path: Path
) -> None:
    grants = granting(judged(directory(tmp_path, "d", writable=True)))
    with pytest.raises(TrappedError) as caught:
        await write(pool, compiled, grants, MOST + 1)
    assert "2,796,202 bytes" in str(caught.value)
    assert "write less at once" in str(caught.value)
    assert (tmp_path / "new").stat().st_size == 0


async def test_in_a_folder_that_is_given_natively_that_much_more_is_written_at_once(
    pool: Pool, compiled: Component, tmp_path: Path
) -> None:
    await write(pool, compiled, granting(directory(tmp_path, "d", writable=True)), 8 << 20)
    assert (tmp_path / "new").stat().st_size == 8 << 20
