"""The real server in a process of its own, as its clients and its operator meet it.

Run as a script this is a client that calls a tool, and waits until somebody kills it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import msgspec
import wasmtime
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client, StdioServerParameters, stdio_client

from support import guests
from support.processes import Seen, descendants, named, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    import mcp_types as types
    from anyio.abc import Process
    from mcp.client.session import ElicitationFnT

COMMAND = Path(sys.executable).with_name("wassette-supervisor")
SERVER = "wassette-supervisor"[:15]  # as /proc has it
MAX_LINE_BYTES = 16 << 20

# Python's guest takes ten seconds to compile, on a quiet machine.
LOAD_S = 120
# Of one exchange with a server that may have to start a process for it, on a busy machine.
ANSWER_S = 20

# What ends no call while a test looks at it.
ENDLESS = ["--limit", "fuel=1000000000000000", "--limit", "wall_time=2m"]

Era = Literal["auto", "legacy"]
MODERN = "2026-07-28"
LEGACY = "2025-06-18"

# A variable that the server has.
UNSHARED = "SERVED_UNSHARED"

_HOME = tempfile.gettempdir()


def environment() -> dict[str, str]:
    """An environment in which none of this machine's settings is found."""
    return {
        "HOME": _HOME,
        "PATH": os.environ["PATH"],
        "XDG_CONFIG_HOME": "/nonexistent",
        "XDG_DATA_HOME": "/nonexistent",
        UNSHARED: "not for guests",
    }


# --- the operator ---------------------------------------------------------------------------


def operate(
    store: Path, *words: str | Path, timeout: float = LOAD_S, before: Sequence[str] = ()
) -> subprocess.CompletedProcess[bytes]:
    """Run one command of the command line on a store; `before` is what runs it in turn."""
    return subprocess.run(  # noqa: S603 - our own command
        [*before, COMMAND, *words, "--component-dir", store],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def load(store: Path, file: Path, *options: str) -> dict[str, Any]:
    done = operate(store, "component", "load", file, *options)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=dict[str, Any])


def make_store(store: Path, names: Iterable[str]) -> Path:
    """Load guests into a store, one after the other."""
    for name in names:
        load(store, guests.guest_path(name))
    return store


def copy_of(store: Path, target: Path) -> Path:
    """Another store with the same components; both may be changed."""
    # A file of the store is replaced, never changed; but a lock is one file's, and so is a log.
    own = shutil.ignore_patterns("lock", "audit")
    return Path(shutil.copytree(store, target, copy_function=os.link, ignore=own))


def write_component(file: Path, text: str) -> Path:
    file.write_bytes(wasmtime.wat2wasm(text))
    return file


def many_exports(count: int) -> str:
    """Text of a component with so many functions: `t000` gives 0, and so on."""
    functions = "".join(
        f'(func (export "t{n:03}") (result i32) (i32.const {n}))' for n in range(count)
    )
    lifted = "".join(
        f'(func (export "t{n:03}") (result u32) (canon lift (core func $i "t{n:03}")))'
        for n in range(count)
    )
    return f"(component (core module $m {functions}) (core instance $i (instantiate $m)) {lifted})"


# --- a client of the library ----------------------------------------------------------------


def client(
    store: Path,
    *options: str,
    era: Era = "auto",
    on_message: Callable[[Any], Any] | None = None,
    person: ElicitationFnT | None = None,
    variables: Mapping[str, str] | None = None,
) -> Client:
    """The library's own client, on a server that it starts itself.

    Args:
        store: The server's.
        options: The server's other flags.
        era: Which protocol the client speaks.
        on_message: Told what the server sends on its own.
        person: Who answers its questions; without one the client can't ask.
        variables: In the server's environment, beside those that every test has.
    """

    async def tell(message: Any) -> None:
        if on_message is not None:
            on_message(message)

    parameters = StdioServerParameters(
        command=str(COMMAND),
        args=_arguments(store, options),
        env=environment() | dict(variables or {}),
    )
    return Client(
        stdio_client(parameters), mode=era, message_handler=tell, elicitation_callback=person
    )


def _arguments(store: Path, options: Iterable[str]) -> list[str]:
    return ["run", "--component-dir", str(store), "--log-level", "warning", *options]


def text(result: types.CallToolResult) -> str:
    [block] = result.content
    assert block.type == "text"
    return block.text


# --- a client that may send anything --------------------------------------------------------


class Raw:
    """One server, and the bytes that go to it and come from it."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self.stdin = process.stdin
        self._lines = BufferedByteReceiveStream(process.stdout)

    @property
    def pid(self) -> int:
        return self.process.pid

    async def write(self, data: bytes) -> None:
        with anyio.fail_after(ANSWER_S):
            await self.stdin.send(data)

    async def send(self, method: str, request: int | None = None, **params: Any) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if request is not None:
            message["id"] = request
        await self.write(msgspec.json.encode(message) + b"\n")

    async def call(self, request: int, tool: str, **arguments: Any) -> None:
        await self.send("tools/call", request, name=tool, arguments=arguments)

    async def read(self) -> dict[str, Any]:
        """The next line; that it is JSON, and of the protocol, is checked here."""
        with anyio.fail_after(ANSWER_S):
            line = await self._lines.receive_until(b"\n", MAX_LINE_BYTES)
        message = msgspec.json.decode(line, type=dict[str, Any])
        assert message["jsonrpc"] == "2.0"
        return message

    async def answer(self, request: int) -> dict[str, Any]:
        """The result of a request, with nothing but notifications before it."""
        while "id" not in (message := await self.read()):
            assert "method" in message
        assert message["id"] == request, message
        assert "result" in message, message
        result: dict[str, Any] = message["result"]
        return result

    async def shake_hands(self) -> None:
        about = {"name": "raw", "version": "1"}
        await self.send("initialize", 0, protocolVersion=LEGACY, capabilities={}, clientInfo=about)
        await self.answer(0)
        await self.send("notifications/initialized")

    async def adds(self, request: int) -> bool:
        """Whether a call works: that of the guest `add`."""
        await self.call(request, "add", a=2, b=3)
        return (await self.answer(request)).get("structuredContent") == {"result": 5}

    def status(self, field: str) -> str:
        return next(seen for seen in descendants() if seen.pid == self.pid).status(field)


class _Killed:
    """Ends a process that a test left, whatever became of the test."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def __aenter__(self) -> Process:
        return self._process

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
        with anyio.CancelScope(shield=True):
            await self._process.aclose()


@asynccontextmanager
async def raw(
    store: Path,
    *options: str,
    variables: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
) -> AsyncIterator[Raw]:
    """A server whose client, of the older era, has shaken hands with it.

    `before` are the words of a command that starts it.
    """
    command = [*before, str(COMMAND), *_arguments(store, options)]
    env = environment() | dict(variables or {})
    process = await anyio.open_process(command, env=env, stderr=None)
    async with _Killed(process):
        server = Raw(process)
        await server.shake_hands()
        yield server


@asynccontextmanager
async def other_client(store: Path, *options: str) -> AsyncIterator[Process]:
    """A client in a process of its own, with a server of its own whose `spin` it calls."""
    env = environment() | {"PYTHONPATH": str(guests.REPOSITORY / "tests")}
    command = [sys.executable, __file__, str(store), *options]
    process = await anyio.open_process(command, env=env, stdin=subprocess.DEVNULL, stderr=None)
    async with _Killed(process):
        yield process


# --- processes ------------------------------------------------------------------------------


async def server_below(root: int) -> int:
    """The pid of the one server that this process started."""
    found: list[Seen] = []

    def is_there() -> bool:
        found[:] = [seen for seen in named(SERVER, root) if seen.parent == root]
        return bool(found)

    await until(is_there, "a server")
    [server] = found
    return server.pid


async def busy_worker(server: int) -> int:
    """The pid of the worker of the one call that this server runs.

    It is the older of two: the other is its spare, asked for when it was handed its call.
    """
    found: list[Seen] = []

    def are_there() -> bool:
        found[:] = sorted(named("wassette-worker", server), key=lambda seen: seen.started)
        return len(found) == 2

    await until(are_there, "a worker in the middle of a call, and a spare")
    return found[0].pid


async def gone_within(seconds: float, *pids: int) -> None:
    """See that processes leave /proc, but for those that only init has still to bury."""
    with anyio.move_on_after(seconds):
        await until(lambda: not _left(pids), "they are gone")
    left = _left(pids)
    assert not left, f"still there after {seconds} s: {left}"


def _left(pids: Iterable[int]) -> dict[int, str]:
    left = {}
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        state, parent = stat.rpartition(")")[2].split()[:2]
        if (state, parent) != ("Z", "1"):
            left[pid] = stat
    return left


def templates(server: int) -> list[int]:
    """The pids of what holds a component ready, with the first process of its namespace."""
    return [
        seen.pid for name in ("wassette-templ", "wassette-init") for seen in named(name, server)
    ]


async def kill_template(server: int) -> list[int]:
    """Kill what a server's workers are made from; the pids are never seen again."""
    killed = templates(server)
    assert killed
    for pid in killed:
        with suppress(ProcessLookupError):  # it dies with the one before
            os.kill(pid, signal.SIGKILL)
    await gone_within(ANSWER_S, *killed)
    return killed


async def _call_until_killed(store: Path, options: list[str]) -> None:
    async with client(store, *options) as connection:
        await connection.call_tool("spin", {})


if __name__ == "__main__":
    anyio.run(_call_until_killed, Path(sys.argv[1]), sys.argv[2:])
