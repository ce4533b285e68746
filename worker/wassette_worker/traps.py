"""Why a guest ended, from what the engine says of it.

The C API gives these errors no code: only their text tells them apart (wasmtime 50).
"""

from __future__ import annotations

import mmap
from typing import NamedTuple

from wasmtime import ExitTrap, WasmtimeError

from wassette_protocol.frames import Ending

_MAX_DETAIL = 500


class Cause(NamedTuple):
    ending: Ending
    detail: str


# In this order: a later text may hold an earlier one. What a guest chooses (the names of its
# functions in a backtrace) stands above the line that is looked at.
_BY_TEXT = (
    ("fuel allocated for hostcalls has been exhausted", Ending.HOST_COPY),
    ("all fuel consumed by WebAssembly", Ending.FUEL),
    ("interrupt", Ending.EPOCH),
    ("exceeds memory limits", Ending.MEMORY),
    ("resource limit exceeded", Ending.MEMORY),
    ("exceeds table limits", Ending.MEMORY),
)

_EXECUTING = "error while executing"

_EXHAUSTED_SHARE = 7 / 8

_GRAIN = 1 << 16  # bytes: a page of WebAssembly
_MAP_NORESERVE = 0x4000  # asm-generic/mman-common.h


def classify(error: WasmtimeError, *, memory_limit: int, memory_used: int) -> Cause:
    """Say why the guest ended; `memory_used` and the limit are bytes of linear memory.

    A guest whose `memory.grow` was refused ends, if it ends, with a trap of its own choice:
    only how much it held tells that memory was the reason.
    """
    if isinstance(error, ExitTrap):
        return Cause(Ending.EXIT, str(error.code))
    reason = last_reason(error)
    for text, ending in _BY_TEXT:
        if text in reason:
            # A result is copied when the guest has returned, and is executing nothing.
            gave = ending is Ending.HOST_COPY and str(error).startswith(_EXECUTING)
            return Cause(Ending.HOST_TAKE if gave else ending, reason)
    gave_up = "unreachable" in reason or "call stack exhausted" in reason
    if gave_up and memory_used >= memory_limit * _EXHAUSTED_SHARE:
        return Cause(Ending.MEMORY, f"{reason}, with {memory_used >> 20} MiB in use")
    return Cause(Ending.TRAP, reason)


def last_reason(error: BaseException) -> str:
    """The innermost cause in an error of the engine, on one line and bounded."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1] if lines else type(error).__name__
    reason = reason.split(": ", 1)[1] if reason[:1].isdigit() and ": " in reason else reason
    return reason.removeprefix("wasm trap: ")[:_MAX_DETAIL]


class MemoryGauge:
    """How much private writable memory the process holds, against a mark set before.

    It is measured by what RLIMIT_DATA leaves: the file that tells it is out of a worker's reach.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit  # bytes of RLIMIT_DATA
        self._mark = self._room()

    def used(self) -> int:
        """Bytes above the mark, to some pages; 0 where the kernel keeps no such limit."""
        return max(0, self._mark - self._room())

    def _room(self) -> int:
        fits, too_much = 0, self._limit // _GRAIN + 1
        while too_much - fits > 1:
            tried = (fits + too_much) // 2
            fits, too_much = (tried, too_much) if _has_room(tried * _GRAIN) else (fits, tried)
        return fits * _GRAIN


def _has_room(size: int) -> bool:
    """Whether so much more may be mapped; nothing of it is touched, so it costs no memory."""
    try:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | _MAP_NORESERVE).close()
    except OSError:
        return False
    return True
