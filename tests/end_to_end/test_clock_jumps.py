"""A server whose wall clock jumps by hours: nothing ends early or late, and the audit is whole."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest
from anyio.to_thread import run_sync

from support import guests, served
from support.commands import answered
from support.person import Person
from support.wall_clock import WallClock

if TYPE_CHECKING:
    from pathlib import Path

    import mcp_types as types
    from mcp import Client
    from mcp.client.context import ClientRequestContext

    from support.served import Era

pytestmark = pytest.mark.anyio

WALL_TIME_S = 1.5
ASKED_S = 2


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    folder = tmp_path / "clock"
    folder.mkdir()
    return WallClock(folder)


def audited(store: Path) -> list[dict[str, Any]]:
    """The entries of a log that is whole, in their order."""
    verified = served.operate(store, "audit", "verify")
    assert verified.returncode == 0, verified.stderr.decode()
    done = served.operate(store, "audit", "-o", "json")
    entries = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert all(later["seq"] == earlier["seq"] + 1 for earlier, later in pairwise(entries))
    return entries


def went_back(entries: list[dict[str, Any]]) -> bool:
    """Whether the clock did jump: else nothing was tried."""
    return any(later["time"] < earlier["time"] for earlier, later in pairwise(entries))


@pytest.mark.parametrize("isolation", ["fork", "exec"])
async def test_calls_that_run_and_wait_end_when_they_would_have(
    scratch: Path, clock: WallClock, isolation: str
) -> None:
    limits = ("--max-workers", "1", "--limit", f"wall_time={int(WALL_TIME_S * 1000)}ms")
    options = (*limits, "--isolation", isolation)
    async with served.raw(scratch, *options, variables=clock.variables) as server:
        assert await server.adds(1)
        await server.call(2, "sleep-ms", milliseconds=800)
        await server.call(3, "sleep-ms", milliseconds=100)
        await server.call(4, "spin")
        await served.busy_worker(server.pid)
        clock.jump(6)
        assert not (await server.answer(2)).get("isError")
        clock.jump(-11)
        assert not (await server.answer(3)).get("isError")
        began = time.monotonic()
        clock.jump(7)
        ended = await server.answer(4)
        took = time.monotonic() - began
        assert await server.adds(5)
    assert ended["isError"]
    assert "wall_time" in ended["content"][0]["text"]
    assert WALL_TIME_S - 0.3 < took < WALL_TIME_S + 10
    assert went_back(audited(scratch))


class Jumping(Person):
    """Has the clock jump while being asked."""

    def __init__(self, clock: WallClock, *answers: str) -> None:
        super().__init__(*answers)
        self._clock = clock

    async def __call__(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult:
        self._clock.jump(6)
        return await super().__call__(context, params)


class Absent(Jumping):
    """Never answers."""

    async def __call__(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult:
        await super().__call__(context, params)
        self._clock.jump(-18)
        await anyio.sleep_forever()
        raise AssertionError


async def ask(connection: Client, key: str) -> types.CallToolResult:
    with anyio.fail_after(served.ANSWER_S):
        return await connection.call_tool(
            "grant-environment-variable-permission",
            {"component_id": "granted", "details": {"key": key}},
        )


async def seen(connection: Client) -> list[str]:
    with anyio.fail_after(served.ANSWER_S):
        result = await connection.call_tool("variables", {})
    assert result.structured_content is not None, served.text(result)
    return sorted(key for key, _ in result.structured_content["result"])


@pytest.fixture
def granted(tmp_path: Path) -> Path:
    return served.make_store(tmp_path / "store", ["granted"])


async def test_an_answer_counts_and_lasts_however_the_clock_jumps(
    granted: Path, clock: WallClock, era: Era
) -> None:
    person = Jumping(clock, "session", "once")
    given = {"TZ": "UTC", "LANG": "C", **clock.variables}
    async with served.client(granted, era=era, person=person, variables=given) as connection:
        for key in ("TZ", "LANG"):
            asked = await ask(connection, key)
            assert not asked.is_error, served.text(asked)
        clock.jump(6)
        assert await seen(connection) == ["LANG", "TZ"]
        for hours in (-36, 48):
            clock.jump(hours)
            assert await seen(connection) == ["TZ"]
    assert went_back(audited(granted))


async def test_a_question_that_nobody_answers_is_refused_in_its_time(
    granted: Path, clock: WallClock
) -> None:
    given = {"TZ": "UTC", **clock.variables}
    person = Absent(clock, "session")
    options = ("--approval-timeout", f"{ASKED_S}s")
    async with served.client(
        granted, *options, era="legacy", person=person, variables=given
    ) as connection:
        began = time.monotonic()
        asked = await ask(connection, "TZ")
        took = time.monotonic() - began
        assert await seen(connection) == []
    assert asked.is_error
    assert ASKED_S <= took < ASKED_S + 10
    assert went_back(audited(granted))


async def test_a_server_whose_clock_is_ahead_or_behind_sees_what_others_change(
    granted: Path, clock: WallClock
) -> None:
    variable = ("environment-variable", "granted")
    given = {"TZ": "UTC", "LANG": "C", "TERM": "dumb", **clock.variables}
    person = Person("always")
    async with served.client(granted, person=person, variables=given) as connection:
        for hours in (6, -12):
            clock.jump(hours)
            assert not (await ask(connection, "TZ")).is_error
            assert await seen(connection) == ["TZ"]
            await run_sync(served.operate, granted, "permission", "grant", *variable, "LANG")
            assert await seen(connection) == ["LANG", "TZ"]
            await run_sync(served.operate, granted, "permission", "revoke", *variable, "TZ")
            assert await seen(connection) == ["LANG"]
            await run_sync(served.operate, granted, "permission", "reset", "granted")
            assert await seen(connection) == []
    assert went_back(audited(granted))


def test_what_is_loaded_after_the_clock_was_set_back_is_the_later_one(
    tmp_path: Path, clock: WallClock
) -> None:
    # The earlier one of two keeps a tool's name.
    store = tmp_path / "store"
    clock.jump(6)
    answered(store, "component", "load", guests.guest_path("same_name"), env=clock.variables)
    served.load(store, guests.guest_path("add"))
    first, second = (
        msgspec.json.decode((store / f"components/{name}.json").read_bytes())["loaded"]
        for name in ("same_name", "add")
    )
    assert time.time() + 5 * 3600 < first < second
