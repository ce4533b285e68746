"""The goals for values in and out of a guest, beside references of the same run.

Records, tuples and small lists: 1.3 times what wasmtime-py needs for ready Python values, which
makes no JSON. Strings: 5 times `json`, which calls no guest; lists of numbers: 40 times. The
engine's own part of a call is in ours and in wasmtime-py's alike.

Times are the processor's for this thread. A goal is held against medians. What CI holds is `usual`:
the ratio of the best samples as it was measured; code that got twice as slow is beyond it.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
from benchmarks.comparison import Row, Spread
from wasmtime.component import Record

from support.echo_component import MAX_BYTES, echo
from wassette_worker import wit_types as wit

if TYPE_CHECKING:
    from collections.abc import Callable

    from wassette_worker.wit_types import WitType

pytestmark = pytest.mark.timeout(300)

# How far beyond the usual is too slow: what is twice as slow is found, what is noise is not.
MARGIN = 1.6
TRIES = 5
# Seconds of a try, of one sample at least (short calls are repeated), and samples of a try.
TRY_S, QUICK_TRY_S = 1.0, 0.2
SAMPLE_S = 0.0005
FEWEST, MOST = 9, 500

# The parameters after the value that the echo component wants, all none.
_PADS = (None,) * 8


class Case(NamedTuple):
    name: str
    type: WitType
    json: Any
    goal: float
    usual: float  # best over best, on the machine of README.md
    theirs: Any = None  # the value as wasmtime-py takes it: it is the reference


def _record(**members: Any) -> Any:
    record = Record()
    for name, value in members.items():
        setattr(record, name, value)
    return record


U8, U32, U64 = (wit.Int(width, signed=False) for width in (8, 32, 64))
S16, F64, TEXT = wit.Int(16, signed=True), wit.Float(64), wit.String()
PAIR = wit.Record((("id", U32), ("label", TEXT)))
ADA = {"name": "Ada", "age": 36, "x": 1.5, "tags": ["a", "b"]}
PERSON = wit.Record((("name", TEXT), ("age", U32), ("x", F64), ("tags", wit.List(TEXT))))
TO_WASMTIME, TO_JSON_OF_TEXT, TO_JSON_OF_NUMBERS = 1.3, 5.0, 40.0


def _small(name: str, of: WitType, value: Any, theirs: Any, usual: float) -> Case:
    return Case(name, of, value, TO_WASMTIME, usual, theirs)


def _text(name: str, of: WitType, value: Any, usual: float) -> Case:
    return Case(name, of, value, TO_JSON_OF_TEXT, usual)


def _numbers(name: str, of: WitType, value: Any, usual: float) -> Case:
    return Case(name, wit.List(of), value, TO_JSON_OF_NUMBERS, usual)


CASES = [
    _small("u32", U32, 7, 7, 0.17),
    _small("record of two", PAIR, {"id": 1, "label": "a"}, _record(id=1, label="a"), 0.19),
    _small("record of four", PERSON, ADA, _record(**ADA), 0.27),
    _small("tuple of three", wit.Tuple((U8, TEXT, F64)), [1, "a", 2.5], (1, "a", 2.5), 0.225),
    _small("option of a tuple", wit.Option(wit.Tuple((U8, U8))), [1, 2], (1, 2), 0.18),
    _small("list<u8> of 3", wit.List(U8), [1, 2, 3], b"123", 0.2),
    _small("list<u32> of 3", wit.List(U32), [1, 2, 3], [1, 2, 3], 0.21),
    _small("list<string> of 3", wit.List(TEXT), ["a", "b", "c"], ["a", "b", "c"], 0.265),
    _small(
        "list<record> of 10",
        wit.List(PAIR),
        [{"id": 1, "label": "a"}] * 10,
        [_record(id=1, label="a")] * 10,
        0.2,
    ),
    _text("string of 10 characters", TEXT, "tell me é!", 4.0),
    _text("string of 1,000", TEXT, "tell me é!" * 100, 2.8),
    _text("string of 1,000,000", TEXT, "tell me é!" * 100_000, 1.6),
    _text(
        "list<string> of 10,000",
        wit.List(TEXT),
        [f"line {n:05} é with text" for n in range(10_000)],
        3.6,
    ),
    _numbers("list<u8> of 100,000", U8, [*range(250)] * 400, 0.9),
    _numbers("list<s16> of 100,000", S16, [*range(-500, 500)] * 100, 1.5),
    _numbers("list<u32> of 100,000", U32, [n * 40_503 % (1 << 32) for n in range(100_000)], 1.4),
    _numbers("list<u64> of 100,000", U64, [n * 40_503 for n in range(100_000)], 2.0),
    _numbers("list<f64> of 100,000", F64, [n / 7 for n in range(100_000)], 0.4),
]


class Bench:
    """A case and its reference, measured in turns."""

    def __init__(self, case: Case) -> None:
        guest, peer = echo(case.type), echo(case.type)
        text = msgspec.json.encode({"value": case.json})

        def ours() -> None:
            arguments = guest.call.arguments(msgspec.json.decode(text))
            guest.call.invoke(guest.store, guest.func, arguments, max_bytes=MAX_BYTES)

        self._ours = ours
        self._reference: Callable[[], object]
        if case.theirs is None:
            self._reference = lambda: json.dumps(json.loads(text))
        else:
            self._reference = lambda: peer.func(peer.store, case.theirs, *_PADS)
        self._repeats = 1
        shorter = min(min(self._pair()) for _ in range(3))
        self._repeats = max(1, int(SAMPLE_S / shorter))
        self._pair_s = self._repeats * min(sum(self._pair()) for _ in range(3))

    def samples(self, seconds: float) -> tuple[list[float], list[float]]:
        """Seconds of one round, of ours and of the reference, measured in turns."""
        count = min(MOST, max(FEWEST, int(seconds / self._pair_s)))
        ours, reference = zip(*(self._pair() for _ in range(count)), strict=True)
        return list(ours), list(reference)

    def _pair(self) -> tuple[float, float]:
        return self._time(self._ours), self._time(self._reference)

    def _time(self, run: Callable[[], object]) -> float:
        # The thread's own time: the longer of two is interrupted more often on a busy machine.
        began = time.thread_time()
        for _ in range(self._repeats):
            run()
        return (time.thread_time() - began) / self._repeats


def _best(samples: tuple[list[float], list[float]]) -> float:
    return min(samples[0]) / min(samples[1])


def _within(bench: Bench, usual: float) -> list[float]:
    """The best ratio of each try, up to the first that is near to the usual one."""
    found: list[float] = []
    while len(found) < TRIES and (not found or found[-1] > usual * MARGIN):
        found.append(_best(bench.samples(QUICK_TRY_S)))
    return found


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_conversion_is_not_much_slower_than_it_was(case: Case) -> None:
    found = _within(Bench(case), case.usual)
    assert found[-1] <= case.usual * MARGIN, f"{found} times the reference; usual: {case.usual}"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_goals_for_a_conversion(case: Case, notes: list[Row], *, once: bool) -> None:
    if once:
        pytest.skip("medians say nothing of a machine that does other work beside it")
    bench = Bench(case)
    found: list[float] = []
    ours, reference = bench.samples(0)
    while len(found) < TRIES and (not found or found[-1] > case.goal):
        ours, reference = bench.samples(TRY_S)
        found.append(statistics.median(ours) / statistics.median(reference))
    name = "json" if case.theirs is None else "wasmtime-py, no JSON"
    notes += [
        Row(case.name, Spread.of(ours)),
        Row(f"  / {name}; wanted: {case.goal:g}", Spread.of(reference), found[-1]),
    ]
    assert found[-1] <= case.goal, f"{found} times the reference in each try"
