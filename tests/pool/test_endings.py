"""Every way for a call to end, and that the next call works after each."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

import anyio
import pytest

from support.pools import Component, component, limited, settings_for
from support.processes import Seen, descendants, named, open_descriptors, running_worker, until
from wassette_supervisor.errors import (
    BadArgumentsError,
    CallError,
    GuestExitedError,
    LimitExceededError,
    TrappedError,
    WorkerDiedError,
)
from wassette_supervisor.pool.pool import Pool, open_pool

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20


async def fails(
    isolation: str,
    guest: str,
    export: str,
    arguments: str = "{}",
    **limits: int,
) -> CallError:
    """The error of a call; afterwards another call in the same pool must work."""
    tested, add = await component(guest), await component("add")
    async with open_pool(settings_for(isolation)) as pool:
        with pytest.raises(CallError) as caught:
            await tested.call(pool, export, arguments, limited(**limits))
        assert (await add.call(pool, "add", '{"a": 2, "b": 3}')).value == {"result": 5}
    await until(lambda: not descendants(), "no process left")
    return caught.value


@pytest.mark.parametrize(
    ("export", "arguments", "text"),
    [
        ("trap-unreachable", "{}", "unreachable"),
        ("trap-oob", "{}", "out of bounds memory access"),
        ("trap-divzero", '{"divisor": 0}', "divide by zero"),
        ("trap-stack", "{}", "call stack exhausted"),
    ],
)
async def test_a_trap_is_told_by_its_name(
    isolation: str, export: str, arguments: str, text: str
) -> None:
    error = await fails(isolation, "traps", export, arguments)
    assert isinstance(error, TrappedError)
    assert text in error.detail


async def test_a_guest_that_was_refused_one_large_piece_of_memory_is_told_the_limit(
    isolation: str,
) -> None:
    error = await fails(isolation, "traps", "trap-unreachable")
    assert "as of a guest that asked for more at once than memory=256Mi leaves it" in str(error)


async def test_a_guest_out_of_fuel_is_told_the_limit_and_its_value(isolation: str) -> None:
    error = await fails(isolation, "spin", "spin", fuel=1_000_000)
    assert isinstance(error, LimitExceededError)
    assert "fuel=1000000" in str(error)


async def test_a_loop_ends_at_the_epoch_deadline(isolation: str) -> None:
    error = await fails(isolation, "spin", "spin", fuel=10**15, wall_time_ms=300)
    assert isinstance(error, LimitExceededError)
    assert error.limit == "wall_time"
    assert "epoch" in error.detail
    assert "wall_time=300ms" in str(error)


async def test_a_loop_in_a_start_function_ends_like_one_in_a_call(isolation: str) -> None:
    error = await fails(isolation, "start_loops", "answer", fuel=10**15, wall_time_ms=300)
    assert isinstance(error, LimitExceededError)
    assert error.limit == "wall_time"
    assert "instantiated" in error.detail


async def test_a_sleeping_guest_ends_at_its_deadline(isolation: str) -> None:
    error = await fails(isolation, "sleep", "sleep-ms", '{"milliseconds": 60000}', wall_time_ms=300)
    assert isinstance(error, LimitExceededError)
    assert error.limit == "wall_time"


async def test_a_short_sleep_is_not_disturbed_by_the_clock_guard(isolation: str) -> None:
    async with open_pool(settings_for(isolation)) as pool:
        outcome = await (await component("sleep")).call(pool, "sleep-ms", '{"milliseconds": 20}')
    assert outcome.usage.call_us >= 20_000


async def test_a_guest_exit_is_told_with_its_status(isolation: str) -> None:
    error = await fails(isolation, "exit", "leave", '{"ok": false}')
    assert isinstance(error, GuestExitedError)
    assert error.code == 1


async def test_a_guest_that_says_more_than_it_may_is_ended(isolation: str) -> None:
    error = await fails(isolation, "say", "say", '{"n": 3000000}', output=100_000)
    assert isinstance(error, LimitExceededError)
    assert error.limit == "output"


async def test_a_template_that_was_given_up_is_not_made_again_for_its_spare(isolation: str) -> None:
    say = await component("say")
    async with open_pool(settings_for(isolation)) as pool:
        with pytest.raises(LimitExceededError):
            await say.call(pool, "say", '{"n": 3000000}', limited(output=100_000))
        below = ("wassette-templ", "wassette-init", "wassette-worker")
        await until(lambda: not any(map(named, below)), "neither it nor a worker of it is left")


async def test_what_a_guest_says_comes_beside_the_answer(isolation: str) -> None:
    async with open_pool(settings_for(isolation)) as pool:
        outcome = await (await component("say")).call(pool, "say", '{"n": 10}')
    assert len(outcome.output) == 10


async def test_memory_beyond_the_limit_is_not_had(isolation: str) -> None:
    grow = await component("grow")
    async with open_pool(settings_for(isolation)) as pool:
        outcome = await grow.call(pool, "grow-pages", '{"pages": 1000}', limited(memory=16 * MIB))
    assert outcome.value == {"result": -1}


async def test_a_guest_that_gives_up_without_memory_is_told_the_memory_limit(
    isolation: str,
) -> None:
    export = "test:ctiny/math@0.1.0#grow-until-refused"
    error = await fails(isolation, "ctiny", export, memory=32 * MIB)
    assert isinstance(error, LimitExceededError)
    assert "memory=32Mi" in str(error)


async def test_a_component_that_starts_above_the_memory_limit_is_told_so(isolation: str) -> None:
    error = await fails(
        isolation, "big_minimum_memory", await component_export("big_minimum_memory")
    )
    assert isinstance(error, LimitExceededError)
    assert "memory=256Mi" in str(error)


async def test_more_memories_than_the_limit_are_refused(isolation: str) -> None:
    error = await fails(
        isolation, "many_memories", await component_export("many_memories"), memories=2
    )
    assert isinstance(error, LimitExceededError)


async def test_a_table_stops_growing_at_its_limit(isolation: str) -> None:
    name = await component_export("table_grow")
    async with open_pool(settings_for(isolation)) as pool:
        outcome = await (await component("table_grow")).call(pool, name, "{}", limited(fuel=10**9))
    assert outcome.value == {"result": 50_000}


async def test_arguments_are_refused_before_the_guest_is_entered(isolation: str) -> None:
    error = await fails(isolation, "add", "add", '{"a": 1, "b": -1}')
    assert isinstance(error, BadArgumentsError)
    assert error.pointer == "/b"


async def test_a_result_longer_than_it_may_be_is_told_the_limit(isolation: str) -> None:
    error = await fails(isolation, "add", "add", '{"a": 1000000000, "b": 1}', result=12)
    assert isinstance(error, LimitExceededError)
    assert error.limit == "result"


async def test_each_call_has_its_own_limits(isolation: str) -> None:
    spin, say, grow = [await component(name) for name in ("spin", "say", "grow")]
    async with open_pool(settings_for(isolation)) as pool:
        small = limited(output=1000)
        with pytest.raises(LimitExceededError, match="output=1000"):
            await say.call(pool, "say", '{"n": 5000}', small)
        assert len((await say.call(pool, "say", '{"n": 1000}', small)).output) == 1000
        assert (await say.call(pool, "say", '{"n": 5000}')).output
        for limits, text in (
            ({"fuel": 1_000_000}, "fuel=1000000"),
            ({"fuel": 2_000_000}, "fuel=2000000"),
            ({"fuel": 10**15, "wall_time_ms": 200}, "wall_time=200ms"),
        ):
            with pytest.raises(LimitExceededError, match=text):
                await spin.call(pool, "spin", "{}", limited(**limits))
        pages = '{"pages": 300}'
        assert (await grow.call(pool, "grow-pages", pages)).value != {"result": -1}
        few = limited(memory=16 << 20)
        assert (await grow.call(pool, "grow-pages", pages, few)).value == {"result": -1}


async def component_export(guest: str) -> str:
    tool = (await component(guest)).compiled.tools[0].export
    return tool.function if tool.interface is None else f"{tool.interface}#{tool.function}"


async def in_the_middle(pool: Pool, sleep: Component, deed: Callable[[Seen], None]) -> Exception:
    """Do something to the worker of a running call; return the call's error."""
    caught: list[Exception] = []

    async def call() -> None:
        try:
            await sleep.call(pool, "sleep-ms", '{"milliseconds": 20000}', LONG)
        except CallError as error:
            caught.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        deed(await running_worker())
    return caught[0]


LONG = limited(fuel=10**15, wall_time_ms=20_000)


@pytest.mark.parametrize("number", ["SIGABRT", "SIGSEGV", "SIGKILL", "SIGSYS", "SIGILL", "SIGBUS"])
async def test_a_worker_that_dies_of_a_signal_is_told_by_its_name(
    isolation: str, number: str
) -> None:
    # In the host: in WebAssembly's own code the engine takes some signals for a trap.
    sleep, add = await component("sleep"), await component("add")
    async with open_pool(settings_for(isolation)) as pool:
        # The engine's handler takes the first of a fault that isn't one, and steps aside then.
        error = await in_the_middle(pool, sleep, lambda seen: kill(seen.pid, number))
        assert isinstance(error, WorkerDiedError)
        assert number in str(error)
        assert (await add.call(pool, "add", '{"a": 2, "b": 3}')).value == {"result": 5}


def kill(pid: int, name: str) -> None:
    with contextlib.suppress(ProcessLookupError):
        while alive(pid):
            os.kill(pid, signal.Signals[name])


def kill_template(_: Seen) -> None:
    [holder] = named("wassette-templ") + named("wassette-init")
    os.kill(holder.pid, signal.SIGKILL)


def kill_zygote(_: Seen) -> None:
    [zygote] = named("wassette-zygote")
    os.kill(zygote.pid, signal.SIGKILL)


@pytest.mark.parametrize("deed", [kill_template, kill_zygote])
async def test_a_call_whose_ancestor_is_killed_fails_clearly_and_the_next_works(
    isolation: str, deed: Callable[[Seen], None]
) -> None:
    before = open_descriptors()
    # In the host: in WebAssembly's own code the engine takes some signals for a trap.
    sleep, add = await component("sleep"), await component("add")
    async with open_pool(settings_for(isolation)) as pool:
        error = await in_the_middle(pool, sleep, deed)
        assert isinstance(error, WorkerDiedError)
        assert (await add.call(pool, "add", '{"a": 2, "b": 3}')).value == {"result": 5}
    await until(lambda: not descendants(), "no process, no zombie")
    assert len(open_descriptors()) <= len(before) + 4  # the event loop's own


async def test_a_cancelled_call_leaves_no_worker_within_a_second(isolation: str) -> None:
    spin = await component("spin")
    async with open_pool(settings_for(isolation)) as pool:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(spin.call, pool, "spin", "{}", LONG)
            busy = await running_worker()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(1):
            await until(lambda: not alive(busy.pid), "the worker's pid is gone")


def alive(pid: int) -> bool:
    return any(seen.pid == pid and seen.state != "Z" for seen in descendants())
