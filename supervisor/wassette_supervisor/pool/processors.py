"""Which processor a call with files runs on: one, all of its threads.

Every operation on a file goes to a thread of the engine's and back. On one processor that is up to
three times as fast as across two.
"""

from __future__ import annotations

import contextlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wassette_supervisor.pool.process import Process


class Processors:
    """Those that this process may use, and how many calls are on each."""

    def __init__(self) -> None:
        known = hasattr(os, "sched_getaffinity")  # this is imported where there is no Linux, too
        self._calls = dict.fromkeys(sorted(os.sched_getaffinity(0)) if known else [0], 0)

    @contextmanager
    def one_for(self, process: Process) -> Iterator[None]:
        """Keep all threads of a process on the one with the fewest calls.

        Where the system refuses that, the process runs as it would without.
        """
        number = min(self._calls, key=lambda each: self._calls[each])
        self._calls[number] += 1
        try:
            with contextlib.suppress(OSError):
                for thread in os.listdir(f"/proc/{process.pid()}/task"):  # noqa: PTH208 - names alone
                    os.sched_setaffinity(int(thread), {number})
            yield
        finally:
            self._calls[number] -= 1


PROCESSORS = Processors()
