"""The limits that a policy may set: their names, how they are written, and their bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_supervisor.limits import LIMITS, Limit
from wassette_supervisor.quantities import size, size_text, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

# By the path under `limits`; the first field is that of `Resources`.
RESOURCES: dict[str, Limit] = {
    "memory": LIMITS["memory"]._replace(field="memory"),
    "wall_time": LIMITS["wall_time"]._replace(field="wall_time"),
    "fuel": LIMITS["fuel"]._replace(field="fuel"),
    "output": LIMITS["output"]._replace(field="output"),
    "requests": LIMITS["requests"],
    "request_bytes": LIMITS["request_bytes"],
    "response_bytes": LIMITS["response_bytes"],
    "storage.file": Limit("storage_file", size(1 << 40), size_text),
    "storage.files": Limit("storage_files", whole(1, 1_000_000)),
}
# What policy-mcp has and no process can be held to here: accepted, it would be a promise.
FOREIGN: Mapping[str, str] = {
    "cpu": "write wall_time, as 30s, or fuel, a number of instructions",
    "io": "write storage, as {file: 10Mi, files: 100}",
}


def mebibytes(text: str) -> str:
    """policy-mcp's memory is a bare number of MiB."""
    return f"{text}Mi" if text.isascii() and text.isdigit() else text
