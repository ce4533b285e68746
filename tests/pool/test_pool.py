"""Many calls: none is lost, no process or descriptor is left behind."""

from __future__ import annotations

import os

import anyio
import pytest

from support.guests import guest_bytes
from support.pools import Component, compile_with, component, limited, settings_for
from support.processes import descendants, named, open_descriptors, running_worker, until
from wassette_supervisor.errors import BusyError, CallError
from wassette_supervisor.pool import channel
from wassette_supervisor.pool.pool import Pool, open_pool


async def test_no_descriptor_or_process_is_left_by_many_calls(isolation: str) -> None:
    add = await component("add")
    async with open_pool(settings_for(isolation)) as pool:
        await add.call(pool, "add", '{"a": 1, "b": 1}')
        before = len(open_descriptors())
        for number in range(100 if isolation == "fork" else 10):
            outcome = await add.call(pool, "add", f'{{"a": {number}, "b": 1}}')
            assert outcome.value == {"result": number + 1}
        await until(lambda: len(open_descriptors()) <= before + 8, "descriptors given back")
        assert len(named("wassette-worker")) <= 3
    await until(lambda: not descendants(), "no process left")


async def test_calls_beyond_the_queue_are_refused_and_the_others_answered() -> None:
    add = await component("add")
    answered, refused = [], []
    async with open_pool(settings_for(max_workers=2, queue=4)) as pool:

        async def call(number: int) -> None:
            try:
                answered.append(await add.call(pool, "add", f'{{"a": {number}, "b": 0}}'))
            except BusyError as error:
                refused.append(error)

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(call, number)
    assert len(answered) + len(refused) == 50
    assert len(answered) >= 6
    assert refused


async def test_a_waiting_call_that_is_given_up_leaves_its_place() -> None:
    spin, add = await component("spin"), await component("add")
    settings = settings_for(max_workers=1, queue=1)
    async with open_pool(settings) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(_ignoring_its_end, spin, pool)
        await running_worker()
        with anyio.move_on_after(0.05):
            await add.call(pool, "add", '{"a": 1, "b": 1}')
        outcome = await add.call(pool, "add", '{"a": 1, "b": 1}')
        assert outcome.value == {"result": 2}


async def _ignoring_its_end(spin: Component, pool: Pool) -> None:
    with pytest.raises(CallError):
        await spin.call(pool, "spin", "{}", limited(fuel=10**15, wall_time_ms=3_000))


async def test_a_component_that_is_forgotten_gives_its_processes_back() -> None:
    add = await component("add")
    async with open_pool(settings_for()) as pool:
        await add.call(pool, "add", '{"a": 1, "b": 1}')
        assert named("wassette-templ")
        pool.forget(add.digest)
        await until(lambda: not named("wassette-templ"), "no template of it")


async def test_a_killed_compile_worker_fails_one_load_and_no_other() -> None:
    async with open_pool(settings_for()) as pool:

        async def kill() -> None:
            await until(lambda: named("wassette-compil"), "a compile worker")
            os.kill(named("wassette-compil")[0].pid, 9)

        # Some die before their first word, others after: all are told by their signal.
        for _ in range(6):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(kill)
                with pytest.raises(Exception, match="SIGKILL"):
                    await compile_with(pool, guest_bytes("python"))
        add = await compile_with(pool, guest_bytes("add"))
        assert (await add.call(pool, "add", '{"a": 1, "b": 1}')).value == {"result": 2}


async def test_a_kernel_without_pidfds_on_messages_is_served_by_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The option's number is changed to one that no kernel has, as if this one were older.
    monkeypatch.setattr(channel, "_SO_PASSPIDFD", 9999)
    add = await component("add")
    async with open_pool(settings_for()) as pool:
        assert (await add.call(pool, "add", '{"a": 1, "b": 1}')).value == {"result": 2}
        assert (await add.call(pool, "add", '{"a": 1, "b": 1}')).value == {"result": 2}
