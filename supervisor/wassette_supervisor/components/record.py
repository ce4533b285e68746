"""What the store keeps of a component: enough to list its tools without looking at its bytes."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from wassette_protocol.frames import ComponentId, Digest, Export, LeftOut


class ToolRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An export under the name that clients call it by."""

    name: str
    export: Export
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One loaded component."""

    id: ComponentId
    source: str  # the reference that it was loaded from
    digest: Digest
    loaded: float  # seconds since the epoch; the earlier of two components keeps a tool's name
    imports: list[str]
    tools: list[ToolRecord]
    left_out: list[LeftOut]
    format: int = 1


class Loaded(NamedTuple):
    record: Record
    reloaded: bool  # it was there already, and was replaced or left as it is
