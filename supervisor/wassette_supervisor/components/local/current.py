"""Which notices still hold: a server may have written them long ago."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_supervisor.components.local.files import path_of, stamp_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.store.noticed import Noticed, Notices
    from wassette_supervisor.store.record import Record


def current(notices: Notices, records: Mapping[ComponentId, Record]) -> list[Noticed]:
    """The notices of files that are as they were, and not loaded since.

    Raises:
        StoreError: They can't be read.
    """
    return [
        noticed
        for noticed in notices.read()
        if not _is_loaded(noticed, records) and _is_unchanged(noticed)
    ]


def _is_loaded(noticed: Noticed, records: Mapping[ComponentId, Record]) -> bool:
    record = records.get(noticed.id) if noticed.id else None
    return record is not None and (record.source, record.digest) == (noticed.source, noticed.digest)


def _is_unchanged(noticed: Noticed) -> bool:
    try:
        return stamp_of(path_of(noticed.source).lstat()) == noticed.stamp
    except (OSError, ValueError):
        return False
