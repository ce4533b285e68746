"""Blocking work in threads; where the system gives none, that is an error of one call."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from anyio import to_thread

from wassette_supervisor.errors import NoRoomError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# CPython's words for a refusal of the system, Modules/_threadmodule.c; it has no class of its own.
_REFUSED = "can't start new thread"


async def run_sync(
    function: Callable[[*Ts], T], *arguments: *Ts, abandon_on_cancel: bool = False
) -> T:
    """As anyio's.

    Raises:
        NoRoomError: The system gave no thread; the function was not called.
    """
    try:
        return await to_thread.run_sync(function, *arguments, abandon_on_cancel=abandon_on_cancel)
    except RuntimeError as error:
        if str(error) != _REFUSED:
            raise
        raise NoRoomError("no thread could be started") from error


def room_for(count: int) -> bool:
    """Whether the system gives this process so many threads now; they end at once."""
    enough = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(count):
            thread = threading.Thread(target=enough.wait)
            thread.start()
            started.append(thread)
    except RuntimeError:
        return False
    finally:
        enough.set()
        for thread in started:
            thread.join()
    return True
