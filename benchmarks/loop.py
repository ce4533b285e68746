"""An event loop that runs only while a sample is taken: the time of a call and nothing else."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from contextlib import AbstractAsyncContextManager

T = TypeVar("T")


class Loop:
    """Runs coroutines from plain functions, and keeps what they need open between them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(coroutine)

    def pause(self, seconds: float) -> None:
        """Wait, while tasks go on."""
        self.run(asyncio.sleep(seconds))

    @contextmanager
    def hold(self, context: AbstractAsyncContextManager[T]) -> Generator[T]:
        """Enter the context in a task of its own, and leave it there: anyio asks for that."""
        opened: asyncio.Future[T] = self._loop.create_future()
        close = asyncio.Event()

        async def keep() -> None:
            async with context as value:
                opened.set_result(value)
                await close.wait()

        task = self._loop.create_task(keep())
        self.run(_first(task, opened))
        try:
            yield opened.result()
        finally:
            close.set()
            self._loop.run_until_complete(task)

    def close(self) -> None:
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


async def _first(task: asyncio.Task[None], opened: asyncio.Future[Any]) -> None:
    await asyncio.wait([task, opened], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()  # raises what kept it from opening
