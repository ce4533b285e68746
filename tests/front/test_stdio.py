"""The transport under a real server of the library, against clients of all manners."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import socket
import subprocess
import sys
import tty
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import mcp_types as types
import pytest
from mcp import Client, StdioServerParameters, stdio_client

from support import stdio_echo_server
from wassette_supervisor.front.messages import Bounds
from wassette_supervisor.front.stdio import serve_descriptors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

SCRIPT = Path(stdio_echo_server.__file__)
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}
Wires = tuple[int, int, int, int]  # the server's two ends, then the client's two


def pipes() -> Wires:
    incoming, to_server = os.pipe()
    from_server, outgoing = os.pipe()
    return incoming, outgoing, from_server, to_server


def sockets() -> Wires:
    ours, theirs = socket.socketpair()
    fds = (ours.detach(), theirs.detach())
    return fds[0], os.dup(fds[0]), fds[1], os.dup(fds[1])


def terminals() -> Wires:
    theirs, ours = pty.openpty()
    tty.setraw(ours)
    return ours, os.dup(ours), theirs, os.dup(theirs)


class RawClient:
    """Speaks bytes, so that it can also speak nonsense."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self.incoming = incoming
        self.outgoing = outgoing
        self._buffer = b""

    async def send(self, data: bytes) -> None:
        while data:
            await anyio.wait_writable(self.outgoing)
            data = data[os.write(self.outgoing, data[:4096]) :]

    async def request(self, name: str, request_id: int | str, **arguments: object) -> None:
        await self.send(call(name, request_id, **arguments))

    async def receive(self) -> dict[str, Any]:
        with anyio.fail_after(20):
            while b"\n" not in self._buffer:
                await anyio.wait_readable(self.incoming)
                data = os.read(self.incoming, 1 << 20)
                assert data, "the server is gone"
                self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    async def answers(self, text: str, request_id: int) -> bool:
        """Whether the next message answers a call made now."""
        await self.request("echo", request_id, text=text)
        return content(await self.receive()) == (request_id, text)


def call(name: str, request_id: int | str, **arguments: object) -> bytes:
    params = {"name": name, "arguments": arguments, "_meta": META}
    request = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
    return json.dumps(request).encode() + b"\n"


def content(message: dict[str, Any]) -> tuple[int | str, str]:
    return message["id"], message["result"]["content"][0]["text"]


def error(message: dict[str, Any]) -> tuple[int, int | str | None]:
    return message["error"]["code"], message["id"]


@asynccontextmanager
async def served(
    open_wires: Callable[[], Wires] = pipes, bounds: Bounds | None = None
) -> AsyncIterator[tuple[RawClient, anyio.Event]]:
    """Yield a client, and the event that its server ended by itself."""
    incoming, outgoing, *clients = open_wires()
    ended = anyio.Event()
    server = stdio_echo_server.make_server()

    async def serve() -> None:
        async with serve_descriptors(incoming, outgoing, bounds or Bounds()) as streams:
            await server.run(*streams, server.create_initialization_options())
        ended.set()

    with closing_all(incoming, outgoing, *clients):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            yield RawClient(*clients), ended
            tasks.cancel_scope.cancel()


@contextmanager
def closing_all(*descriptors: int) -> Iterator[None]:
    try:
        yield
    finally:
        for descriptor in descriptors:
            try:
                os.close(descriptor)
            except OSError:
                continue  # the test closed it


@pytest.mark.parametrize("open_wires", [pipes, sockets, terminals])
async def test_a_call_is_answered_and_no_descriptor_becomes_non_blocking(
    open_wires: Callable[[], Wires],
) -> None:
    async with served(open_wires) as (client, _):
        assert await client.answers("héllo\n", 1)
        assert not fcntl.fcntl(client.incoming, fcntl.F_GETFL) & os.O_NONBLOCK


@pytest.mark.parametrize(
    ("line", "code", "request_id"),
    [
        (b"garbage", types.PARSE_ERROR, None),
        (b'{"jsonrpc":"2.0","id":5,"method":"pi\xffng"}', types.PARSE_ERROR, 5),
        (b"\xff\xfe\x00", types.PARSE_ERROR, None),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":NaN}}', types.PARSE_ERROR, None),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":1e999}}', types.PARSE_ERROR, 5),
        (b"5", types.INVALID_REQUEST, None),
        (b"null", types.INVALID_REQUEST, None),
        (b'[{"jsonrpc":"2.0","id":5,"method":"ping"}]', types.INVALID_REQUEST, None),
        (b"{}", types.INVALID_REQUEST, None),
        (b'{"id":"q","method":"ping"}', types.INVALID_REQUEST, "q"),
        (b'{"jsonrpc":"1.0","id":5,"method":"ping"}', types.INVALID_REQUEST, 5),
        (b'{"jsonrpc":"2.0","id":5,"method":7}', types.INVALID_REQUEST, 5),
        (b'{"jsonrpc":"2.0","id":5,"method":"ping","params":[1]}', types.INVALID_REQUEST, 5),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', types.INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', types.INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', types.INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":5,"result":7}', types.INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":5,"error":{}}', types.INVALID_REQUEST, None),
        (b'{"id":5,"method":"x","a":[' + b"[]," * 100_000 + b"1]}", types.INVALID_REQUEST, 5),
        (b"[" * 1_000_000, types.INVALID_REQUEST, None),
        (b'{"id":5,"method":"x","a":' + b"[" * 200 + b"]" * 200 + b"}", types.INVALID_REQUEST, 5),
        (b"x" * 2_000_000, types.INVALID_REQUEST, None),
    ],
    ids=lambda value: value[:50] if isinstance(value, bytes) else str(value),
)
async def test_a_line_that_cannot_be_taken_is_answered_once_and_the_next_call_works(
    line: bytes, code: int, request_id: int | str | None
) -> None:
    bounds = Bounds(line=1 << 20, nodes=50_000)
    async with served(bounds=bounds) as (client, _):
        await client.send(line + b"\n")
        assert error(await client.receive()) == (code, request_id)
        assert await client.answers("still here", 6)


async def test_a_line_may_be_as_long_as_the_cap_and_not_a_byte_longer() -> None:
    line = call("echo", 1, text="x" * 1000)
    for cap, taken in [(len(line) - 1, True), (len(line) - 2, False)]:
        async with served(bounds=Bounds(line=cap)) as (client, _):
            await client.send(line)
            assert ("result" in await client.receive()) is taken


async def test_blank_lines_are_ignored_and_carriage_returns_accepted() -> None:
    async with served() as (client, _):
        await client.send(b"\n\r\n  \n" + call("echo", 1, text="a").replace(b"\n", b"\r\n"))
        assert content(await client.receive()) == (1, "a")


@pytest.mark.parametrize("open_wires", [pipes, sockets])
async def test_a_thousand_requests_at_once_are_all_answered(
    open_wires: Callable[[], Wires],
) -> None:
    async with served(open_wires) as (client, _), anyio.create_task_group() as tasks:
        lines = b"".join(call("echo", number, text=str(number)) for number in range(1000))
        tasks.start_soon(client.send, lines)
        answers = [content(await client.receive()) for _ in range(1000)]
        assert sorted(answers) == [(number, str(number)) for number in range(1000)]


@pytest.mark.parametrize("open_wires", [pipes, sockets])
async def test_a_client_that_does_not_read_does_not_hold_up_another(
    open_wires: Callable[[], Wires],
) -> None:
    async with served(open_wires) as (deaf, _), served(open_wires) as (client, _):
        await deaf.request("fill", 1, bytes=4 << 20)
        await anyio.wait_readable(deaf.incoming)
        assert await client.answers("hello", 1)
        assert len(content(await deaf.receive())[1]) == 4 << 20


async def test_the_end_of_input_ends_the_server_and_what_it_was_doing() -> None:
    async with served() as (client, ended):
        await client.request("wait", 1)
        assert await client.answers("hello", 2)
        os.close(client.outgoing)
        with anyio.fail_after(5):
            await ended.wait()
        assert error(await client.receive())[1] == 1


async def test_the_end_of_input_ends_the_server_even_if_the_client_does_not_read() -> None:
    async with served() as (client, ended):
        await client.request("fill", 1, bytes=4 << 20)
        await anyio.wait_readable(client.incoming)
        os.close(client.outgoing)
        with anyio.fail_after(10):
            await ended.wait()


@pytest.mark.parametrize("open_wires", [pipes, sockets])
async def test_a_client_that_closes_its_end_while_it_is_written_to_ends_the_server(
    open_wires: Callable[[], Wires],
) -> None:
    async with served(open_wires) as (client, ended):
        await client.request("fill", 1, bytes=4 << 20)
        await anyio.wait_readable(client.incoming)
        os.close(client.incoming)
        if open_wires is sockets:
            os.close(client.outgoing)
        with anyio.fail_after(5):
            await ended.wait()


async def test_a_request_beyond_the_count_is_busy_until_another_is_answered_or_cancelled() -> None:
    async with served(bounds=Bounds(inflight=2)) as (client, _):
        await client.request("wait", 1)
        await client.request("wait", 2)
        await client.request("echo", 3, text="a")
        busy = await client.receive()
        assert error(busy) == (-32000, 3)
        assert busy["error"]["message"].startswith("busy: ")
        await cancel(client, 1)
        await until_answered(client, 4)
        assert await client.answers("an answered request makes room", 5)


async def test_a_request_beyond_the_bytes_is_busy() -> None:
    async with served(bounds=Bounds(inflight_bytes=1000)) as (client, _):
        await client.request("wait", 1)
        await client.request("echo", 2, text="x" * 1000)
        assert error(await client.receive()) == (-32000, 2)
        assert await client.answers("a small one fits", 3)


@pytest.mark.parametrize("second", [7, "7"])
async def test_an_id_that_is_in_flight_is_refused_and_the_first_request_keeps_it(
    second: int | str,
) -> None:
    async with served(bounds=Bounds(inflight=1)) as (client, _):
        await client.request("wait", 7)
        await client.request("echo", second, text="a")
        assert error(await client.receive()) == (types.INVALID_REQUEST, second)
        await client.request("echo", 8, text="a")
        assert error(await client.receive()) == (-32000, 8), "the refusal settled nothing"


async def test_a_cancelled_request_is_never_answered_on_a_legacy_connection_either() -> None:
    async with served(bounds=Bounds(inflight=1)) as (client, _):
        params = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        }
        await client.send(message(id=0, method="initialize", params=params))
        assert (await client.receive())["result"]["protocolVersion"] == "2025-11-25"
        await client.send(message(method="notifications/initialized"))
        await client.send(message(id="a", method="tools/call", params={"name": "wait"}))
        await cancel(client, "a")
        await client.send(message(id="a", method="ping"))
        answer = await client.receive()
        while "error" in answer:  # the cancelled call is still ending
            assert error(answer) == (types.INVALID_REQUEST, "a")
            await client.send(message(id="a", method="ping"))
            answer = await client.receive()
        assert answer == {"jsonrpc": "2.0", "id": "a", "result": {}}


def message(**members: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode() + b"\n"


async def cancel(client: RawClient, request_id: int | str) -> None:
    await client.send(message(method="notifications/cancelled", params={"requestId": request_id}))


async def until_answered(client: RawClient, request_id: int) -> None:
    """Ask again while the server is busy: a cancelled call takes a moment to end."""
    answer: dict[str, Any] = {"error": {"code": -32000}}
    while "error" in answer:
        assert answer["error"]["code"] == -32000
        await client.request("echo", request_id, text="a")
        answer = await client.receive()


async def test_a_result_that_cannot_be_written_is_an_error_of_its_request() -> None:
    async with served() as (client, _):
        await client.request("surrogate", 1)
        assert error(await client.receive()) == (types.INTERNAL_ERROR, 1)
        assert await client.answers("hello", 2)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_librarys_client_is_served_while_stray_output_goes_to_standard_error(
    mode: Literal["auto", "legacy"], tmp_path: Path
) -> None:
    parameters = StdioServerParameters(command=sys.executable, args=[str(SCRIPT)])
    with (tmp_path / "stderr").open("w+", encoding="utf-8") as stderr, anyio.fail_after(30):
        async with Client(stdio_client(parameters, errlog=stderr), mode=mode) as client:
            tools = await client.list_tools()
            assert [tool.name for tool in tools.tools] == stdio_echo_server.TOOLS
            result = await client.call_tool("print", {})
            text = "read b'', the child's read failed: True"
            assert result.content == [types.TextContent(type="text", text=text)]
            result = await client.call_tool("fill", {"bytes": 3 << 20})
            assert len(result.content) == 1
        printed = (tmp_path / "stderr").read_text(encoding="utf-8")
    for stray in ["stray text of a library", "stays in the buffer", "stray bytes", "a child"]:
        assert stray in printed


def test_a_line_of_64_megabytes_is_refused_and_not_held_in_memory() -> None:
    with running(stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b"x\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["error"]["code"] == types.PARSE_ERROR
        before = peak_memory(process.pid)
        process.stdin.write(b"x" * 64_000_000 + b"\n")
        process.stdin.flush()
        refused = json.loads(process.stdout.readline())
        assert refused["error"]["message"] == "message of more than 8388608 bytes"
        assert error(refused) == (types.INVALID_REQUEST, None)
        assert peak_memory(process.pid) - before < 32_000_000


def test_regular_files_and_a_missing_newline_at_the_end_will_do(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x\ny")
    with (
        (tmp_path / "in").open("rb") as stdin,
        (tmp_path / "out").open("wb") as stdout,
        running(stdin=stdin, stdout=stdout),
    ):
        pass
    answers = (tmp_path / "out").read_bytes().splitlines()
    assert [json.loads(answer)["error"]["code"] for answer in answers] == [types.PARSE_ERROR] * 2


@pytest.mark.parametrize(("closed", "name"), [("0<&-", "input"), ("1>&-", "output")])
def test_a_closed_descriptor_is_one_clear_line(closed: str, name: str) -> None:
    command = ["sh", "-c", f'exec "$0" "$1" {closed}', sys.executable, str(SCRIPT)]
    ended = subprocess.run(  # noqa: S603 - our own script
        command, capture_output=True, timeout=30, check=False, text=True
    )
    assert ended.returncode == 1
    assert re.fullmatch(rf"error: standard {name} is closed; .*\n", ended.stderr)


@contextmanager
def running(**streams: Any) -> Iterator[Any]:
    command = [sys.executable, str(SCRIPT)]
    with subprocess.Popen(command, **streams) as process:  # noqa: S603 - our own script
        yield process
        if process.stdin is not None:
            process.stdin.close()
        assert process.wait(timeout=30) == 0


def peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024
