"""A revoke ends what runs and what waits of its component, and nothing of another one."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest
from anyio.lowlevel import checkpoint

from support.pools import NOTHING, Component, component, granting, limited, settings_for
from support.processes import descendants, named, open_descriptors, running_worker, until
from wassette_protocol.frames import ComponentId
from wassette_supervisor.pool.grants import Grants, RevokedError
from wassette_supervisor.pool.pool import Pool, open_pool

LONG = limited(fuel=10**15, wall_time_ms=20_000)
WHY = "the permission to read a directory was revoked"


async def fails(called: Component, pool: Pool, grants: Grants = LONG) -> None:
    """A call that is ended by a revoke."""
    with pytest.raises(RevokedError) as caught:
        await called.call(pool, "spin", "{}", grants)
    assert str(caught.value) == f"the call was ended because {WHY}"


async def test_a_running_call_ends_and_its_worker_is_gone_when_stop_returns(isolation: str) -> None:
    spin = await component("spin")
    before = len(open_descriptors())
    async with open_pool(settings_for(isolation)) as pool:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fails, spin, pool)
            worker = await running_worker()
            await pool.stop(spin.id, WHY)
            assert not any(
                seen.pid == worker.pid and seen.state != "Z" for seen in named("wassette-worker")
            )
        await until(lambda: not named("wassette-worker"), "its spare is gone as well")
    await until(lambda: not descendants(), "no process left")
    assert len(open_descriptors()) <= before + 4  # the event loop's own


async def test_calls_that_wait_end_with_those_that_run(isolation: str) -> None:
    spin = await component("spin")
    settings = settings_for(isolation, max_workers=2, queue=6)
    async with open_pool(settings) as pool, anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(fails, spin, pool)
        await until(lambda: pool._schedule.waiting == 6, "six wait")
        await pool.stop(spin.id, WHY)
        assert pool._schedule.waiting == 0
        await until(lambda: pool._schedule.running == 0, "their places are free")


async def test_calls_of_other_components_go_on(isolation: str) -> None:
    sleep, spin = await component("sleep"), await component("spin")
    async with open_pool(settings_for(isolation)) as pool, anyio.create_task_group() as tasks:
        answered = []

        async def go_on() -> None:
            answered.append(await sleep.call(pool, "sleep-ms", '{"milliseconds": 900}'))

        tasks.start_soon(go_on)
        tasks.start_soon(fails, spin, pool)
        await until(lambda: pool._schedule.running == 2, "both run")
        await pool.stop(spin.id, WHY)
    assert len(answered) == 1


async def test_another_component_of_the_same_bytes_goes_on() -> None:
    spin = await component("spin")
    other = replace(spin, id=ComponentId("other"))
    async with open_pool(settings_for()) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(fails, spin, pool)
        tasks.start_soon(other.call, pool, "spin", "{}", LONG)
        await until(lambda: pool._schedule.running == 2, "both run")
        await pool.stop(spin.id, WHY)
        await until(lambda: pool._schedule.running == 1, "one has ended")
        tasks.cancel_scope.cancel()


async def test_a_call_after_a_stop_runs_with_its_own_grants() -> None:
    add = await component("add")
    async with open_pool(settings_for()) as pool:
        await add.call(pool, "add", '{"a": 1, "b": 1}', granting(KEY="old"))
        await pool.stop(add.id, WHY)
        await until(lambda: not named("wassette-worker"), "no spare keeps what was revoked")
        outcome = await add.call(pool, "add", '{"a": 1, "b": 1}', NOTHING)
        assert outcome.value == {"result": 2}


async def test_to_stop_what_does_not_run_is_no_trouble() -> None:
    async with open_pool(settings_for()) as pool:
        await pool.stop(ComponentId("nobody"), WHY)
        await pool.stop(ComponentId("nobody"), WHY)


async def test_calls_that_nobody_has_taken_up_yet_end_as_well() -> None:
    spin = await component("spin")
    settings = settings_for(queue=1000)
    async with open_pool(settings) as pool, anyio.create_task_group() as tasks:
        # More than the pool's inbox holds: the last of them still wait to be put into it.
        for _ in range(400):
            tasks.start_soon(fails, spin, pool)
        while len(pool._asked) < 400:
            await checkpoint()
        await pool.stop(spin.id, WHY)
        assert pool._schedule.waiting == 0
    await until(lambda: not descendants(), "no process left")


async def test_a_caller_that_gives_up_while_its_call_is_stopped_is_not_held_up() -> None:
    spin = await component("spin")
    async with open_pool(settings_for()) as pool:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(spin.call, pool, "spin", "{}", LONG)
            await running_worker()
            tasks.start_soon(pool.stop, spin.id, WHY)
            tasks.cancel_scope.cancel()
        with anyio.fail_after(2):
            await pool.stop(spin.id, WHY)
