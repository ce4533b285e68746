"""What a store holds at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wassette_protocol.frames import ComponentId, Digest
    from wassette_supervisor.store.record import Record, ToolRecord
    from wassette_supervisor.store.store import Store


@dataclass(frozen=True)
class Snapshot:
    """What the store holds at one generation; replaced as a whole, never changed."""

    generation: int
    records: Mapping[ComponentId, Record]
    damaged: Mapping[str, str]
    tools: Mapping[str, tuple[Record, ToolRecord]]

    def in_use(self) -> set[Digest]:
        """The bytes that a call may need."""
        return {record.digest for record in self.records.values() if not record.away}


def read(store: Store) -> Snapshot:
    """Read the store as it is now.

    Raises:
        StoreError: It can't be read.
    """
    # The generation first: what changes meanwhile is read again.
    generation = store.generation()
    records = store.records()
    in_order = sorted(records.values(), key=lambda record: (record.loaded, record.id))
    tools: dict[str, tuple[Record, ToolRecord]] = {}
    for record in in_order:
        for tool in record.tools if not record.away else ():
            tools.setdefault(tool.name, (record, tool))
    return Snapshot(
        generation,
        MappingProxyType(records),
        MappingProxyType(dict(store.damaged)),
        MappingProxyType(tools),
    )


async def silent(_: str) -> None:
    """Tell nobody of a stage."""
