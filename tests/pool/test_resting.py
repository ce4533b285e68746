"""What ends again and again is not started anew for a while, and calls are told so."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import anyio
import pytest

from support import rogue
from support.pools import component, settings_for
from support.processes import descendants, named, until
from wassette_supervisor.errors import (
    CallError,
    HeldBackError,
    RestingError,
    WorkerDiedError,
)
from wassette_supervisor.pool import troubles, zygote
from wassette_supervisor.pool.pool import open_pool
from wassette_supervisor.pool.restarts import CRASHES, Intensity

if TYPE_CHECKING:
    from pathlib import Path

    from support.pools import Component
    from wassette_supervisor.pool.pool import Pool

SHORT = Intensity(ends=2, within_s=60, rest_s=1)
FIVE = '{"a": 2, "b": 3}'


async def adds(add: Component, pool: Pool) -> bool:
    return (await add.call(pool, "add", FIVE)).value == {"result": 5}


async def kill(*names: str) -> None:
    """Kill what bears one of these names, with all that it started."""
    [holder] = [seen for name in names for seen in named(name)]
    os.kill(holder.pid, signal.SIGKILL)
    await until(lambda: not any(seen.pid == holder.pid for seen in descendants()), "it is gone")
    await until(lambda: not named("wassette-worker"), "no worker without it")


async def until_rested(add: Component, pool: Pool) -> None:
    with anyio.fail_after(20):
        while True:
            try:
                assert await adds(add, pool)
            except RestingError as error:
                await anyio.sleep(error.rests_s)
            else:
                return


async def test_a_zygote_that_ends_again_and_again_rests_and_is_started_again_after_that(
    isolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zygote, "ZYGOTE", SHORT)
    add = await component("add")
    async with open_pool(settings_for(isolation)) as pool:
        for _ in range(SHORT.ends + 1):
            assert await adds(add, pool)
            await kill("wassette-zygote")
        with pytest.raises(RestingError) as refused:
            await adds(add, pool)
        assert "the process that starts all workers ended 3 times within 60 s" in str(refused.value)
        assert "call again then" in str(refused.value)
        assert not descendants()
        await until_rested(add, pool)


async def test_a_template_that_ends_again_and_again_rests_and_no_other_does(
    isolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(troubles, "TEMPLATE", SHORT)
    add, say = await component("add"), await component("say")
    async with open_pool(settings_for(isolation)) as pool:
        for _ in range(SHORT.ends + 1):
            assert await adds(add, pool)
            await kill("wassette-templ", "wassette-init")
        with pytest.raises(RestingError, match="starts this component's workers ended 3 times"):
            await adds(add, pool)
        assert len((await say.call(pool, "say", '{"n": 10}')).output) == 10
        await until_rested(add, pool)


async def test_a_worker_that_dies_before_its_call_has_its_template_replaced(
    tmp_path: Path,
) -> None:
    # Its siblings share its address layout, whatever it was doing.
    add = await component("add")
    program = rogue.program(tmp_path, "ends-before-its-first-word")
    async with open_pool(settings_for(), program) as pool:
        for _ in range(2):
            with pytest.raises(WorkerDiedError):
                await adds(add, pool)
            await until(lambda: not named("wassette-templ"), "its template is gone")


# A real zygote, but its templates die of a fault when they are asked for a worker.
FAULTY = """
import ctypes
from wassette_worker import template, zygote

class Faulty(template.Children):
    def serve(self, start):
        super().serve(lambda frame, received: ctypes.string_at(0))

template.Children = Faulty
zygote.main()
"""


async def test_a_template_that_crashes_counts_as_a_crash_of_its_component(tmp_path: Path) -> None:
    (tmp_path / "faulty.py").write_text(FAULTY)
    add = await component("add")
    async with open_pool(settings_for(), str(tmp_path / "faulty.py")) as pool:
        for _ in range(CRASHES.ends + 1):
            assert pool.held_back(add.digest) is None
            with pytest.raises(CallError):
                await adds(add, pool)
            await until(lambda: not named("wassette-templ"), "its template is gone")
        await until(lambda: pool.held_back(add.digest), "the last one was told")
        with pytest.raises(HeldBackError, match="the last one died of SIGSEGV"):
            await adds(add, pool)
