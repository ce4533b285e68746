from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from benchmarks.comparison import Comparison, Row, table
from benchmarks.in_process import Guest, call_cold
from benchmarks.loop import Loop
from mcp import Client, StdioServerParameters, stdio_client

from support.guests import guest_path

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from pytest_benchmark.fixture import BenchmarkFixture

COMMAND = Path(sys.executable).with_name("wassette-supervisor")
REFERENCE_SERVER = Path(__file__).with_name("reference_server.py")
# Calls that wait for a worker's place: more than any benchmark has in flight.
QUEUE = 64

_ROWS = pytest.StashKey[list[Row]]()


class Call(NamedTuple):
    """One call of a guest, in the forms that each side wants."""

    guest: str  # the tiny component, or the Python one
    tool: str
    arguments: dict[str, object]
    result: object


ADD = Call("add", "add", {"a": 1, "b": 2}, 3)
CALLS = [
    ADD,
    Call("python", "greet", {"name": "world"}, "Hello, world!"),
]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ROWS] = []


@pytest.fixture
def compare(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Comparison:
    return Comparison(benchmark, request.config.stash[_ROWS])


@pytest.fixture(scope="session")
def notes(request: pytest.FixtureRequest) -> list[Row]:
    """The table at the end, for what isn't measured by `compare`."""
    return request.config.stash[_ROWS]


@pytest.fixture(scope="session")
def once(request: pytest.FixtureRequest) -> bool:
    """Whether everything runs once, only to see that it runs."""
    return bool(request.config.getoption("benchmark_disable"))


@pytest.fixture(scope="session")
def loop() -> Generator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture(scope="session")
def component_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds both guests."""
    directory = tmp_path_factory.mktemp("store") / "components"
    for guest in ("add", "python"):
        command = [str(COMMAND), "component", "load", guest_path(guest).as_uri()]
        subprocess.run(  # noqa: S603 - our own command
            [*command, "--component-dir", str(directory)],
            env=environment(directory),
            stdout=subprocess.DEVNULL,
            check=True,
        )
    return directory


class Wasmtime:
    """The same artefacts without us: in this interpreter, mapped once, or in a cold one."""

    def __init__(self, artefacts: Path) -> None:
        self._artefacts = artefacts
        self._mapped: dict[str, Guest] = {}

    def call(self, call: Call) -> None:
        if call.guest not in self._mapped:
            self._mapped[call.guest] = Guest(self._artefact(call))
        answer = self._mapped[call.guest].call(call.tool, tuple(call.arguments.values()))
        assert answer == call.result

    def call_cold(self, call: Call) -> None:
        arguments = tuple(call.arguments.values())
        assert call_cold(self._artefact(call), call.tool, arguments) == str(call.result)

    def _artefact(self, call: Call) -> Path:
        digest = hashlib.sha256(guest_path(call.guest).read_bytes()).hexdigest()
        [found] = self._artefacts.glob(f"{digest}-*.cwasm")
        return found


@pytest.fixture(scope="session")
def wasmtime(component_dir: Path) -> Wasmtime:
    return Wasmtime(component_dir / "artefacts")


def environment(home: Path) -> dict[str, str]:
    """Nothing of this machine's settings."""
    return {"HOME": str(home), "PATH": os.environ["PATH"]}


@pytest.fixture(scope="session")
def supervisor_command(component_dir: Path) -> StdioServerParameters:
    options = ["run", "--component-dir", str(component_dir), "--queue", str(QUEUE)]
    return StdioServerParameters(command=str(COMMAND), args=options, env=environment(component_dir))


@pytest.fixture(scope="session")
def bare_command(component_dir: Path) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable, args=[str(REFERENCE_SERVER)], env=environment(component_dir)
    )


@pytest.fixture(scope="session")
def connect(
    loop: Loop, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[StdioServerParameters], AbstractContextManager[Client]]:
    """Starts a server and the library's own client of it."""
    log = tmp_path_factory.mktemp("logs") / "stderr"

    @contextmanager
    def open_client(command: StdioServerParameters) -> Generator[Client]:
        with (
            log.open("a", encoding="utf-8") as stderr,
            loop.hold(Client(stdio_client(command, errlog=stderr))) as client,
        ):
            yield client

    return open_client


class Servers(NamedTuple):
    """The two servers over stdio, as their clients see them."""

    supervisor: Client
    bare: Client

    async def call(self, call: Call) -> dict[str, int]:
        """Have the guest called; what it used."""
        result = await self.supervisor.call_tool(call.tool, call.arguments)
        assert result.structured_content == {"result": call.result}
        usage: dict[str, int] = (result.meta or {})["wassette-supervisor/usage"]
        return usage

    async def no_op(self) -> None:
        result = await self.bare.call_tool("noop", {"a": 1, "b": 2})
        assert result.structured_content == {"result": 3}


@pytest.fixture(scope="session")
def servers(
    connect: Callable[[StdioServerParameters], AbstractContextManager[Client]],
    supervisor_command: StdioServerParameters,
    bare_command: StdioServerParameters,
) -> Generator[Servers]:
    with connect(supervisor_command) as supervisor, connect(bare_command) as bare:
        yield Servers(supervisor, bare)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    rows = config.stash[_ROWS]
    if not rows:
        return
    terminalreporter.section("compared, in turns of one run")
    for line in table(rows):
        terminalreporter.write_line(line)
    if config.getoption("benchmark_disable"):
        terminalreporter.write_line("Each ran once, cold: this shows that it runs, no more.")
