"""A spare that was instantiated with what is revoked ends with the calls that have it."""

from __future__ import annotations

import os
import select
import signal

from support.pools import component, granting, settings_for
from support.processes import named, until
from wassette_supervisor.pool.pool import open_pool


def kill_and_wait(pid: int) -> None:
    """Not with `until`: the pool is not to be told before its next call."""
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert poll.poll(5000)
    os.close(pidfd)


async def test_a_spare_that_stands_with_what_was_revoked_ends(isolation: str) -> None:
    add = await component("add")
    async with open_pool(settings_for(isolation)) as pool:
        await add.call(pool, "add", '{"a": 1, "b": 1}', granting(KEY="old"))
        held = pool._templates._held.values
        await until(lambda: any(one.spare is not None for one in held()), "a spare")
        await pool.stop(add.id, "a variable was revoked")
        assert all(one.spare is None for one in held())
        await until(lambda: not named("wassette-worker"), "no worker has it any more")


async def test_a_spare_that_was_killed_serves_no_call(isolation: str) -> None:
    add = await component("add")
    async with open_pool(settings_for(isolation)) as pool:
        await add.call(pool, "add", '{"a": 1, "b": 1}')
        [held] = pool._templates._held.values()
        await until(lambda: held.spare is not None, "a spare")
        await until(lambda: len(named("wassette-worker")) == 1, "the first worker's end")
        kill_and_wait(named("wassette-worker")[0].pid)
        assert held.spare is not None  # nobody has told the pool yet
        assert pool._templates._take_spare(held, held.spare.grants) is None
        assert (await add.call(pool, "add", '{"a": 2, "b": 3}')).value == {"result": 5}
