"""How children ended, as their parent tells it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import anyio

from wassette_supervisor.errors import NoRoomError, NoThreadError
from wassette_supervisor.pool.process import died
from wassette_supervisor.threads import room_for

if TYPE_CHECKING:
    from wassette_protocol.frames import ChildEnded, ChildId
    from wassette_supervisor.errors import CallError
    from wassette_supervisor.pool.process import Process

# From the end of a process to its parent's report; a parent that is gone reports nothing.
REPORT_S = 2.0

# A worker, the thread of its deadline, and the engine's: one for each processor and one more.
_THREADS = 3 + (os.cpu_count() or 1)


class Endings:
    """Reports of one parent. An untrusted parent's report is its word only."""

    def __init__(self) -> None:
        self._told: dict[ChildId, anyio.Event] = {}
        self._statuses: dict[ChildId, int] = {}
        self._refused: dict[ChildId, int] = {}

    def expect(self, child: ChildId) -> None:
        self._told[child] = anyio.Event()

    def forget(self, child: ChildId) -> None:
        self._told.pop(child, None)
        self._statuses.pop(child, None)
        self._refused.pop(child, None)

    def tell(self, report: ChildEnded) -> None:
        """A report; one of a child that nobody expects is ignored."""
        event = self._told.get(report.child)
        if event is not None and not event.is_set():
            if report.refused:
                self._refused[report.child] = report.refused
            else:
                self._statuses[report.child] = report.status
            event.set()

    def parent_is_gone(self) -> None:
        for event in self._told.values():
            event.set()

    async def error(self, child: ChildId, process: Process) -> CallError:
        """The error of a call that this end is the end of."""
        status = await self.status(child, process)
        refused = self._refused.get(child)
        if refused is None:
            return ended_so(status)
        return NoRoomError(f"no process could be started ({os.strerror(refused)})")

    async def status(self, child: ChildId, process: Process) -> int | None:
        """How the ended process ended: by the kernel's word, else by its parent's."""
        event = self._told.get(child)
        if event is not None:
            with anyio.move_on_after(REPORT_S):
                await event.wait()
        status = process.exit_status()
        return self._statuses.get(child) if status is None else status


def ended_so(status: int | None) -> CallError:
    """The error for a process that ended so without an answer; `status` as of waitpid(2).

    The engine aborts where it gets no thread. What it says of that may be a guest's word; but
    whether there is room for one is seen from here, unless others made room meanwhile.
    """
    error = died(status)
    return NoThreadError() if error.signal == signal.SIGABRT and not room_for(_THREADS) else error
