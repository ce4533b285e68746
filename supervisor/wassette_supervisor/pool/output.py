"""What a process writes to its standard output and error: read, bounded, the last of it kept."""

from __future__ import annotations

import os

import anyio

from wassette_supervisor.pool import readiness

_CHUNK = 1 << 16
KEPT_BYTES = 4096


class Output:
    """Reads one pipe, so that its writer never waits, until the limit is passed."""

    def __init__(self, pipe: int, limit: int) -> None:
        self._pipe = pipe
        self._limit = limit
        self._seen = 0
        self._tail = b""

    @property
    def over_limit(self) -> bool:
        return self._seen > self._limit

    async def watch(self) -> bool:
        """Read until the writer is gone (False) or has passed the limit (True)."""
        while True:
            try:
                await readiness.readable(self._pipe)
            except (anyio.ClosedResourceError, anyio.BusyResourceError, ValueError):
                return False
            if not self.drain():
                return self.over_limit

    def drain(self) -> bool:
        """Take what is there now; False when nothing more will come that we would read."""
        while self._pipe >= 0 and not self.over_limit:
            try:
                data = os.read(self._pipe, _CHUNK)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._seen += len(data)
            self._tail = (self._tail + data)[-KEPT_BYTES:]
        return False

    def text(self) -> str:
        """The last of it, as text; says so if it is not all."""
        missing = self._seen - len(self._tail)
        head = f"[{missing} earlier bytes are not kept]\n" if missing else ""
        return head + self._tail.decode(errors="replace")

    def close(self) -> None:
        if self._pipe >= 0:
            readiness.closing(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
