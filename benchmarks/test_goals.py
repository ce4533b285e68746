"""The two goals for a call of a tiny component over stdio, with its spare worker ready.

Its median is at most 5 ms over a no-op call of a bare `mcp` server, and at most a tenth of what
a cold interpreter takes for the same call: everything measured in turns. A pass means both, as
they are worded. On a machine too busy to tell about the 5 ms the test is skipped, and says so.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

import pytest
from benchmarks.comparison import Row, Spread, timed
from benchmarks.conftest import ADD

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.conftest import Servers, Wasmtime
    from benchmarks.loop import Loop

MORE_THAN_NO_OP_MS = 5.0
# A no-op call takes some 1.4 ms here when nothing else runs: beyond twice that, others run too.
BUSY_NO_OP_MS = 2.8
TIMES_FASTER = 10.0

# A noisy neighbour spoils a block, not all of them; and a run of blocks, not three in a row.
BLOCKS = 5
CALLS_A_BLOCK = 15
TRIES = 3
PAUSE_S = 0.15


class Block(NamedTuple):
    """Medians of one block, in milliseconds."""

    call: float
    no_op: float
    cold: float


class Bench(NamedTuple):
    """Measures the three in turns."""

    loop: Loop
    servers: Servers
    wasmtime: Wasmtime

    def block(self, calls: int) -> Block:
        call, no_op, cold = [], [], []
        for turn in range(calls):
            no_op.append(self._time(lambda: self.loop.run(self.servers.no_op())))
            call.append(self._time(lambda: self.loop.run(self.servers.call(ADD))))
            if turn % 5 == 0:
                cold.append(self._time(lambda: self.wasmtime.call_cold(ADD)))
        return Block(*(statistics.median(taken) * 1e3 for taken in (call, no_op, cold)))

    def _time(self, run: Callable[[], object]) -> float:
        self.loop.pause(PAUSE_S)
        return timed(run)


class Found(NamedTuple):
    """Medians of the blocks."""

    more: float  # milliseconds over a no-op call
    faster: float  # times a cold interpreter
    no_op: float

    @classmethod
    def of(cls, blocks: list[Block]) -> Found:
        return cls(
            statistics.median(block.call - block.no_op for block in blocks),
            statistics.median(block.cold / block.call for block in blocks),
            statistics.median(block.no_op for block in blocks),
        )

    @property
    def reached(self) -> bool:
        return self.more <= MORE_THAN_NO_OP_MS and self.faster >= TIMES_FASTER


@pytest.mark.timeout(240)  # three tries rest for longer than a minute
def test_the_goals_for_a_tiny_component(
    loop: Loop, servers: Servers, wasmtime: Wasmtime, notes: list[Row], *, once: bool
) -> None:
    bench = Bench(loop, servers, wasmtime)
    bench.block(1)  # the first call starts the template
    if once:
        _tell(notes, [bench.block(1)])
        return
    tries = []
    for _ in range(TRIES):
        tries.append(_tell(notes, [bench.block(CALLS_A_BLOCK) for _ in range(BLOCKS)]))
        if tries[-1].reached:
            return
    assert max(found.faster for found in tries) >= TIMES_FASTER
    if min(found.no_op for found in tries) > BUSY_NO_OP_MS:
        pytest.skip("the 5 ms were not reached, on a machine too busy to tell: see the table")
    pytest.fail(f"over a no-op call: {[round(found.more, 2) for found in tries]} ms in each try")


def _tell(notes: list[Row], blocks: list[Block]) -> Found:
    found = Found.of(blocks)
    notes += [
        Row("goal: add over stdio, spare ready", Spread.of([b.call / 1e3 for b in blocks])),
        Row("  / no-op call of a bare mcp server", Spread.of([b.no_op / 1e3 for b in blocks])),
        Row(f"    {found.more:.2f} ms over a no-op call; wanted: {MORE_THAN_NO_OP_MS:.0f}"),
        Row(f"    {found.faster:.1f} times faster than cold; wanted: {TIMES_FASTER:.0f}"),
        Row(f"    {'reached' if found.reached else 'NOT reached'}"),
    ]
    return found
