"""A component that was read and compiled, and is kept only if somebody says so."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from wassette_supervisor import bounded_json
from wassette_supervisor.components import names
from wassette_supervisor.errors import LoadError
from wassette_supervisor.store.record import Record, ToolRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wassette_protocol.frames import Compiled, ComponentId
    from wassette_supervisor.components.source import Fetched


@dataclass
class Draft:
    """Holds descriptors of the bytes and of the compiled code; `close` it."""

    record: Record  # its tools have no names yet
    fetched: Fetched
    compiled: Compiled
    artefact: int
    _closed: bool = field(default=False, repr=False)

    def named(self, records: Mapping[ComponentId, Record]) -> Record:
        """Give the tools their names: those of other components are taken, earlier ones kept."""
        return named(self.record, self.compiled, records)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self.artefact)
            os.close(self.fetched.descriptor)


def described(
    component: ComponentId, reference: str, fetched: Fetched, compiled: Compiled
) -> Record:
    """A record of what was compiled; its tools have no names yet."""
    return Record(
        id=component,
        source=reference,
        digest=fetched.digest,
        loaded=time.time(),
        imports=compiled.imports,
        tools=[],
        left_out=compiled.left_out,
    )


def named(draft: Record, compiled: Compiled, records: Mapping[ComponentId, Record]) -> Record:
    """As `Draft.named`."""
    others = {
        tool.name for record in records.values() if record.id != draft.id for tool in record.tools
    }
    earlier = records.get(draft.id)
    previous = {tool.export: tool.name for tool in earlier.tools} if earlier else {}
    exports = [tool.export for tool in compiled.tools]
    tools = [
        ToolRecord(
            name=name,
            export=tool.export,
            description=tool.docs,
            input_schema=_schema(tool.input_schema),
            output_schema=None if tool.output_schema is None else _schema(tool.output_schema),
        )
        for name, tool in zip(
            names.name_tools(draft.id, exports, others, previous), compiled.tools, strict=True
        )
    ]
    # The fault is in the bytes: under whatever name they are loaded again, they stay held back.
    same = [record for record in records.values() if record.digest == draft.digest]
    held_back = next((record.quarantined for record in same if record.quarantined), None)
    if earlier is None:
        loaded = _after(records, draft.loaded)
        # A record that is made anew has the mark of the one that was there.
        held_back = held_back or draft.quarantined
        return msgspec.structs.replace(draft, tools=tools, quarantined=held_back, loaded=loaded)
    return msgspec.structs.replace(
        draft,
        tools=tools,
        quarantined=held_back,
        loaded=earlier.loaded,
        # What was loaded by hand as well stays when its file goes.
        local=draft.local and earlier.local,
        policy=earlier.policy,
        policy_next=earlier.policy_next,
        policy_text=earlier.policy_text,
        # Or what was taken back would be allowed again by loading the same bytes anew.
        narrowed=earlier.narrowed,
    )


def _after(records: Mapping[ComponentId, Record], now: float) -> float:
    """A time that is later than the others', even if the clock was set back since."""
    latest = max((record.loaded for record in records.values()), default=-math.inf)
    return max(now, math.nextafter(latest, math.inf))


_SCHEMA: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])
_MAX_SCHEMA_NODES = 20_000
_MAX_SCHEMA_DEPTH = 300


def _schema(raw: bytes) -> dict[str, Any]:
    """A schema as the compile worker sent it: untrusted, so bounded before it is built."""
    try:
        bounded_json.check(raw, max_nodes=_MAX_SCHEMA_NODES, max_depth=_MAX_SCHEMA_DEPTH)
        schema = _SCHEMA.decode(raw)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise LoadError(f"the compile worker sent a schema that can't be used: {error}") from error
    if schema.get("type") != "object":
        raise LoadError("the compile worker sent a schema of something else than an object")
    return schema
