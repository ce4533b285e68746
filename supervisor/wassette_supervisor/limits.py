"""The limits of a call as people write them, and how far each may be raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wassette_protocol.capabilities import MIB
from wassette_protocol.codec import MAX_RESULT_BYTES
from wassette_supervisor.quantities import duration, duration_text, size, size_text, whole

if TYPE_CHECKING:
    from collections.abc import Callable


class Limit(NamedTuple):
    """A limit as people write it, and the field of `Limits` that it sets."""

    field: str
    parse: Callable[[object], int]
    text: Callable[[int], str] = str


# Beyond these upper bounds a limit would not limit: a call could take the machine with it.
LIMITS: dict[str, Limit] = {
    "fuel": Limit("fuel", whole(1, (1 << 63) - 1)),
    "memory": Limit("memory", size(4 << 30), size_text),  # all that a 32-bit memory can have
    "wall_time": Limit("wall_time_ms", duration(), duration_text),
    "output": Limit("output", size(64 * MIB), size_text),
    "arguments": Limit("arguments", size(MAX_RESULT_BYTES), size_text),
    "result": Limit("result", size(MAX_RESULT_BYTES), size_text),
    "result_nodes": Limit("result_nodes", whole(1, 10_000_000)),  # 1 GB of the supervisor
    "requests": Limit("requests", whole(1, 100_000)),
    "concurrent_requests": Limit("concurrent_requests", whole(1, 256)),  # files of the broker
    "request_bytes": Limit("request_bytes", size(1 << 40), size_text),
    "response_bytes": Limit("response_bytes", size(1 << 40), size_text),
    "first_byte": Limit("first_byte_ms", duration(), duration_text),
    "request_time": Limit("request_time_ms", duration(), duration_text),
    "memories": Limit("memories", whole(1, 100)),
    "tables": Limit("tables", whole(1, 1000)),
    "table_elements": Limit("table_elements", whole(1, 10_000_000)),
    "instances": Limit("instances", whole(1, 10_000)),
}
