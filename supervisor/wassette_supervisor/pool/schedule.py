"""Which calls run and which wait; pure: it starts nothing."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from wassette_protocol.frames import ComponentId

CallId = NewType("CallId", int)


@dataclass
class Schedule:
    """Calls running and calls waiting; a method returns the calls that start now.

    Fair between components: they take turns, so that one with many calls waiting doesn't keep
    the others from theirs; and one whose calls take long never has all places, so that the others
    need not wait for them to end. Without a `max_per_component` that is one place less than there
    are, from the first call of a second component on.
    """

    max_running: int
    max_waiting: int
    max_per_component: int | None = None
    _waiting: dict[ComponentId, deque[CallId]] = field(
        default_factory=dict
    )  # in order of their turns
    _running: dict[CallId, ComponentId] = field(default_factory=dict)
    _first: ComponentId | None = None
    _several: bool = False  # components have been called

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    def is_running(self, call: CallId) -> bool:
        return call in self._running

    def is_full(self, component: ComponentId) -> bool:
        """Whether a further call of the component must be refused."""
        return not self._has_place(component) and self.waiting >= self.max_waiting

    def submit(self, call: CallId, component: ComponentId) -> list[CallId]:
        self._first = self._first or component
        self._several |= component != self._first
        self._waiting.setdefault(component, deque()).append(call)
        return self._start_what_fits()

    def finished(self, call: CallId) -> list[CallId]:
        """A call has ended, or was given up while it waited."""
        if self._running.pop(call, None) is None:
            self._withdraw(call)
        return self._start_what_fits()

    def _withdraw(self, call: CallId) -> None:
        for component, queue in self._waiting.items():
            if call in queue:
                queue.remove(call)
                if not queue:
                    del self._waiting[component]
                return

    def _start_what_fits(self) -> list[CallId]:
        started = []
        while (component := next(filter(self._has_place, self._waiting), None)) is not None:
            queue = self._waiting.pop(component)
            call = queue.popleft()
            if queue:
                self._waiting[component] = queue  # to the end of the turns
            self._running[call] = component
            started.append(call)
        return started

    def _has_place(self, component: ComponentId) -> bool:
        if self.running >= self.max_running:
            return False
        return sum(other == component for other in self._running.values()) < self._share

    @property
    def _share(self) -> int:
        """How many calls of one component may run."""
        if self.max_per_component is not None:
            return self.max_per_component
        return max(1, self.max_running - 1) if self._several else self.max_running
