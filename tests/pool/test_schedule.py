"""Which calls run and which wait."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wassette_protocol.frames import ComponentId
from wassette_supervisor.pool.schedule import CallId, Schedule

MAX_RUNNING, MAX_WAITING = 3, 5


class Calls(RuleBasedStateMachine):
    """Calls come, end and are given up in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule(MAX_RUNNING, MAX_WAITING)
        self.running: list[CallId] = []
        self.waiting: list[tuple[CallId, str]] = []
        self.last = 0

    def _started(self, started: list[CallId]) -> None:
        for call in started:
            self.waiting = [entry for entry in self.waiting if entry[0] != call]
            self.running.append(call)

    @precondition(lambda self: not self.schedule.is_full())
    @rule(component=st.sampled_from("abc"))
    def submit(self, component: str) -> None:
        self.last += 1
        self.waiting.append((CallId(self.last), component))
        self._started(self.schedule.submit(CallId(self.last), ComponentId(component)))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.running))
        self.running.remove(call)
        self._started(self.schedule.finished(call))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        call, component = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove((call, component))
        self._started(self.schedule.finished(call))

    @invariant()
    def no_more_run_than_may_and_none_is_lost(self) -> None:
        assert len(self.running) == self.schedule.running <= MAX_RUNNING
        assert len(self.waiting) == self.schedule.waiting <= MAX_WAITING

    @invariant()
    def none_waits_while_there_is_room(self) -> None:
        assert not self.waiting or len(self.running) == MAX_RUNNING


TestCalls = Calls.TestCase


def test_components_take_turns_however_many_calls_one_of_them_has() -> None:
    schedule = Schedule(max_running=1, max_waiting=100)
    schedule.submit(CallId(1), ComponentId("greedy"))
    for number in range(2, 10):
        assert schedule.submit(CallId(number), ComponentId("greedy")) == []
    assert schedule.submit(CallId(10), ComponentId("modest")) == []

    assert schedule.finished(CallId(1)) == [CallId(2)]
    assert schedule.finished(CallId(2)) == [CallId(10)]


def test_a_full_schedule_has_all_its_places_taken() -> None:
    schedule = Schedule(max_running=1, max_waiting=1)
    schedule.submit(CallId(1), ComponentId("a"))
    assert not schedule.is_full()
    schedule.submit(CallId(2), ComponentId("a"))
    assert schedule.is_full()
