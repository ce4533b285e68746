"""The question whether a compiled component is kept, and offering what waits in a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_supervisor.authority.changes import NOTHING_STANDS
from wassette_supervisor.components.wants import wants
from wassette_supervisor.consent.change import Asked, Keep
from wassette_supervisor.policy.numbering import numbered

if TYPE_CHECKING:
    from wassette_supervisor.components.drafts import Draft
    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.store.record import Record


def asked_to_keep(backend: Backend, draft: Draft) -> Asked | None:
    """The question, with what was found; none if it is what is there already."""
    records = backend.records()
    record = draft.named(records)
    earlier = records.get(record.id)
    if earlier is not None and earlier.digest == record.digest:
        return None
    change = Keep(
        component=record.id,
        reference=record.source,
        digest=record.digest,
        tools=tuple(tool.name for tool in record.tools),
        wants=wants(record.imports),
        replaces=earlier.digest if earlier else None,
        rules=rules_of(backend, earlier),
        local=draft.record.local,
    )
    standing = backend.permissions.standing(earlier) if earlier else NOTHING_STANDS
    return Asked(change, standing)


def rules_of(backend: Backend, record: Record | None) -> int:
    """How many rules a component's policy has."""
    policy = backend.permissions.attached(record).policy if record else None
    return len(numbered(policy)) if policy else 0
