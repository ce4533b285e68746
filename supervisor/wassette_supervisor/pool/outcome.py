"""What a call gave."""

from __future__ import annotations

from typing import Any

import msgspec

from wassette_protocol.frames import Usage


class CallOutcome(msgspec.Struct, frozen=True):
    """A guest's answer; every other ending of a call is a CallError."""

    value: dict[str, Any]  # {"result": …}, or {} for a function without a result
    failed: bool  # the function's own result<T, E> was its error
    usage: Usage
    result_bytes: int  # of `value`, as JSON
    queue_us: int  # waited for a worker's place
    total_us: int  # from the request to the answer
    output: str  # the last of what the guest wrote to standard output and error
