"""A thousand components: what a start, a list and memory cost, beside a hundred and ten.

One thing is asserted, in every run: that a thousand cost no more processor time than in proportion,
but for noise. No time is.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest
from benchmarks import many
from benchmarks.comparison import Comparison, Reference, Row
from benchmarks.conftest import COMMAND, environment
from mcp import StdioServerParameters

from support.processes import Seen, named
from support.served import SERVER

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from benchmarks.loop import Loop
    from mcp import Client

    Connect = Callable[[StdioServerParameters], AbstractContextManager[Client]]

pytestmark = pytest.mark.timeout(600)

COUNTS = (1000, 100, 10)
ROUNDS = 3
# Of the processor time that a component takes in a list of a thousand to that in one of a hundred:
# what grows with the square of their number would have ten.
LIST_AT_MOST = 3.0
# Of the processor time of a start with a thousand to one with ten. Not of one component, as in a
# list: a hundred of them are less than the noise of a start.
START_AT_MOST = 3.0
TRIES = 5


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("many")
    return {count: many.make(folder / str(count), count) for count in COUNTS}


class Server(NamedTuple):
    client: Client
    process: Seen

    async def list_all(self) -> int:
        """Read every page; how many tools of components there are."""
        found, cursor = 0, None
        while True:
            page = await self.client.list_tools(cursor=cursor)
            found += sum(tool.name.endswith("add") for tool in page.tools)
            if (cursor := page.next_cursor) is None:
                return found

    def processor_s(self) -> float:
        """Seconds of its first thread."""
        return int(self.process.read("schedstat").split()[0]) / 1e9

    def memory_mib(self) -> float:
        return int(self.process.status("VmRSS").split()[0]) / 1024


class Servers:
    """Servers on these stores, each as its client sees it."""

    def __init__(self, stores: dict[int, Path], connect: Connect, loop: Loop) -> None:
        self._stores = stores
        self._connect = connect
        self._loop = loop

    @contextmanager
    def open(self, count: int) -> Generator[Server]:
        """A server whose client has had the whole list."""
        store = self._stores[count]
        parameters = StdioServerParameters(
            command=str(COMMAND),
            args=["run", "--component-dir", str(store)],
            env=environment(store),
        )
        before = {seen.pid for seen in named(SERVER)}
        with self._connect(parameters) as client:
            [process] = [seen for seen in named(SERVER, os.getpid()) if seen.pid not in before]
            server = Server(client, process)
            assert self.list_all(server) == count
            yield server

    def list_all(self, server: Server) -> int:
        return self._loop.run(server.list_all())


@pytest.fixture(scope="module")
def servers(stores: dict[int, Path], connect: Connect, loop: Loop) -> Servers:
    return Servers(stores, connect, loop)


def test_start_to_the_end_of_the_list(compare: Comparison, servers: Servers) -> None:
    running = ExitStack()

    def start(count: int) -> None:
        running.enter_context(servers.open(count))

    compare.run(
        "start to the last page of 1,000 components",
        lambda: start(1000),
        [Reference("of 100", lambda: start(100)), Reference("of 10", lambda: start(10))],
        rounds=ROUNDS,
        after=running.close,
    )


def test_list_of_a_running_server(compare: Comparison, servers: Servers) -> None:
    with servers.open(1000) as most, servers.open(100) as more, servers.open(10) as few:
        compare.run(
            "tools/list, all pages of 1,000 components",
            lambda: servers.list_all(most),
            [
                Reference("of 100", lambda: servers.list_all(more)),
                Reference("of 10", lambda: servers.list_all(few)),
            ],
            rounds=ROUNDS,
        )
        for server, count in ((most, 1000), (more, 100), (few, 10)):
            compare.note(f"memory of a server of {count:,}: {server.memory_mib():.0f} MiB")


def test_component_list(compare: Comparison, stores: dict[int, Path]) -> None:
    def run(count: int) -> None:
        words = ["component", "list", "--component-dir", str(stores[count])]
        subprocess.run(  # noqa: S603 - our own command
            [str(COMMAND), *words],
            env=environment(stores[count]),
            stdout=subprocess.DEVNULL,
            check=True,
        )

    compare.run(
        "component list of 1,000",
        lambda: run(1000),
        [Reference("of 100", lambda: run(100)), Reference("of 10", lambda: run(10))],
        rounds=ROUNDS,
    )


def test_a_thousand_components_cost_no_more_than_in_proportion(
    servers: Servers, notes: list[Row]
) -> None:
    """Of start and list alike; the best of some tries, as noise only adds."""
    starts: dict[int, list[float]] = {count: [] for count in COUNTS}
    lists: dict[int, list[float]] = {count: [] for count in COUNTS}
    start = growth = 0.0
    for _ in range(TRIES):
        for count in COUNTS:
            with servers.open(count) as server:
                starts[count].append(server.processor_s())
                repeats = 1000 // count
                began = server.processor_s()
                for _ in range(repeats):
                    servers.list_all(server)
                lists[count].append((server.processor_s() - began) / repeats)
        start, growth = min(starts[1000]) / min(starts[10]), _growth(lists)
        if start <= START_AT_MOST and growth <= LIST_AT_MOST:
            break
    notes += [
        Row(f"start with 1,000 components to one with 10: {start:.2f}x"),
        Row(f"a component in a list of 1,000 to one of 100: {growth:.2f}x"),
    ]
    assert start <= START_AT_MOST, starts
    assert growth <= LIST_AT_MOST, lists


def _growth(taken: dict[int, list[float]]) -> float:
    """The time of one more component among a thousand, over that among a hundred.

    What a server needs with ten is in all of them, and is taken off.
    """
    few, more, most = (min(taken[count]) for count in (10, 100, 1000))
    # A hundred may drown in noise: then it is no less than this.
    return ((most - few) / 990) / max((more - few) / 90, 1e-5)
