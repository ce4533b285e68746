from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from mcp import Client, StdioServerParameters, stdio_client

from benchmarks.comparison import Comparison, Row, table
from benchmarks.in_process import Guest
from benchmarks.loop import Loop
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


CALLS = [
    Call("add", "add", {"a": 1, "b": 2}, 3),
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
        command = [COMMAND, "component", "load", guest_path(guest).as_uri()]
        subprocess.run(  # noqa: S603 - our own command
            [*command, "--component-dir", directory],
            env=environment(directory),
            stdout=subprocess.DEVNULL,
            check=True,
        )
    return directory


@pytest.fixture(scope="session")
def artefact(component_dir: Path) -> Callable[[str], Path]:
    """Tells where the store keeps what a guest was compiled to."""

    def find(guest: str) -> Path:
        digest = hashlib.sha256(guest_path(guest).read_bytes()).hexdigest()
        [found] = (component_dir / "artefacts").glob(f"{digest}-*.cwasm")
        return found

    return find


@pytest.fixture(scope="session")
def in_process(artefact: Callable[[str], Path]) -> Callable[[str], Guest]:
    """The guests in this interpreter; each is mapped once."""
    kept: dict[str, Guest] = {}

    def find(guest: str) -> Guest:
        if guest not in kept:
            kept[guest] = Guest(artefact(guest))
        return kept[guest]

    return find


def environment(home: Path) -> dict[str, str]:
    """Nothing of this machine's settings."""
    return {"HOME": str(home), "PATH": os.environ["PATH"]}


@pytest.fixture(scope="session")
def supervisor_command(component_dir: Path) -> StdioServerParameters:
    options = ["run", "--component-dir", str(component_dir), "--queue", str(QUEUE)]
    return StdioServerParameters(
        command=str(COMMAND), args=options, env=environment(component_dir)
    )


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


@pytest.fixture(scope="session")
def supervisor(
    connect: Callable[[StdioServerParameters], AbstractContextManager[Client]],
    supervisor_command: StdioServerParameters,
) -> Generator[Client]:
    with connect(supervisor_command) as client:
        yield client


@pytest.fixture(scope="session")
def bare(
    connect: Callable[[StdioServerParameters], AbstractContextManager[Client]],
    bare_command: StdioServerParameters,
) -> Generator[Client]:
    with connect(bare_command) as client:
        yield client


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
