"""A limit ends a call by itself: the others are far away."""

from __future__ import annotations

import pytest

from support.pools import component, limited, settings_for
from wassette_supervisor.errors import LimitExceededError
from wassette_supervisor.pool.pool import open_pool


async def test_fuel_that_is_used_up_ends_a_loop_long_before_its_wall_time() -> None:
    spin = await component("spin")
    async with open_pool(settings_for()) as pool:
        with pytest.raises(LimitExceededError) as caught:
            await spin.call(pool, "spin", "{}", limited(fuel=1_000_000, wall_time_ms=2_000))
    assert caught.value.limit == "fuel"
