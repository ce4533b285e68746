"""One call, over the whole stack and over the pool alone, with its spare worker ready or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.comparison import Comparison, Reference
from benchmarks.conftest import CALLS, Call
from benchmarks.in_process import call_cold
from wassette_supervisor import settings
from wassette_supervisor.app import open_backend

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from mcp import Client

    from benchmarks.in_process import Guest
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


def test_a_call_over_stdio(  # noqa: PLR0913 - its two servers, its references
    compare: Comparison,
    loop: Loop,
    supervisor: Client,
    bare: Client,
    in_process: Callable[[str], Guest],
    artefact: Callable[[str], Path],
    call: Call,
    pace: str,
) -> None:
    usages: list[dict[str, int]] = []

    async def over_stdio() -> None:
        result = await supervisor.call_tool(call.tool, call.arguments)
        assert result.structured_content == {"result": call.result}
        usages.append((result.meta or {})["wassette-supervisor/usage"])

    async def no_op() -> None:
        result = await bare.call_tool("noop", {"a": 1, "b": 2})
        assert result.structured_content == {"result": 3}

    def cold() -> None:
        arguments = tuple(call.arguments.values())
        assert call_cold(artefact(call.guest), call.tool, arguments) == str(call.result)

    loop.run(over_stdio())  # the first call starts the template
    usages.clear()
    seconds = compare.run(
        f"{call.tool} over stdio, {pace}",
        lambda: loop.run(over_stdio()),
        [
            Reference("no-op call of a bare mcp server", lambda: loop.run(no_op())),
            Reference("cold interpreter for the call", cold, every=6),
            _in_process(in_process, call),
        ],
        rounds=ROUNDS,
        before=lambda: loop.pause(PAUSES[pace]),
    )
    _tell(compare, "client, stdio, MCP", seconds, usages)


def test_a_call_over_the_pool(
    compare: Comparison,
    loop: Loop,
    backend: Registry,
    in_process: Callable[[str], Guest],
    call: Call,
    pace: str,
) -> None:
    usages: list[dict[str, int]] = []

    async def over_the_pool() -> None:
        outcome = await backend.call(call.tool, call.arguments)
        assert outcome.value == {"result": call.result}
        times = {"queue_us": outcome.queue_us, "wall_us": outcome.total_us}
        used = outcome.usage
        worker = {name: getattr(used, name) for name in ("instantiate_us", "convert_us", "call_us")}
        usages.append(times | worker)

    loop.run(over_the_pool())
    usages.clear()
    seconds = compare.run(
        f"{call.tool} over the pool in process, {pace}",
        lambda: loop.run(over_the_pool()),
        [_in_process(in_process, call)],
        rounds=ROUNDS,
        before=lambda: loop.pause(PAUSES[pace]),
    )
    _tell(compare, "registry, store", seconds, usages)


def _in_process(in_process: Callable[[str], Guest], call: Call) -> Reference:
    def run() -> None:
        arguments = tuple(call.arguments.values())
        assert in_process(call.guest).call(call.tool, arguments) == call.result

    return Reference("wasmtime-py in process, new store", run)


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
