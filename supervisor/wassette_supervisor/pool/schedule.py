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
    the others from theirs.
    """

    max_running: int
    max_waiting: int
    _waiting: dict[ComponentId, deque[CallId]] = field(
        default_factory=dict
    )  # in order of their turns
    _running: set[CallId] = field(default_factory=set)

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    def is_running(self, call: CallId) -> bool:
        return call in self._running

    def is_full(self) -> bool:
        """Whether a further call must be refused."""
        return self.running >= self.max_running and self.waiting >= self.max_waiting

    def submit(self, call: CallId, component: ComponentId) -> list[CallId]:
        self._waiting.setdefault(component, deque()).append(call)
        return self._start_what_fits()

    def finished(self, call: CallId) -> list[CallId]:
        """A call has ended, or was given up while it waited."""
        if call in self._running:
            self._running.remove(call)
        else:
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
        while self._waiting and len(self._running) < self.max_running:
            component = next(iter(self._waiting))
            queue = self._waiting.pop(component)
            call = queue.popleft()
            if queue:
                self._waiting[component] = queue  # to the end of the turns
            self._running.add(call)
            started.append(call)
        return started
