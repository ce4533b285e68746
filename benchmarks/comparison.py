"""A benchmark beside its references, measured in turns, so that noise meets all of them."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_benchmark.fixture import BenchmarkFixture


class Reference(NamedTuple):
    """What a subject is compared with."""

    name: str
    run: Callable[[], object]
    every: int = 1  # rounds; a slow one need not be measured in each


class Spread(NamedTuple):
    """Milliseconds of a row of samples."""

    p50: float
    p95: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """From seconds."""
        ordered = sorted(samples)
        at = min(len(ordered) - 1, int(len(ordered) * 0.95))
        return cls(statistics.median(ordered) * 1e3, ordered[at] * 1e3)


class Row(NamedTuple):
    """One line of the table at the end."""

    name: str
    spread: Spread | None = None
    ratio: float | None = None  # the subject's median over this one's


class Comparison:
    """Times a subject and its references in turns; keeps the result for the table."""

    def __init__(self, benchmark: BenchmarkFixture, rows: list[Row]) -> None:
        self._benchmark = benchmark
        self._rows = rows

    def run(  # noqa: PLR0913 - the options of one measurement
        self,
        name: str,
        subject: Callable[[], object],
        references: Sequence[Reference] = (),
        *,
        rounds: int,
        before: Callable[[], object] | None = None,
        after: Callable[[], object] | None = None,
    ) -> list[float]:
        """Measure; `before` and `after` stand round each sample and aren't timed.

        Returns:
            The subject's seconds.
        """
        taken: list[float] = []
        compared: dict[str, list[float]] = {reference.name: [] for reference in references}
        turn = 0

        def set_up() -> None:
            nonlocal turn
            for reference in references:
                if turn % reference.every == 0:
                    _surrounded(reference.run, compared[reference.name], before, after)
            turn += 1
            if before:
                before()

        def tear_down() -> None:
            if after:
                after()

        # Timed here too: a disabled benchmark keeps no samples.
        self._benchmark.pedantic(  # type: ignore[no-untyped-call]  # the library has no types there
            lambda: _timed(subject, taken), setup=set_up, teardown=tear_down, rounds=rounds
        )
        if self._benchmark.disabled:  # then it tears nothing down
            tear_down()
        self._keep(name, taken, compared)
        return taken

    def stages(self, stages: Mapping[str, Sequence[float]]) -> None:
        """Add what the subject's time is made of, in seconds."""
        spreads = {name: Spread.of(samples) for name, samples in stages.items()}
        self._rows += [Row(f"    {name}", spread) for name, spread in spreads.items()]
        self._benchmark.extra_info["stages_ms"] = {n: s._asdict() for n, s in spreads.items()}

    def note(self, text: str) -> None:
        """Add a line of words."""
        self._rows.append(Row(f"    {text}"))
        self._benchmark.extra_info.setdefault("notes", []).append(text)

    def _keep(self, name: str, taken: list[float], compared: dict[str, list[float]]) -> None:
        own = Spread.of(taken)
        self._rows.append(Row(name, own))
        references = {}
        for reference, samples in compared.items():
            other = Spread.of(samples)
            ratio = own.p50 / other.p50
            self._rows.append(Row(f"  / {reference}", other, ratio))
            references[reference] = {**other._asdict(), "ratio": ratio}
        self._benchmark.extra_info |= {**own._asdict(), "references_ms": references}


def timed(run: Callable[[], object]) -> float:
    """How many seconds it takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _timed(run: Callable[[], object], taken: list[float]) -> None:
    taken.append(timed(run))


def _surrounded(
    run: Callable[[], object],
    taken: list[float],
    before: Callable[[], object] | None,
    after: Callable[[], object] | None,
) -> None:
    if before:
        before()
    _timed(run, taken)
    if after:
        after()


def table(rows: Sequence[Row]) -> list[str]:
    """At most 80 columns."""
    lines = [f"{'milliseconds':<50}{'p50':>9}{'p95':>9}{'ratio':>9}"]
    for row in rows:
        line = f"{row.name:<50}"
        if row.spread is not None:
            line += _number(row.spread.p50) + _number(row.spread.p95)
        if row.ratio is not None:
            line += f"{_ratio(row.ratio):>9}"
        lines.append(line.rstrip())
    return lines


def _number(milliseconds: float) -> str:
    return f"{milliseconds:>9.{0 if milliseconds >= 1000 else 1 if milliseconds >= 100 else 2}f}"


def _ratio(ratio: float) -> str:
    if ratio < 0.1:
        return f"1/{1 / ratio:.0f}"
    return f"{ratio:.{2 if ratio < 10 else 0}f}x"
