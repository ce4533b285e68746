"""What a call gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from wassette_protocol.frames import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wassette_supervisor.pool.grants import Directory


class DeniedFile(msgspec.Struct, frozen=True):
    """A path within a granted directory that the rules refused, in the worker's words."""

    path: str  # of the host
    access: Literal["read", "write"]


def denied_files(usage: Usage, directories: Sequence[Directory]) -> tuple[DeniedFile, ...]:
    """What a worker says that was refused; nothing outside of what it was given."""
    found = []
    for refused in usage.refused:
        names = refused.path.split(b"/")
        if refused.directory < len(directories) and not _UNTOLD.intersection(names):
            root = directories[refused.directory].path.rstrip("/")
            path = f"{root}/{refused.path.decode('utf-8', 'surrogateescape')}"
            found.append(DeniedFile(path, "write" if refused.write else "read"))
    return tuple(found)


# What no path has that a guard has walked.
_UNTOLD = {b"", b".", b".."}


class CallOutcome(msgspec.Struct, frozen=True):
    """A guest's answer; every other ending of a call is a CallError."""

    value: dict[str, Any]  # {"result": …}, or {} for a function without a result
    failed: bool  # the function's own result<T, E> was its error
    usage: Usage
    result_bytes: int  # of `value`, as JSON
    queue_us: int  # waited for a worker's place
    total_us: int  # from the request to the answer
    output: str  # the last of what the guest wrote to standard output and error
    denied: tuple[DeniedFile, ...] = ()
    hosts: tuple[str, ...] = ()  # of requests that no rule allowed
