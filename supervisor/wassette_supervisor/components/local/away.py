"""Taking away what a component's file took with it, and giving it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from wassette_supervisor.audit.entry import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wassette_supervisor.audit.log import AuditLog
    from wassette_supervisor.store.record import Record
    from wassette_supervisor.store.store import Store

_GONE = "its file is gone; all else of it is kept"
_BACK = "its file is there again, with the same bytes"


def follow(store: Store, audit: AuditLog, changed: Sequence[Record], client: str) -> list[Record]:
    """Have each component be away if it was not, and not if it was; on record first.

    Args:
        store: Theirs.
        audit: Where it is recorded.
        changed: The records as they were when their files were looked at. One that has changed
            since, by hand or by another server, is left alone.
        client: Who does it, for the record.

    Returns:
        The records that are kept now in place of the earlier ones.

    Raises:
        AuditError: It can't be recorded; what was not is not done.
        StoreError: The store can't be written.
    """
    done: list[Record] = []
    with store.writing("follow a directory"):
        records = store.records()
        for expected in changed:
            record = records.get(expected.id)
            if record != expected:
                continue
            away = not record.away
            audit.append(
                Event.UNLOAD if away else Event.LOAD,
                component=record.id,
                digest=record.digest,
                client=client,
                decision="allowed",
                detail={"source": record.source, "why": _GONE if away else _BACK},
            )
            done.append(msgspec.structs.replace(record, away=away))
            store.save(done[-1])
    return done
