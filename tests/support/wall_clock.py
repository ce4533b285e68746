"""A server's wall clock, which a test can have jump; the monotonic clock is left alone.

What the server starts has the machine's: it gets no variable, and its interpreter looks for none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_STARTS_WITH = """
import datetime, os, time

_time, _time_ns, _gettime = time.time, time.time_ns, time.clock_gettime

def _ahead_s():
    with open(os.environ["WALL_CLOCK"]) as file:
        return int(file.read())

class _DateTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds=_ahead_s())

datetime.datetime = _DateTime
time.time = lambda: _time() + _ahead_s()
time.time_ns = lambda: _time_ns() + _ahead_s() * 1_000_000_000
time.clock_gettime = lambda of: _gettime(of) + (_ahead_s() if of == time.CLOCK_REALTIME else 0)
"""


class WallClock:
    """Hours that a server's wall clock is ahead of the machine's."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "ahead"
        (folder / "sitecustomize.py").write_text(_STARTS_WITH)
        # For a server's environment: each interpreter imports that module when it starts.
        self.variables = {"PYTHONPATH": str(folder), "WALL_CLOCK": str(self._file)}
        self.hours = 0
        self.jump(0)

    def jump(self, hours: int) -> None:
        """Forward, or with a number below zero back."""
        self.hours += hours
        whole = self._file.with_suffix(".new")
        whole.write_text(str(self.hours * 3600))
        whole.replace(self._file)
