"""Components whose processes crashed too often: not called any more, until an operator says so.

The mark stands in the component's record, so that `component list` shows it, every server of the
store heeds it, and a restart does not forget it. What crashed when is counted by each server for
itself.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import anyio
import msgspec
import structlog

from wassette_supervisor.audit.entry import Event
from wassette_supervisor.errors import (
    AuditError,
    CallError,
    OperatorNeededError,
    StoreError,
    SupervisorError,
)
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wassette_protocol.frames import ComponentId, Digest
    from wassette_supervisor.audit.log import AuditLog
    from wassette_supervisor.components.calls import Call
    from wassette_supervisor.store.record import Record
    from wassette_supervisor.store.store import Store

log = structlog.get_logger(__name__)

_ENDED = "its component is quarantined; ask the operator before you call it again"


class QuarantinedError(OperatorNeededError):
    """The component may not be called until it is released."""

    def __init__(self, component: str, why: str) -> None:
        self.component = component
        text = f"the tool was not run because its component {component!r} is quarantined: {why}"
        super().__init__(text, "component", "release", component)


class Crashes(Protocol):
    """Whoever counts crashes and runs calls: a pool."""

    def held_back(self, digest: Digest) -> str | None:
        """Why nothing of a component is started any more."""

    def pardon(self, digest: Digest) -> None:
        """Forget what crashed."""

    async def stop(self, component: ComponentId, reason: str) -> None:
        """End the calls of a component."""


class Quarantine:
    """Puts components in, keeps their calls from running, and lets them out."""

    def __init__(self, store: Store, audit: AuditLog, pool: Crashes) -> None:
        self._store = store
        self._audit = audit
        self._pool = pool
        self._one = anyio.Lock()

    async def refuse(self, call: Call) -> None:
        """Let no call of a quarantined component start; that is on record.

        Raises:
            QuarantinedError: It is one.
        """
        record = call.record
        # Perhaps a crash of nobody's call, or one that could not be kept, as on a full disk.
        why = record.quarantined or await self._look(record)
        if why is not None:
            error = QuarantinedError(record.id, why)
            call.refused(error)
            raise error

    @asynccontextmanager
    async def watched(self, record: Record) -> AsyncIterator[None]:
        """See, after a call has failed, whether it was one crash too many."""
        try:
            yield
        except CallError:
            with anyio.CancelScope(shield=True):
                await self._look(record)
            raise

    async def _look(self, record: Record) -> str | None:
        """Why the component is quarantined from now on, if it is."""
        if self._pool.held_back(record.digest) is None:
            return None
        async with self._one:
            why = self._pool.held_back(record.digest)
            if why is None:  # another call saw to it
                return None
            log.warning("component.quarantined", component=record.id, why=why)
            try:
                marked = await run_sync(self._mark, record.digest, why)
            except SupervisorError as error:
                # It is refused all the same, by the pool, as long as this server runs.
                log.warning("quarantine.not_kept", component=record.id, why=str(error))
                return why
            for component in marked:
                await self._pool.stop(component, _ENDED)
            if marked:  # else no record can be read now, and the pool is the one that remembers
                self._pool.pardon(record.digest)
            return why

    def _mark(self, digest: Digest, why: str) -> list[ComponentId]:
        with self._store.writing("quarantine a component"):
            found = [record for record in self._store.records().values() if record.digest == digest]
            for record in found:
                try:
                    self._audit.append(
                        Event.QUARANTINE,
                        component=record.id,
                        digest=digest,
                        decision="denied",
                        detail={"why": why},
                    )
                except AuditError as error:  # what takes away is done all the same
                    log.warning("audit.unwritable", why=str(error))
                self._store.save(msgspec.structs.replace(record, quarantined=why))
        return [record.id for record in found]

    async def release(self, component: ComponentId, *, client: str | None = None) -> bool:
        """Let a component be called again; whether it was quarantined.

        Raises:
            UnknownComponentError: There is none of this id.
            StoreError: The store can't be written, or its record is damaged.
        """
        return await run_sync(self._release, component, client)

    def _whole(self, component: ComponentId) -> Record:
        if component in self._store.damaged_ids():
            raise StoreError(
                f"the record of {component!r} is damaged, so nothing was released; run "
                f"`component repair {component}` first"
            )
        return self._store.record(component)

    def _release(self, component: ComponentId, client: str | None) -> bool:
        with self._store.writing(f"release {component}"):
            record = self._whole(component)
            if record.quarantined is None:
                return False
            self._audit.append(
                Event.RELEASE,
                component=component,
                digest=record.digest,
                client=client,
                decision="allowed",
            )
            self._store.save(msgspec.structs.replace(record, quarantined=None))
        return True
