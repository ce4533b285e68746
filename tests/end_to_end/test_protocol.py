"""What clients of both eras of the protocol see of the real server."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
import pytest
from anyio.to_thread import run_sync
from mcp.shared.exceptions import MCPError

from support import guests, served
from support.served import ANSWER_S, text
from wassette_supervisor.front import builtin_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from mcp import Client

    from support.served import Era

pytestmark = pytest.mark.anyio

BUILTINS = sorted(builtin_tools.BUILTIN_TOOLS)
USAGE = "wassette-supervisor/usage"
OUTPUT = "wassette-supervisor/output"
LONGEST_NAME = 64


@pytest.fixture(scope="module", params=["auto", "legacy"])
async def either(
    store: Path, request: pytest.FixtureRequest, anyio_backend: str
) -> AsyncIterator[Client]:
    """A client of each era in turn, for tests that change nothing."""
    del anyio_backend  # that it has this scope is enough
    async with served.client(store, era=request.param) as connection:
        yield connection


@pytest.fixture(scope="module")
async def modern(store: Path) -> AsyncIterator[Client]:
    async with served.client(store) as connection:
        yield connection


async def call(connection: Client, tool: str, **arguments: Any) -> types.CallToolResult:
    with anyio.fail_after(ANSWER_S):
        return await connection.call_tool(tool, arguments)


async def tools(connection: Client) -> dict[str, types.Tool]:
    with anyio.fail_after(ANSWER_S):
        listed = await connection.list_tools(cache_mode="bypass")
    return {tool.name: tool for tool in listed.tools}


# --- the list -------------------------------------------------------------------------------


async def test_two_servers_list_the_same_tools_in_the_same_order(
    store: Path, modern: Client
) -> None:
    lists = [list(await tools(modern)), list(await tools(modern))]
    async with served.client(store, era="legacy") as connection:
        lists.append(list(await tools(connection)))
    assert all(names == lists[0] for names in lists)
    assert lists[0][: len(BUILTINS)] == BUILTINS
    assert lists[0][len(BUILTINS) :] == sorted(lists[0][len(BUILTINS) :])


async def test_more_than_100_tools_come_in_pages_each_once(tmp_path: Path, era: Era) -> None:
    file = served.write_component(tmp_path / "many.wasm", served.many_exports(230))
    await run_sync(served.load, tmp_path / "store", file)
    pages: list[list[str]] = []
    async with served.client(tmp_path / "store", era=era) as connection:
        cursor = None
        with anyio.fail_after(ANSWER_S):
            while True:
                page = await connection.list_tools(cursor=cursor)
                pages.append([tool.name for tool in page.tools])
                cursor = page.next_cursor
                if cursor is None:
                    break
        last = await call(connection, "t229")
    assert [len(page) for page in pages] == [100, 100, 30 + len(BUILTINS)]
    assert list(itertools.chain(*pages)) == [*BUILTINS, *(f"t{n:03}" for n in range(230))]
    assert last.structured_content == {"result": 229}


async def test_a_tool_has_schemas_and_its_result_is_structured_and_text(either: Client) -> None:
    add = (await tools(either))["add"]
    result = await call(either, "add", a=2, b=3)
    assert add.input_schema["required"] == ["a", "b"]
    assert add.output_schema is not None
    assert add.output_schema["properties"]["result"]["type"] == "integer"
    assert result.structured_content == {"result": 5}
    assert text(result) == "5"
    assert not result.is_error


async def test_a_description_is_what_the_interface_says_of_the_function(modern: Client) -> None:
    listed = await tools(modern)
    assert listed["fib"].description == "The n-th Fibonacci number, computed the slow way."


@pytest.mark.parametrize(
    ("tool", "arguments", "answer"),
    [
        pytest.param("add", {"a": 7, "b": 5}, 12, id="the first of two has the name"),
        pytest.param("same_name_add", {"a": 7, "b": 5}, 2, id="the second its id in front"),
        pytest.param("first_run", {}, 1, id="of one interface"),
        pytest.param("second_run", {}, 2, id="and of the other"),
        pytest.param("builtin_name_load-component", {}, 42, id="spelled like a built-in tool"),
        pytest.param("builtin_name_list-components", {}, 42, id="and like another"),
        pytest.param("answer", {}, 42, id="beside an export that is no tool"),
    ],
)
async def test_a_name_means_one_function(
    modern: Client, tool: str, arguments: dict[str, int], answer: int
) -> None:
    assert tool in await tools(modern)
    result = await call(modern, tool, **arguments)
    assert result.structured_content == {"result": answer}


async def test_a_built_in_tool_is_not_replaced_by_an_export_of_its_name(either: Client) -> None:
    result = await call(either, "list-components")
    assert result.structured_content is not None
    listed = {component["id"] for component in result.structured_content["components"]}
    assert {"add", "same_name", "builtin_name"} <= listed


async def test_a_name_too_long_for_clients_is_cut_and_still_its_function(modern: Client) -> None:
    listed = await tools(modern)
    [name] = [name for name in listed if name.startswith("a-very-")]
    result = await call(modern, name)
    assert all(len(name) <= LONGEST_NAME for name in listed)
    assert result.structured_content == {"result": 42}


# --- calls ----------------------------------------------------------------------------------


async def test_an_unknown_tool_is_an_invalid_parameter(either: Client) -> None:
    with pytest.raises(MCPError, match="no-such-tool") as caught:
        await call(either, "no-such-tool")
    assert caught.value.error.code == types.INVALID_PARAMS
    assert (await call(either, "add", a=2, b=3)).structured_content == {"result": 5}


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        pytest.param({"a": 1, "b": -1}, "/b", id="out of range"),
        pytest.param({"a": "1", "b": 1}, "/a", id="of another type"),
        pytest.param({"a": 1.5, "b": 1}, "/a", id="a fraction"),
        pytest.param({"a": 1}, "b", id="missing"),
        pytest.param({"a": 1, "b": 1, "c": 1}, "c", id="too many"),
    ],
)
async def test_bad_arguments_are_an_error_that_points_at_them(
    modern: Client, arguments: dict[str, Any], pointer: str
) -> None:
    result = await call(modern, "add", **arguments)
    assert result.is_error
    assert pointer in text(result)
    assert "correct it and call the tool again" in text(result)


async def test_a_functions_own_error_is_an_error_with_its_value(either: Client) -> None:
    refused = await call(either, "checked-divide", dividend=1, divisor=0)
    divided = await call(either, "checked-divide", dividend=7, divisor=2)
    assert refused.is_error
    assert refused.structured_content is None
    assert "zero" in text(refused)
    assert divided.structured_content == {"result": 3}


async def test_a_trap_is_named_and_the_next_call_works(either: Client) -> None:
    result = await call(either, "trap-oob")
    assert (await call(either, "add", a=2, b=3)).structured_content == {"result": 5}
    assert result.is_error
    assert "out of bounds memory access" in text(result)


@pytest.mark.parametrize(
    ("limit", "tool", "arguments"),
    [
        ("fuel=1000000", "spin", {}),
        ("wall_time=200ms", "sleep-ms", {"milliseconds": 60000}),
        ("output=1000", "say", {"n": 60000}),
        ("memory=16Mi", "grow-until-refused", {}),
        ("arguments=10", "add", {"a": 1, "b": 1}),
    ],
)
async def test_a_limit_that_is_hit_is_named_with_its_value(
    store: Path, limit: str, tool: str, arguments: dict[str, int]
) -> None:
    async with served.client(store, "--limit", limit) as connection:
        result = await call(connection, tool, **arguments)
    assert result.is_error
    assert limit in text(result)


async def test_a_result_tells_what_the_call_used(either: Client) -> None:
    result = await call(either, "fib", n=20)
    assert result.meta is not None
    used = result.meta[USAGE]
    assert used["fuel"] > 10_000
    assert used["peak_memory"] >= 64 << 10
    assert 0 < used["call_us"] <= used["wall_us"] < ANSWER_S * 1_000_000


async def test_what_a_guest_says_is_in_meta_and_never_on_the_protocol_stream(
    store: Path, isolation: str
) -> None:
    async with served.raw(store, "--isolation", isolation) as server:
        await server.call(1, "say", n=60_000)
        # `answer` checks each line of the stream.
        answer = await server.answer(1)
        assert await server.adds(2)
    cut, _, kept = answer["_meta"][OUTPUT].partition("\n")
    assert cut == f"[{60_000 - 4096} earlier bytes are not kept]"
    assert kept == "." * 4096
    assert not answer.get("isError")


# --- changes --------------------------------------------------------------------------------


async def test_a_client_hears_when_the_operator_loads_and_unloads(scratch: Path, era: Era) -> None:
    heard = [anyio.Event(), anyio.Event()]

    def listen(message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            next(event for event in heard if not event.is_set()).set()

    async with served.client(scratch, era=era, on_message=listen) as connection:
        assert "leave" not in await tools(connection)
        async with _listening(connection, era, heard[0]) as wait:
            await run_sync(served.load, scratch, guests.guest_path("exit"))
            await wait()
            assert "leave" in await tools(connection)
        async with _listening(connection, era, heard[1]) as wait:
            await run_sync(served.operate, scratch, "component", "unload", "exit")
            await wait()
            assert "leave" not in await tools(connection)


@asynccontextmanager
async def _listening(
    connection: Client, era: Era, heard: anyio.Event
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Give what waits for one change of the list, by the means of the era."""

    async def notified() -> None:
        with anyio.fail_after(ANSWER_S):
            await heard.wait()

    if era == "legacy":
        yield notified
        return
    async with connection.listen(tools_list_changed=True) as events:

        async def streamed() -> None:
            with anyio.fail_after(ANSWER_S):
                await anext(aiter(events))

        yield streamed


async def test_a_tool_that_was_just_loaded_can_be_called_by_its_name_and_by_call_tool(
    scratch: Path, era: Era
) -> None:
    async with served.client(scratch, era=era) as connection:
        with pytest.raises(MCPError):
            await call(connection, "grow-table")
        await run_sync(served.load, scratch, guests.guest_path("table_grow"))
        through = await call(connection, "call-tool", name="grow-table", arguments={})
        direct = await call(connection, "grow-table")
        await run_sync(served.operate, scratch, "component", "unload", "table_grow")
        gone = await call(connection, "call-tool", name="grow-table", arguments={})
    assert through.structured_content == direct.structured_content
    assert not direct.is_error
    assert gone.is_error
    assert "grow-table" in text(gone)


async def test_a_model_may_load_and_unload_where_the_operator_allows_it(
    scratch: Path, era: Era
) -> None:
    stages: list[str | None] = []

    async def report(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - called by name
        stages.append(message)

    uri = guests.guest_path("exit").as_uri()
    async with served.client(scratch, "--approve", "allow", era=era) as connection:
        with anyio.fail_after(ANSWER_S):
            loaded = await connection.call_tool(
                "load-component", {"path": uri}, progress_callback=report
            )
        assert "leave" in await tools(connection)
        unloaded = await call(connection, "unload-component", id="exit")
        assert "leave" not in await tools(connection)
    assert loaded.structured_content is not None
    assert loaded.structured_content["id"] == "exit"
    assert loaded.structured_content["tools"] == ["leave"]
    assert not unloaded.is_error
    assert {"reading", "storing"} <= set(stages)


async def test_a_model_may_not_load_by_default_and_is_told_the_operators_command(
    scratch: Path, era: Era
) -> None:
    uri = guests.guest_path("exit").as_uri()
    async with served.client(scratch, era=era) as connection:
        loaded = await call(connection, "load-component", path=uri)
        unloaded = await call(connection, "unload-component", id="add")
        listed = await tools(connection)
    assert loaded.is_error
    assert unloaded.is_error
    assert f"wassette-supervisor component load {uri}" in text(loaded)
    assert "wassette-supervisor component unload add" in text(unloaded)
    assert str(scratch) in text(loaded)
    assert "leave" not in listed
    assert "add" in listed


async def test_two_servers_of_one_store_both_serve_what_is_loaded(scratch: Path) -> None:
    async with served.client(scratch) as one, served.client(scratch, era="legacy") as other:
        await run_sync(served.load, scratch, guests.guest_path("table_grow"))
        results = [await call(each, "grow-table") for each in (one, other)]
    assert not any(result.is_error for result in results)
