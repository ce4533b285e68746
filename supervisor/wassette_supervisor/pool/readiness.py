"""Waiting until a descriptor can be read from or written to.

Not by anyio's functions of the same purpose: whoever waited by these takes, when it wakes up, the
wait for its number off the event loop, and not for its descriptor. If that was closed and its
number given out again meanwhile, it takes off the wait of another, who is never woken.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    _Waits = dict[int, asyncio.Future[bool]]


class _Loop:
    """The waits on one event loop, by number."""

    def __init__(self) -> None:
        self.to_read: _Waits = {}
        self.to_write: _Waits = {}


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = WeakKeyDictionary()


async def readable(number: int) -> None:
    """Wait until there is something to read, or the end.

    Raises:
        BusyResourceError: Another task waits for this.
        ClosedResourceError: `closing` was called.
        ValueError: It is no descriptor.
    """
    loop = asyncio.get_running_loop()
    await _wait(number, _of(loop).to_read, loop.add_reader, loop.remove_reader)


async def writable(number: int) -> None:
    """Wait until something can be written; raises as `readable` does."""
    loop = asyncio.get_running_loop()
    await _wait(number, _of(loop).to_write, loop.add_writer, loop.remove_writer)


def closing(number: int) -> None:
    """Wake up whoever waits for a descriptor; to be called before it is closed."""
    loop = asyncio.get_running_loop()
    waits = _of(loop)
    for waiting, remove in (
        (waits.to_read, loop.remove_reader),
        (waits.to_write, loop.remove_writer),
    ):
        future = waiting.pop(number, None)
        if future is not None:
            remove(number)
            _wake(future, still_open=False)


def _of(loop: asyncio.AbstractEventLoop) -> _Loop:
    return _loops.setdefault(loop, _Loop())


async def _wait(
    number: int,
    waiting: _Waits,
    add: Callable[..., object],
    remove: Callable[[int], object],
) -> None:
    if number in waiting:
        raise anyio.BusyResourceError("waiting for")
    future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    add(number, _wake, future)
    waiting[number] = future
    try:
        if not await future:
            raise anyio.ClosedResourceError
    finally:
        # Not what somebody else waits for by now, under the same number.
        if waiting.get(number) is future:
            del waiting[number]
            remove(number)


def _wake(future: asyncio.Future[bool], *, still_open: bool = True) -> None:
    if not future.done():
        future.set_result(still_open)
