"""The stage that a long command is in, and for how long, for a person at a terminal."""

from __future__ import annotations

import os
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from wassette_supervisor.errors import one_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

REFRESH_S = 0.1
_START_OF_LINE_CLEARED = "\r\x1b[K"


@asynccontextmanager
async def stages() -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Yield what to call with each stage; it shows on standard error, if that is a terminal."""
    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield _silent
        return
    shown = _Stages()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shown.tick)
        try:
            yield shown.enter
        finally:
            tasks.cancel_scope.cancel()
            shown.end()


async def _silent(_: str) -> None:
    pass


class _Stages:
    def __init__(self) -> None:
        self._stage = ""
        self._since = 0.0

    async def enter(self, stage: str) -> None:
        self.end()
        self._stage = one_line(stage)
        self._since = time.monotonic()
        self._show("")

    def end(self) -> None:
        if self._stage:
            self._show("\n")
        self._stage = ""

    async def tick(self) -> None:
        while True:
            await anyio.sleep(REFRESH_S)
            if self._stage:
                self._show("")

    def _show(self, end: str) -> None:
        elapsed = time.monotonic() - self._since
        sys.stderr.write(f"{_START_OF_LINE_CLEARED}{self._stage} {elapsed:.1f} s{end}")
        sys.stderr.flush()
