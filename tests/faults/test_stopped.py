"""A process that goes on without doing anything (SIGSTOP): calls end in time, the next works."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import anyio
import pytest

from support import rogue
from support.pools import component, limited, settings_for
from support.processes import descendants, named, open_descriptors, running_worker, until
from wassette_supervisor.errors import CallError, LimitExceededError, WorkerDiedError
from wassette_supervisor.pool import template, worker, zygote
from wassette_supervisor.pool.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.pools import Component
    from wassette_supervisor.pool.pool import Pool

pytestmark = pytest.mark.thorough

FIVE = '{"a": 2, "b": 3}'
SOON_S = 1.5


@pytest.fixture
async def pool(isolation: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    """One that loses its patience sooner; afterwards nothing is left of it."""
    before = len(open_descriptors())
    async with open_pool(settings_for(isolation)) as opened:
        await adds(opened)  # at its usual pace
        for module, name in ((zygote, "START_S"), (template, "START_S"), (worker, "HANDSHAKE_S")):
            monkeypatch.setattr(module, name, SOON_S)
        yield opened
    await until(lambda: not descendants(), "no process, no zombie")
    assert len(open_descriptors()) <= before + 4  # the event loop's own


async def adds(pool: Pool) -> bool:
    return (await (await component("add")).call(pool, "add", FIVE)).value == {"result": 5}


async def adds_again(pool: Pool) -> None:
    """The next call works, perhaps after some that met the same trouble."""
    with anyio.fail_after(30):
        while True:
            try:
                assert await adds(pool)
            except CallError:
                continue
            return


async def spares_stand(pool: Pool, count: int) -> None:
    """No other worker is there."""
    held = pool._templates._held
    await until(lambda: all(one.spare for one in held.values()), "every template has a spare")
    await until(lambda: len(named("wassette-worker")) == count, "no other worker")


def stop(*names: str) -> int:
    [found] = [seen for name in names for seen in named(name)]
    os.kill(found.pid, signal.SIGSTOP)
    return found.pid


async def is_gone(pid: int) -> None:
    await until(lambda: not any(seen.pid == pid for seen in descendants()), "it is gone")


async def test_a_stopped_workers_call_ends_at_its_wall_time(pool: Pool) -> None:
    sleep = await component("sleep")
    pool.forget((await component("add")).digest)  # and its spare with it
    await until(lambda: not named("wassette-worker"), "no spare")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_ends_at_its_wall_time, sleep, pool)
        busy = await running_worker()
        os.kill(busy.pid, signal.SIGSTOP)
    await is_gone(busy.pid)
    assert await adds(pool)


async def _ends_at_its_wall_time(sleep: Component, pool: Pool) -> None:
    with pytest.raises(LimitExceededError, match="wall_time=2s"):
        await sleep.call(
            pool, "sleep-ms", '{"milliseconds": 60000}', limited(fuel=10**15, wall_time_ms=2000)
        )


async def test_a_stopped_spare_costs_one_call_its_wall_time_however_long_its_arguments(
    pool: Pool,
) -> None:
    # More than a socket takes that nobody reads.
    long = '{"a": 1, "b": 1, "c": "' + "x" * (2 << 20) + '"}'
    add = await component("add")
    short = limited(wall_time_ms=1000)
    await add.call(pool, "add", FIVE, short)
    await spares_stand(pool, 2)
    for seen in named("wassette-worker"):
        os.kill(seen.pid, signal.SIGSTOP)
    with pytest.raises(LimitExceededError, match="wall_time=1s"):
        await add.call(pool, "add", long, short)
    assert (await add.call(pool, "add", FIVE, short)).value == {"result": 5}


async def test_a_stopped_template_is_replaced(pool: Pool) -> None:
    await spares_stand(pool, 1)
    stopped = stop("wassette-templ", "wassette-init")
    await adds(pool)  # by the spare
    with pytest.raises(WorkerDiedError, match="not ready within 2 s, and was killed"):
        await adds(pool)
    await is_gone(stopped)
    await adds_again(pool)


async def test_a_stopped_zygote_is_replaced(pool: Pool) -> None:
    stopped = stop("wassette-zygote")
    assert await adds(pool)  # of a template that stands
    say = await component("say")
    with pytest.raises(CallError, match="doesn't answer"):
        await say.call(pool, "say", '{"n": 1}')
    await is_gone(stopped)
    assert len((await say.call(pool, "say", '{"n": 10}')).output) == 10
    await adds_again(pool)


async def test_a_worker_that_reads_no_arguments_ends_at_its_wall_time(tmp_path: Path) -> None:
    add = await component("add")
    long = '{"a": 1, "b": 1, "c": "' + "x" * (2 << 20) + '"}'
    async with open_pool(settings_for(), rogue.program(tmp_path, "reads-no-run")) as pool:
        with pytest.raises(LimitExceededError, match="wall_time=500ms"):
            await add.call(pool, "add", long, limited(wall_time_ms=500))
    await until(lambda: not descendants(), "no process left")
