"""Frames that were changed by chance, as a supervisor takes them: a violation, and nothing else.

`FUZZ_FRAMES` says how many; `sh scripts/fuzz` tries a million.
"""

from __future__ import annotations

import gc
import os
import resource
import time
import tracemalloc
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import attacker
from wassette_protocol import codec

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.attacker import Seen

pytestmark = pytest.mark.thorough

FRAMES = int(os.environ.get("FUZZ_FRAMES", "50000"))
_OF_AN_EXAMPLE = 250

ATTACKERS: dict[str, Callable[[Random], Seen]] = {
    "worker": attacker.of_workers,
    "compile worker": attacker.of_compilers,
    "template": lambda random: attacker.of_packets(
        random, codec.FROM_TEMPLATE, attacker.OF_TEMPLATES
    ),
    "zygote": lambda random: attacker.of_packets(random, codec.FROM_ZYGOTE, attacker.OF_ZYGOTES),
}
OF_EACH = FRAMES // len(ATTACKERS)

# What a run of all these frames may leave behind: arenas of the allocator, caches of Hypothesis.
_GROWTH = 16 << 20
# What one frame of some kilobytes may need for a moment.
_PEAK = 4 << 20
# Of a processor: for one life, on any machine.
_SLOWEST_S = 1.0


def resident() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.mark.timeout(60 + FRAMES // 500)
@pytest.mark.parametrize("attack", ATTACKERS.values(), ids=ATTACKERS)
def test_whatever_a_peer_sends_is_a_frame_of_its_turn_or_a_violation(
    attack: Callable[[Random], Seen],
) -> None:
    judged, taken, slowest, sizes = 0, 0, 0.0, list[int]()

    @given(st.integers(0, 2**64 - 1))
    @settings(
        max_examples=4 * OF_EACH // _OF_AN_EXAMPLE,  # fewer if they have come together before
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def many(seed: int) -> None:
        nonlocal judged, taken, slowest
        if judged >= OF_EACH:
            return
        random = Random(seed)  # noqa: S311 - it keeps no secret
        end = judged + _OF_AN_EXAMPLE
        while judged < end:
            began = time.thread_time()
            seen = attack(random)
            slowest = max(slowest, time.thread_time() - began)
            judged, taken = judged + max(seen.judged, 0), taken + max(seen.taken, 0)
        if not sizes or judged >= OF_EACH:
            sizes.append(resident())

    began = time.monotonic()
    many()
    print(  # noqa: T201 - `sh scripts/fuzz` shows it
        f"{judged} frames in {time.monotonic() - began:.0f} s: {taken} taken for honest ones, "
        f"{judged - taken} violations or never whole; the slowest life {slowest * 1000:.0f} ms, "
        f"memory {(sizes[-1] - sizes[0]) >> 10:+} KiB"
    )
    assert judged >= OF_EACH
    # Neither all refused nor all taken: else it would not be the bounds and types that were tried.
    assert 0.01 < taken / judged < 0.9
    assert slowest < _SLOWEST_S
    assert sizes[-1] - sizes[0] < _GROWTH


@pytest.mark.parametrize("attack", ATTACKERS.values(), ids=ATTACKERS)
def test_no_frame_needs_more_memory_than_its_bytes_are_worth(
    attack: Callable[[Random], Seen],
) -> None:
    tracemalloc.start()
    try:
        for seed in range(300):
            attack(Random(seed))  # noqa: S311 - it keeps no secret
        assert tracemalloc.get_traced_memory()[1] < _PEAK
    finally:
        tracemalloc.stop()
