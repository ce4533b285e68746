"""One call, over the whole stack and over the pool alone, with its spare worker ready or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benchmarks.comparison import Comparison, Reference
from benchmarks.conftest import CALLS, Call

from wassette_supervisor import settings
from wassette_supervisor.app import open_backend
from wassette_supervisor.front.results import usage

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from benchmarks.conftest import Servers, Wasmtime
    from benchmarks.loop import Loop

    from wassette_supervisor.components.registry import Registry

ROUNDS = 60
# Enough for a spare worker to stand again, and for the last call's worker to be gone.
PAUSES = {"spare ready": 0.15, "back to back": 0.0}


@pytest.fixture(params=CALLS, ids=[call.tool for call in CALLS])
def call(request: pytest.FixtureRequest) -> Call:
    found: Call = request.param
    return found


@pytest.fixture(params=PAUSES)
def pace(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def backend(loop: Loop, component_dir: Path) -> Generator[Registry]:
    """The store and the pool in this process, without MCP."""
    chosen = settings.load({"component_dir": str(component_dir)}, {"HOME": str(component_dir)})
    with loop.hold(open_backend(chosen, warm=True)) as opened:
        yield opened


def test_a_call_over_stdio(  # noqa: PLR0913 - pytest's fixtures
    compare: Comparison, loop: Loop, *, servers: Servers, wasmtime: Wasmtime, call: Call, pace: str
) -> None:
    usages: list[dict[str, int]] = []
    loop.run(servers.call(call))  # the first call starts the template
    seconds = compare.run(
        f"{call.tool} over stdio, {pace}",
        lambda: usages.append(loop.run(servers.call(call))),
        [
            Reference("no-op call of a bare mcp server", lambda: loop.run(servers.no_op())),
            Reference("cold interpreter", lambda: wasmtime.call_cold(call), every=6),
            Reference("wasmtime-py in process, new store", lambda: wasmtime.call(call)),
        ],
        rounds=ROUNDS,
        before=lambda: loop.pause(PAUSES[pace]),
    )
    _tell(compare, "client, stdio, MCP", seconds, usages)


def test_a_call_over_the_pool(  # noqa: PLR0913 - pytest's fixtures
    compare: Comparison, loop: Loop, *, backend: Registry, wasmtime: Wasmtime, call: Call, pace: str
) -> None:
    usages: list[dict[str, int]] = []
    loop.run(_over_the_pool(backend, call))
    seconds = compare.run(
        f"{call.tool} over the pool in process, {pace}",
        lambda: usages.append(loop.run(_over_the_pool(backend, call))),
        [Reference("wasmtime-py in process, new store", lambda: wasmtime.call(call))],
        rounds=ROUNDS,
        before=lambda: loop.pause(PAUSES[pace]),
    )
    _tell(compare, "registry, store", seconds, usages)


async def _over_the_pool(backend: Registry, call: Call) -> dict[str, int]:
    outcome = await backend.call(call.tool, call.arguments)
    assert outcome.value == {"result": call.result}
    return usage(outcome)


def _tell(
    compare: Comparison, round_it: str, seconds: list[float], usages: list[dict[str, int]]
) -> None:
    """Split the time of each call; `instantiate` comes before it when the spare is ready."""
    used = [{name[:-3]: us / 1e6 for name, us in u.items() if name[-3:] == "_us"} for u in usages]
    pairs = list(zip(seconds, used, strict=True))
    compare.stages(
        {
            round_it: [taken - u["wall"] for taken, u in pairs],
            "queue": [u["queue"] for u in used],
            "worker: take, frames, its wake-up": [
                u["wall"] - u["queue"] - u["convert"] - u["call"] for u in used
            ],
            "convert arguments": [u["convert"] for u in used],
            "call, result as JSON": [u["call"] for u in used],
            "(instantiate, when forked)": [u["instantiate"] for u in used],
        }
    )
