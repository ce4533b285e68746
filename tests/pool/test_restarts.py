"""When something that ends again and again is not started any more."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from wassette_supervisor.pool.restarts import (
    CRASHES,
    FOR_GOOD,
    TEMPLATE,
    ZYGOTE,
    History,
    Intensity,
)

# Whole seconds: what is compared below is then exact, after a shift as well.
INTENSITIES = st.builds(
    Intensity,
    ends=st.integers(0, 5),
    within_s=st.integers(1, 20),
    rest_s=st.integers(0, 20) | st.just(FOR_GOOD),
)
TIMES = st.lists(st.integers(0, 100), max_size=30).map(sorted)


def history(ends: list[int], intensity: Intensity) -> History:
    found = History()
    for end in ends:
        found = found.after_an_end(end, intensity)
    return found


def rests_by_the_book(ends: list[int], intensity: Intensity, now: int) -> float:
    """The same from all ends that there ever were, as the rule says it."""
    until = [
        end + intensity.rest_s
        for number, end in enumerate(ends)
        if sum(end - earlier < intensity.within_s for earlier in ends[: number + 1])
        > intensity.ends
    ]
    return max([0.0, *(end - now for end in until)])


@given(TIMES, INTENSITIES, st.integers(0, 50))
def test_a_history_decides_as_all_ends_that_there_ever_were(
    ends: list[int], intensity: Intensity, later: int
) -> None:
    now = max(ends, default=0) + later
    assert history(ends, intensity).rests_s(now) == rests_by_the_book(ends, intensity, now)


@given(INTENSITIES)
def test_so_many_ends_are_borne_and_one_more_is_not(intensity: Intensity) -> None:
    borne = [0] * intensity.ends
    assert history(borne, intensity).rests_s(0) == 0
    assert history([*borne, 0], intensity).rests_s(0) == intensity.rest_s


@given(TIMES, INTENSITIES, st.integers(0, 50))
def test_a_rest_is_over_when_its_time_is(ends: list[int], intensity: Intensity, later: int) -> None:
    now = max(ends, default=0) + later
    rest = history(ends, intensity).rests_s(now)
    assert 0 <= rest <= intensity.rest_s
    if rest < FOR_GOOD:
        assert history(ends, intensity).rests_s(now + rest) == 0


@given(TIMES, INTENSITIES, st.integers(0, 50))
def test_a_further_end_never_shortens_a_rest(
    ends: list[int], intensity: Intensity, later: int
) -> None:
    now = max(ends, default=0) + later
    assert history([*ends, now], intensity).rests_s(now) >= history(ends, intensity).rests_s(now)


@given(TIMES, INTENSITIES, st.integers(-1000, 1000), st.integers(0, 50))
def test_only_the_time_between_ends_counts(
    ends: list[int], intensity: Intensity, shift: int, later: int
) -> None:
    now = max(ends, default=0) + later
    shifted = history([end + shift for end in ends], intensity).rests_s(now + shift)
    assert shifted == history(ends, intensity).rests_s(now)


@given(st.lists(st.integers(0, 10**6), max_size=200).map(sorted), INTENSITIES)
def test_a_history_stays_small(ends: list[int], intensity: Intensity) -> None:
    assert len(history(ends, intensity).ends) <= intensity.ends + 1


def test_a_crash_is_borne_a_few_times_and_then_never_again() -> None:
    assert CRASHES.rest_s == math.inf
    assert ZYGOTE.rest_s < 60
    assert TEMPLATE.rest_s < 60
