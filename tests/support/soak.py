"""Many calls of good and bad guests, mixed, on one real server; each answer is looked at.

`python tests/support/soak.py [CALLS]` prints what it measured, and fails if anything was wrong.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import served
from support.processes import descendants

if TYPE_CHECKING:
    from collections.abc import Callable

GUESTS = ["add", "traps", "spin", "sleep", "exit", "grow", "say"]
WORKERS = 4 * len(os.sched_getaffinity(0))
IN_FLIGHT = 3 * WORKERS
OPTIONS = [
    *("--max-workers", str(WORKERS), "--queue", str(IN_FLIGHT)),
    *("--limit", "fuel=20000000", "--limit", "wall_time=5s", "--limit", "output=100Ki"),
]
# From then on the server's memory and descriptors are to stay as they are.
WARM = 0.2
MAX_GROWTH_KIB = 5 * 1024
MAX_MORE_DESCRIPTORS = 8
# Without an answer to any of its calls for so long a server hangs.
HANGS_S = 60


class Kind(NamedTuple):
    """A kind of call, and what its answer has to be, word for word or with these words in it."""

    name: str
    weight: int
    tool: str
    arguments: Callable[[int], dict[str, Any]]
    right: Callable[[int], object]


KINDS = [
    Kind("adds", 400, "add", lambda n: {"a": n, "b": 1}, lambda n: n + 1),
    Kind("divides", 100, "trap-divzero", lambda _: {"divisor": 1}, lambda _: 1),
    Kind("grows", 50, "grow-pages", lambda _: {"pages": 3}, lambda _: 1),
    Kind("traps", 100, "trap-unreachable", lambda _: {}, lambda _: "unreachable"),
    Kind("overflows its stack", 50, "trap-stack", lambda _: {}, lambda _: "stack exhausted"),
    Kind("divides by zero", 50, "trap-divzero", lambda _: {"divisor": 0}, lambda _: "by zero"),
    Kind("exits", 50, "leave", lambda _: {"ok": False}, lambda _: "exit status 1"),
    Kind("loops", 50, "spin", lambda _: {}, lambda _: "limit fuel=20000000"),
    Kind("sleeps", 2, "sleep-ms", lambda _: {"milliseconds": 60_000}, lambda _: "wall_time=5s"),
    Kind("grows too far", 50, "grow-pages", lambda _: {"pages": 60_000}, lambda _: -1),
    Kind("says too much", 50, "say", lambda _: {"n": 3_000_000}, lambda _: "output=100Ki"),
    Kind("wrong arguments", 50, "add", lambda n: {"a": n, "b": -1}, lambda _: "argument at /b"),
    Kind("no tool", 20, "nobody", lambda _: {}, lambda _: "no tool is called"),
]


class Measured(NamedTuple):
    calls: int
    seconds: float
    wrong: list[str]
    growth_kib: int
    more_descriptors: int
    zombies: int

    @property
    def fault(self) -> str:
        """What is not as it has to be; empty if all is."""
        if self.wrong:
            return f"{len(self.wrong)} wrong answers, first: {self.wrong[0]}"
        if self.growth_kib > MAX_GROWTH_KIB:
            return f"the server's memory grew by {self.growth_kib} KiB"
        if self.more_descriptors > MAX_MORE_DESCRIPTORS:
            return f"the server holds {self.more_descriptors} descriptors more"
        return f"{self.zombies} zombies" if self.zombies else ""


class _Server(NamedTuple):
    raw: served.Raw

    def kib(self) -> int:
        return int(self.raw.status("VmRSS").split()[0])

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.raw.pid}/fd"))  # noqa: PTH208 - of names alone


async def soak(store: Path, calls: int, seed: int) -> Measured:
    """Run so many calls."""
    chance = random.Random(seed)  # noqa: S311 - to be done again
    kinds = chance.choices(KINDS, [kind.weight for kind in KINDS], k=calls)
    async with served.raw(store, *OPTIONS) as raw:
        server = _Server(raw)
        began = time.monotonic()
        wrong = await _answered(raw, kinds, 0, int(calls * WARM))
        kib, descriptors = server.kib(), server.descriptors()
        wrong += await _answered(raw, kinds, int(calls * WARM), calls)
        seconds = time.monotonic() - began
        return Measured(
            calls,
            seconds,
            wrong,
            server.kib() - kib,
            server.descriptors() - descriptors,
            sum(seen.state == "Z" for seen in descendants(raw.pid)),
        )


async def _answered(raw: served.Raw, kinds: list[Kind], first: int, end: int) -> list[str]:
    """What was wrong with the answers to these calls."""
    wrong, asked, left = [], first, set(range(first, end))
    while left:
        while asked < end and asked - (end - len(left)) < IN_FLIGHT:
            kind = kinds[asked]
            await raw.call(asked, kind.tool, **kind.arguments(asked))
            asked += 1
        with anyio.fail_after(HANGS_S):
            answer = await raw.read()
        if "id" not in answer:
            continue
        number = answer["id"]
        if number not in left:
            wrong.append(f"an answer to {number}, which nobody asked or which was answered")
            continue
        left.remove(number)
        if not _is_right(kinds[number].right(number), answer):
            wrong.append(f"{kinds[number].name}: {str(answer)[:300]}")
    return wrong


def _is_right(right: object, answer: dict[str, Any]) -> bool:
    if "error" in answer:
        return isinstance(right, str) and right in answer["error"]["message"]
    result = answer["result"]
    if result.get("isError"):
        return isinstance(right, str) and right in result["content"][0]["text"]
    return bool(result.get("structuredContent") == {"result": right})


def main(calls: int) -> None:
    seed = random.randrange(1 << 32)  # noqa: S311 - to be done again
    with tempfile.TemporaryDirectory() as folder:
        store = served.make_store(Path(folder) / "store", GUESTS)
        measured = anyio.run(soak, store, calls, seed)
        verified = served.operate(store, "audit", "verify").returncode == 0
    print(  # noqa: T201 - the answer
        f"{calls} calls in {measured.seconds:.0f} s with {WORKERS} workers (seed {seed}): "
        f"{len(measured.wrong)} wrong, memory {measured.growth_kib:+} KiB, "
        f"descriptors {measured.more_descriptors:+}, zombies {measured.zombies}, "
        f"audit {'whole' if verified else 'DAMAGED'}"
    )
    if measured.fault or not verified:
        sys.exit(measured.fault or "the audit log is damaged")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
