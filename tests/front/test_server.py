"""The server under the library's own client, in both eras of the protocol."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from structlog.testing import capture_logs

from support.fake_backend import FakeBackend, component, returned, tool
from wassette_supervisor import settings
from wassette_supervisor.errors import BadArgumentsError, BusyError, StoreError, TrappedError
from wassette_supervisor.front import builtin_tools
from wassette_supervisor.front.list_changes import LegacySessions
from wassette_supervisor.front.server import bounds, make_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    from wassette_supervisor.pool.outcome import CallOutcome

pytestmark = pytest.mark.anyio

Era = Literal["auto", "legacy"]
BUILTINS = sorted(builtin_tools.BUILTIN_TOOLS)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What the server's operator is told, and its client not."""
    with capture_logs() as events:
        yield events


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    era: Era = request.param
    return era


def client(backend: FakeBackend, era: Era, **flags: object) -> Client:
    return Client(make_server(settings.load(flags, {"HOME": "/home/op"}), backend), mode=era)


def backend_with(value: dict[str, Any], *, failed: bool = False, output: str = "") -> FakeBackend:
    backend = FakeBackend(component("one", tool("answer")))

    async def answer(_: Mapping[str, Any]) -> CallOutcome:
        return returned(value, failed=failed, output=output)

    backend.functions["answer"] = answer
    return backend


def backend_raising(error: Exception) -> FakeBackend:
    backend = FakeBackend(component("one", tool("answer")))

    async def fail(_: Mapping[str, Any]) -> CallOutcome:
        raise error

    backend.functions["answer"] = fail
    return backend


def text(result: types.CallToolResult) -> str:
    [block] = result.content
    assert isinstance(block, types.TextContent)
    return block.text


# --- the list -------------------------------------------------------------------------------


async def test_the_list_has_built_in_tools_first_and_each_part_by_name(era: Era) -> None:
    backend = FakeBackend(component("two", tool("b")), component("one", tool("c"), tool("a")))
    async with client(backend, era) as connection:
        listed = await connection.list_tools()
    assert [tool.name for tool in listed.tools] == [*BUILTINS, "a", "b", "c"]


async def test_a_tool_is_listed_with_its_schemas_and_what_it_may_do(era: Era) -> None:
    schema = {"type": "object", "properties": {"result": {"type": "integer"}}}
    backend = FakeBackend(component("one", tool("answer", output_schema=schema)))
    async with client(backend, era, disable_builtin_tools=True) as connection:
        [listed] = (await connection.list_tools()).tools
    assert listed.description == "Does answer."
    assert listed.output_schema == schema
    assert listed.input_schema["additionalProperties"] is True
    assert listed.annotations == types.ToolAnnotations(
        read_only_hint=True, destructive_hint=False, open_world_hint=False
    )


async def test_pages_give_each_tool_once_though_the_list_changes_between_them(era: Era) -> None:
    names = [f"t{number:03}" for number in range(250)]
    backend = FakeBackend(*(component(name, tool(name)) for name in names))
    async with client(backend, era, disable_builtin_tools=True) as connection:
        first = await connection.list_tools()
        assert first.tools[-1].name == "t099"
        await backend.unload(backend.catalog()["t099"][0].id)
        backend.put(component("t000x", tool("t000x")))
        second = await connection.list_tools(cursor=first.next_cursor)
        third = await connection.list_tools(cursor=second.next_cursor)
    assert third.next_cursor is None
    got = [tool.name for page in (first, second, third) for tool in page.tools]
    assert got == names


@pytest.mark.parametrize("cursor", ["100", "!!!", "eA==", "////", "ÿ", "Yv8="])
async def test_a_cursor_that_is_not_ours_is_an_invalid_parameter(era: Era, cursor: str) -> None:
    async with client(FakeBackend(), era) as connection:
        with pytest.raises(MCPError) as caught:
            await connection.list_tools(cursor=cursor)
    assert caught.value.error.code == types.INVALID_PARAMS


async def test_a_list_that_fails_does_not_tell_the_client_why(era: Era) -> None:
    class Broken(FakeBackend):
        def catalog(self) -> Any:
            raise RuntimeError("a secret")

    async with client(Broken(), era) as connection:
        with pytest.raises(MCPError) as caught:
            await connection.list_tools()
    assert caught.value.error.code == types.INTERNAL_ERROR
    assert caught.value.error.message == "internal error"


async def test_a_store_that_cannot_be_read_is_said_so(era: Era) -> None:
    class Unreadable(FakeBackend):
        def catalog(self) -> Any:
            raise StoreError("the store can't be read")

    async with client(Unreadable(), era) as connection:
        with pytest.raises(MCPError, match="the store can't be read"):
            await connection.list_tools()


# --- calls ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("plain", "plain", id="a string has no quotes"),
        pytest.param({"a": [1, None]}, '{"a":[1,null]}', id="the rest is compact JSON"),
        pytest.param(None, "null", id="an absent option"),
        pytest.param("", "", id="an empty string"),
    ],
)
async def test_a_value_comes_structured_and_as_text(era: Era, value: object, shown: str) -> None:
    async with client(backend_with({"result": value}), era) as connection:
        result = await connection.call_tool("answer", {})
    assert not result.is_error
    assert result.structured_content == {"result": value}
    assert text(result) == shown


async def test_a_function_without_a_result_gives_neither(era: Era) -> None:
    async with client(backend_with({}), era) as connection:
        result = await connection.call_tool("answer")
    assert not result.is_error
    assert result.content == []
    assert result.structured_content is None


async def test_a_functions_own_error_is_an_error_whose_text_is_json(era: Era) -> None:
    async with client(backend_with({"result": "no such city"}, failed=True), era) as connection:
        result = await connection.call_tool("answer", {})
    assert result.is_error
    assert text(result) == '"no such city"'
    assert result.structured_content is None


async def test_a_result_says_what_the_call_used_and_what_the_guest_wrote(era: Era) -> None:
    async with client(backend_with({"result": 1}, output="hello\n"), era) as connection:
        result = await connection.call_tool("answer", {})
    assert result.meta is not None
    assert result.meta["wassette-supervisor/output"] == "hello\n"
    assert result.meta["wassette-supervisor/usage"] == {
        "fuel": 7,
        "peak_memory": 1 << 20,
        "wall_us": 10,
        "queue_us": 4,
        "instantiate_us": 1,
        "convert_us": 2,
        "call_us": 3,
        "refusals": 0,
    }


async def test_an_unknown_tool_is_an_invalid_parameter(era: Era) -> None:
    async with client(FakeBackend(), era) as connection:
        with pytest.raises(MCPError, match="no tool is called 'nothing'") as caught:
            await connection.call_tool("nothing", {})
    assert caught.value.error.code == types.INVALID_PARAMS


@pytest.mark.parametrize(
    "error",
    [
        BusyError(4, 16),
        BadArgumentsError("/a", "a number", "a string"),
        TrappedError("unreachable"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_call_that_ended_without_a_result_says_why(era: Era, error: Exception) -> None:
    async with client(backend_raising(error), era) as connection:
        result = await connection.call_tool("answer", {})
    assert result.is_error
    assert text(result) == str(error)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("a secret"), ExceptionGroup("a secret", [ValueError("a secret")])],
    ids=["plain", "group"],
)
async def test_an_error_of_our_own_goes_to_the_log_and_not_to_the_client(
    era: Era, error: Exception, logged: list[MutableMapping[str, Any]]
) -> None:
    async with client(backend_raising(error), era) as connection:
        result = await connection.call_tool("answer", {})
    assert result.is_error
    assert text(result).startswith("internal error")
    assert "secret" not in text(result)
    assert [event["event"] for event in logged] == ["front.call_failed"]


async def test_a_result_too_deep_to_be_written_does_not_leak_or_end_the_server(era: Era) -> None:
    deep: list[Any] = []
    for _ in range(400):
        deep = [deep]
    async with client(backend_with({"result": deep}), era) as connection:
        with pytest.raises(MCPError) as caught:
            await connection.call_tool("answer", {})
        assert caught.value.error.code == types.INTERNAL_ERROR
        assert caught.value.error.message == "internal error"
        assert (await connection.list_tools()).tools


async def test_a_request_that_the_client_gives_up_is_cancelled(era: Era) -> None:
    began, ended = anyio.Event(), anyio.Event()

    async def hang(_: Mapping[str, Any]) -> CallOutcome:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        raise AssertionError

    backend = FakeBackend(component("one", tool("answer")))
    backend.functions["answer"] = hang
    with anyio.fail_after(10):
        async with client(backend, era) as connection, anyio.create_task_group() as tasks:
            tasks.start_soon(connection.call_tool, "answer", {})
            await began.wait()
            tasks.cancel_scope.cancel()
        await ended.wait()


# --- changes --------------------------------------------------------------------------------


async def test_a_client_of_the_older_era_is_told_that_the_list_changed() -> None:
    told = anyio.Event()

    async def receive(message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            told.set()

    backend = FakeBackend()
    server = make_server(settings.load({}, {"HOME": "/home/op"}), backend)
    with anyio.fail_after(10):
        async with Client(server, mode="legacy", message_handler=receive) as connection:
            capabilities = connection.server_capabilities
            assert capabilities is not None
            assert capabilities.tools == types.ToolsCapability(list_changed=True)
            await connection.list_tools()
            backend.put(component("one", tool("new")))
            await told.wait()


async def test_a_client_that_listens_is_told_that_the_list_changed() -> None:
    backend = FakeBackend()
    with anyio.fail_after(10):
        async with client(backend, "auto") as connection:
            async with connection.listen(tools_list_changed=True) as events:
                backend.put(component("one", tool("new")))
                async for _ in events:
                    break
            names = [tool.name for tool in (await connection.list_tools()).tools]
    assert names == [*BUILTINS, "new"]


class Session:
    """A connection of the older era, whose client reads when it is let."""

    def __init__(self) -> None:
        self.client_params = object()
        self.asked = anyio.Event()
        self.told = 0
        self.reads = anyio.Event()

    async def send_tool_list_changed(self) -> None:
        self.asked.set()
        await self.reads.wait()
        self.told += 1


async def test_a_client_that_does_not_read_keeps_nobody_waiting() -> None:
    stuck, reader = Session(), Session()
    reader.reads.set()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            sessions = LegacySessions(tasks)
            for session in (stuck, reader, stuck):
                sessions.remember(session)  # type: ignore[arg-type] # the part that is used
            assert len(sessions) == 2
            for _ in range(100):
                sessions.announce()
            await stuck.asked.wait()
            await reader.asked.wait()
            await anyio.wait_all_tasks_blocked()
            assert (stuck.told, reader.told) == (0, 1)
            sessions.announce()
            stuck.reads.set()
            await anyio.wait_all_tasks_blocked()
            assert (stuck.told, reader.told) == (2, 2)
            tasks.cancel_scope.cancel()


async def test_of_many_connections_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wassette_supervisor.front.list_changes.MAX_SESSIONS", 2)
    known = [Session() for _ in range(3)]
    for session in known:
        session.reads.set()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            sessions = LegacySessions(tasks)
            for session in known:
                sessions.remember(session)  # type: ignore[arg-type] # the part that is used
            sessions.announce()
            await anyio.wait_all_tasks_blocked()
            assert [session.told for session in known] == [0, 1, 1]
            tasks.cancel_scope.cancel()


# --- built-in tools -------------------------------------------------------------------------


async def test_load_component_loads_and_reports_each_stage(era: Era) -> None:
    backend = FakeBackend()
    backend.files["file:///new.wasm"] = component("new", tool("answer"))
    stages: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        assert progress == len(stages) + 1
        assert total is None
        stages.append(message)

    async with client(backend, era, approve="allow") as connection:
        arguments = {"path": "file:///new.wasm"}
        first = await connection.call_tool(
            "load-component", arguments, progress_callback=on_progress
        )
        again = await connection.call_tool("load-component", arguments)
    expected = {"status": "component loaded successfully", "id": "new", "tools": ["answer"]}
    assert first.structured_content == expected
    assert json.loads(text(first)) == expected
    assert again.structured_content["status"] == "component reloaded successfully"
    assert stages == ["reading", "storing"]


async def test_a_load_that_fails_says_why(era: Era) -> None:
    async with client(FakeBackend(), era, approve="allow") as connection:
        result = await connection.call_tool("load-component", {"path": "file:///none.wasm"})
    assert result.is_error
    assert text(result) == "file:///none.wasm: there is no such file"


@pytest.mark.parametrize("approve", ["ask", "deny"])
async def test_without_approval_nothing_is_loaded_and_the_command_is_given(
    era: Era, approve: str
) -> None:
    backend = FakeBackend()
    backend.files["file:///it's ü.wasm"] = component("new", tool("answer"))
    async with client(
        backend, era, approve=approve, component_dir="/home/op/.local/share/wassette-supervisor"
    ) as connection:
        arguments = {"path": "file:///it's ü.wasm", "name": "mine"}
        result = await connection.call_tool("load-component", arguments)
    assert result.is_error
    assert backend.records() == {}
    assert "wassette-supervisor component load" in text(result)
    assert """'file:///it'"'"'s%20%C3%BC.wasm' --name mine""" in text(result)


async def test_a_command_names_the_store_that_is_in_use(
    era: Era, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/op")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    for flags, ending in (
        ({}, "component unload old"),
        ({"component_dir": "/srv/x"}, "component unload old --component-dir /srv/x"),
    ):
        async with client(FakeBackend(component("old")), era, **flags) as connection:
            result = await connection.call_tool("unload-component", {"id": "old"})
        assert result.is_error
        assert text(result).endswith(f"wassette-supervisor {ending}")


async def test_half_of_a_long_reference_is_never_shown_as_a_command(era: Era) -> None:
    async with client(FakeBackend(), era) as connection:
        path = "file:///" + "x" * 300
        result = await connection.call_tool("load-component", {"path": path})
    assert "xx" not in text(result)
    assert "too long" in text(result)


async def test_unload_component_unloads(era: Era) -> None:
    backend = FakeBackend(component("old", tool("answer")))
    async with client(backend, era, approve="allow") as connection:
        gone = await connection.call_tool("unload-component", {"id": "old"})
        unknown = await connection.call_tool("unload-component", {"id": "old"})
    assert gone.structured_content == {
        "status": "component unloaded successfully",
        "id": "old",
    }
    assert backend.records() == {}
    assert unknown.is_error
    assert "no component is called 'old'" in text(unknown)


async def test_list_components_lists_what_is_loaded_and_what_is_damaged(era: Era) -> None:
    backend = FakeBackend(component("one", tool("b"), tool("a")))
    async with client(backend, era) as connection:
        whole = await connection.call_tool("list-components", {})
        backend.broken["two"] = "not a record"
        damaged = await connection.call_tool("list-components", {})
    shown = {
        "id": "one",
        "tools_count": 2,
        "digest": "ab" * 32,
        "source": "file:///one.wasm",
        "tools": ["b", "a"],
        "state": "ready",
    }
    assert whole.structured_content == {"components": [shown], "total": 1}
    assert damaged.structured_content["damaged"] == [{"name": "two", "reason": "not a record"}]


async def test_call_tool_calls_a_components_tool(era: Era) -> None:
    async with client(backend_with({"result": "yes"}), era) as connection:
        result = await connection.call_tool("call-tool", {"name": "answer", "arguments": {}})
        unknown = await connection.call_tool("call-tool", {"name": "nothing"})
    assert result.structured_content == {"result": "yes"}
    assert unknown.is_error
    assert "no tool is called 'nothing'" in text(unknown)


@pytest.mark.parametrize("name", BUILTINS)
async def test_call_tool_calls_no_built_in_tool(era: Era, name: str) -> None:
    async with client(FakeBackend(), era, approve="allow") as connection:
        result = await connection.call_tool("call-tool", {"name": name, "arguments": {}})
    assert result.is_error
    assert "components only" in text(result)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("load-component", {}, "required field `path`"),
        ("load-component", {"path": "oci://x"}, "file://"),
        ("load-component", {"path": "file:///x", "extra": 1}, "unknown field `extra`"),
        ("load-component", {"path": "file:///x", "name": "../x"}, "$.name"),
        ("load-component", {"path": "file:///x", "name": "x\n"}, "$.name"),
        ("unload-component", {"id": 7}, "$.id"),
        ("list-components", {"all": True}, "unknown field `all`"),
        ("call-tool", {"name": "answer", "arguments": []}, "$.arguments"),
    ],
)
async def test_arguments_of_a_built_in_tool_are_taken_strictly(
    era: Era, name: str, arguments: dict[str, Any], said: str
) -> None:
    async with client(FakeBackend(), era, approve="allow") as connection:
        result = await connection.call_tool(name, arguments)
    assert result.is_error
    assert said in text(result)


async def test_disabled_built_in_tools_are_neither_listed_nor_known(era: Era) -> None:
    async with client(FakeBackend(), era, disable_builtin_tools=True) as connection:
        assert (await connection.list_tools()).tools == []
        for name in BUILTINS:
            with pytest.raises(MCPError) as caught:
                await connection.call_tool(name, {})
            assert caught.value.error.code == types.INVALID_PARAMS


async def test_no_built_in_tool_claims_to_be_idempotent() -> None:
    assert list(builtin_tools.BUILTIN_TOOLS) != []
    for built_in in builtin_tools.BUILTIN_TOOLS.values():
        assert built_in.annotations.idempotent_hint is None
    worst = builtin_tools.BUILTIN_TOOLS["call-tool"].annotations
    assert (worst.read_only_hint, worst.destructive_hint, worst.open_world_hint) == (
        False,
        True,
        True,
    )


def test_a_line_has_room_for_the_largest_arguments() -> None:
    home = {"HOME": "/home/op"}
    assert bounds(settings.load({}, home)).line == 9 << 20
    assert bounds(settings.load({"limit": ["arguments=1Ki"]}, home)).line == 8 << 20
    assert bounds(settings.load({"limit": ["arguments=16Mi"]}, home)).line == 33 << 20
