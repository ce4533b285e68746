"""How children ended, as their parent tells it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio

from wassette_supervisor.errors import NoRoomError
from wassette_supervisor.pool.process import died

if TYPE_CHECKING:
    from wassette_protocol.frames import ChildEnded, ChildId
    from wassette_supervisor.errors import CallError
    from wassette_supervisor.pool.process import Process

# From the end of a process to its parent's report; a parent that is gone reports nothing.
REPORT_S = 2.0


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
            return died(status)
        return NoRoomError(f"no process could be started ({os.strerror(refused)})")

    async def status(self, child: ChildId, process: Process) -> int | None:
        """How the ended process ended: by the kernel's word, else by its parent's."""
        event = self._told.get(child)
        if event is not None:
            with anyio.move_on_after(REPORT_S):
                await event.wait()
        status = process.exit_status()
        return self._statuses.get(child) if status is None else status
