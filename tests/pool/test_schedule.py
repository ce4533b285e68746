"""Which calls run and which wait."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from wassette_protocol.frames import ComponentId
from wassette_supervisor.pool.schedule import CallId, Schedule

MAX_RUNNING, MAX_WAITING = 3, 5
A, B, C = [ComponentId(name) for name in "abc"]


class Calls(RuleBasedStateMachine):
    """Calls come, end and are given up in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.running: dict[CallId, ComponentId] = {}
        self.waiting: dict[CallId, ComponentId] = {}
        self.last = 0

    @initialize(each=st.none() | st.integers(1, MAX_RUNNING + 1))
    def open(self, each: int | None) -> None:
        self.schedule = Schedule(MAX_RUNNING, MAX_WAITING, each)
        self.share = each
        self.called: set[ComponentId] = set()

    def _started(self, started: list[CallId]) -> None:
        for call in started:
            self.running[call] = self.waiting.pop(call)
            # Of one that had more places before there was a second, none is taken away.
            assert self._of(self.running[call]) <= self._may_have()

    def _of(self, component: ComponentId) -> int:
        return list(self.running.values()).count(component)

    def _may_have(self) -> int:
        if self.share is not None:
            return self.share
        return MAX_RUNNING - 1 if len(self.called) > 1 else MAX_RUNNING

    @rule(component=st.sampled_from([A, B, C]))
    def submit(self, component: ComponentId) -> None:
        if self.schedule.is_full(component):
            assert len(self.waiting) == MAX_WAITING
            return
        self.last += 1
        self.called.add(component)
        self.waiting[CallId(self.last)] = component
        self._started(self.schedule.submit(CallId(self.last), component))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(sorted(self.running)))
        del self.running[call]
        self._started(self.schedule.finished(call))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(sorted(self.waiting)))
        del self.waiting[call]
        self._started(self.schedule.finished(call))

    @invariant()
    def no_more_run_than_may_and_none_is_lost(self) -> None:
        assert len(self.running) == self.schedule.running <= MAX_RUNNING
        assert len(self.waiting) == self.schedule.waiting <= MAX_WAITING

    @invariant()
    def none_waits_while_there_is_a_place_for_it(self) -> None:
        if len(self.running) < MAX_RUNNING:
            for component in self.waiting.values():
                assert self._of(component) >= self._may_have()


TestCalls = Calls.TestCase


def test_components_take_turns_however_many_calls_one_of_them_has() -> None:
    schedule = Schedule(max_running=1, max_waiting=100)
    schedule.submit(CallId(1), ComponentId("greedy"))
    for number in range(2, 10):
        assert schedule.submit(CallId(number), ComponentId("greedy")) == []
    assert schedule.submit(CallId(10), ComponentId("modest")) == []

    assert schedule.finished(CallId(1)) == [CallId(2)]
    assert schedule.finished(CallId(2)) == [CallId(10)]


def test_a_component_alone_may_have_every_place() -> None:
    schedule = Schedule(max_running=2, max_waiting=10)
    assert schedule.submit(CallId(1), A) == [CallId(1)]
    assert schedule.submit(CallId(2), A) == [CallId(2)]


def test_one_component_never_has_all_places_where_there_are_others() -> None:
    schedule = Schedule(max_running=3, max_waiting=100)
    schedule.submit(CallId(1), B)
    schedule.finished(CallId(1))
    started = [call for number in range(2, 12) for call in schedule.submit(CallId(number), A)]
    assert started == [CallId(2), CallId(3)]
    # However many of the other wait, and however long those two take.
    assert schedule.submit(CallId(12), B) == [CallId(12)]
    assert schedule.finished(CallId(12)) == []
    assert schedule.submit(CallId(13), C) == [CallId(13)]


def test_a_full_queue_of_one_component_refuses_no_other_that_has_a_place() -> None:
    schedule = Schedule(max_running=2, max_waiting=1, max_per_component=1)
    schedule.submit(CallId(1), A)
    schedule.submit(CallId(2), A)
    assert schedule.is_full(A)
    assert not schedule.is_full(B)
    assert schedule.submit(CallId(3), B) == [CallId(3)]
    assert schedule.is_full(B)


def test_a_full_schedule_has_all_its_places_taken() -> None:
    schedule = Schedule(max_running=1, max_waiting=1)
    schedule.submit(CallId(1), A)
    assert not schedule.is_full(A)
    schedule.submit(CallId(2), A)
    assert schedule.is_full(A)
