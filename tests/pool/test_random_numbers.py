"""No two workers of one template draw the same numbers, though all are forks of it."""

from __future__ import annotations

import pytest

from support.pools import component, settings_for
from wassette_supervisor.pool.pool import open_pool


@pytest.mark.parametrize("export", ["random-u64", "insecure-u64"])
async def test_calls_of_one_component_draw_other_numbers(isolation: str, export: str) -> None:
    random = await component("random_bytes")
    async with open_pool(settings_for(isolation)) as pool:
        drawn = [(await random.call(pool, export)).value["result"] for _ in range(4)]
    assert len(set(drawn)) == 4, drawn
