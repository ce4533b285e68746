"""No thread or process left, by a real limit: a clear error of that call, and no crash."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from support import served
from support.commands import answered
from support.few_threads import limited, threads_left
from support.guests import guest_bytes
from support.pools import compile_with, component, settings_for
from support.processes import descendants, named, until
from wassette_supervisor.errors import NoRoomError, NoThreadError, SupervisorError, is_crash
from wassette_supervisor.pool.endings import ended_so
from wassette_supervisor.pool.pool import open_pool
from wassette_supervisor.pool.restarts import CRASHES
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from support.pools import Component
    from wassette_supervisor.pool.pool import Pool

pytestmark = [pytest.mark.anyio, pytest.mark.thorough]

PLENTY = 100


@pytest.fixture(autouse=True)
def _limit() -> Iterator[None]:
    with limited():
        yield


# --- the server -----------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """With a component that has a directory: settling that is for a thread."""
    (tmp_path / "work").mkdir()
    store = served.make_store(tmp_path / "store", ["granted"])
    grant = ["permission", "grant", "storage", "granted", f"fs://{tmp_path}/work"]
    answered(store, *grant, "--access", "read")
    return store


async def test_work_that_gets_no_thread_is_not_begun_and_the_next_is() -> None:
    with threads_left(0, os.getpid()):
        for _ in range(2):
            with pytest.raises(NoRoomError, match="no thread could be started"):
                await run_sync(len, "work")
    assert await run_sync(len, "work") == 4


async def test_a_server_without_threads_refuses_calls_on_record_and_serves_the_next(
    store: Path, tmp_path: Path
) -> None:
    async with served.raw(store) as server:

        async def names(request: int) -> dict[str, Any]:
            await server.call(request, "names", directory=f"{tmp_path}/work", path=".")
            return await server.answer(request)

        with threads_left(0, server.pid):
            for request in (1, 2):
                said = (await names(request))["content"][0]["text"]
                assert "has no room for this call" in said
                assert "no thread could be started" in said or "got no thread" in said
                assert "\n" not in said
        assert (await names(3))["structuredContent"] == {"result": []}
    log = served.operate(store, "audit").stdout.decode()
    # One before it started, or else one that started and ended: by whether a thread stood idle.
    assert log.count('"event":"refusal"') + log.count('"event":"call-started"') == 3
    assert log.count('"event":"call-started"') == log.count('"event":"call-ended"')


# --- what it starts -------------------------------------------------------------------------


@pytest.fixture
async def pool(isolation: str) -> AsyncIterator[Pool]:
    async with open_pool(settings_for(isolation)) as opened:
        yield opened
    # What the killed zygote left is ours to bury, and may be seen to end only after that.
    await until(lambda: all(seen.state == "Z" for seen in descendants()), "no process left")


async def sleeps(sleep: Component, pool: Pool) -> bool:
    """A call for which the engine starts threads."""
    return (await sleep.call(pool, "sleep-ms", '{"milliseconds": 1}')).value == {}


async def is_cold(sleep: Component, pool: Pool) -> None:
    pool.forget(sleep.digest)
    names = ("wassette-templ", "wassette-init", "wassette-worker")
    await until(lambda: not any(map(named, names)), "it is cold")


async def refusal(left: int, call: Callable[[], Awaitable[object]]) -> SupervisorError | None:
    """Why a call fails with so many processes and threads left, if it does."""
    with threads_left(left, os.getpid()):
        try:
            await call()
        except SupervisorError as error:
            return error
    return None


async def test_whatever_gets_no_thread_fails_its_call_alone_and_counts_as_no_crash(
    pool: Pool,
) -> None:
    sleep = await component("sleep")
    call = partial(sleeps, sleep, pool)
    await call()
    refused: list[type[SupervisorError]] = []
    left = 0
    # First whatever is refused, from the first process on; then the engine's abort, again.
    while refused.count(NoThreadError) <= CRASHES.ends:
        await is_cold(sleep, pool)
        error = await refusal(left, call)
        assert isinstance(error, NoRoomError | None), error
        assert await call()
        if error is None:  # others made room
            left = 0
            continue
        assert "\n" not in str(error)
        refused.append(type(error))
        left += refused[-1] is not NoThreadError
    assert refused[0] is NoRoomError
    assert pool.held_back(sleep.digest) is None
    assert await refusal(PLENTY, call) is None


async def test_what_is_compiled_without_room_says_so_and_is_compiled_later(pool: Pool) -> None:
    call = partial(compile_with, pool, guest_bytes("add"))
    await call()
    refused = []
    for left in range(5):
        refused.append(await refusal(left, call))
        await call()
    # No LoadError: what waits in a directory would not be tried again.
    assert isinstance(refused[0], NoRoomError)
    assert all(isinstance(error, NoRoomError | None) for error in refused), refused


def test_an_abort_is_a_crash_but_where_the_server_itself_gets_no_thread() -> None:
    aborted = signal.SIGABRT.value  # as waitpid(2) gives it
    assert is_crash(ended_so(aborted))
    with threads_left(0, os.getpid()):
        assert not is_crash(ended_so(aborted))
        assert is_crash(ended_so(signal.SIGSEGV.value))
    assert is_crash(ended_so(aborted))
