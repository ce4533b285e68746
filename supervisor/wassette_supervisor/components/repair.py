"""Making anew what is damaged of a component, of what is whole; nothing is granted by it.

The bytes come from the file that they were loaded from, if it still has the same digest. Compiled
code and the record, with its tools, are made of the bytes; of which bytes, a damaged record can't
tell, but the audit log can. A policy, an approval or a secret is never made up: without them the
component has less.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from wassette_protocol.frames import ComponentId, Digest
from wassette_supervisor.audit.entry import Event
from wassette_supervisor.audit.reading import Damaged, Wanted, entries
from wassette_supervisor.components import source
from wassette_supervisor.components.drafts import Draft
from wassette_supervisor.components.faults import Fault, Faults, of_record
from wassette_supervisor.components.source import Fetched
from wassette_supervisor.errors import (
    LoadError,
    NoRoomError,
    StoreError,
    UnknownComponentError,
    one_line,
)
from wassette_supervisor.store.record import COMPONENT_ID, Record
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from wassette_supervisor.audit.log import AuditLog
    from wassette_supervisor.pool.compiler import Compiler
    from wassette_supervisor.store.store import Store

    Progress = Callable[[str], Awaitable[None]]


class Mended(NamedTuple):
    part: str
    how: str


class Repaired(NamedTuple):
    """What was done for one component, and what is still wrong with it."""

    component: str
    mended: list[Mended]
    left: list[Fault]
    quarantined: str | None = None  # why it may not be called, damaged or not


class Engine(Protocol):
    """What compiles: a pool."""

    compiler: Compiler

    @property
    def engine_key(self) -> str:
        """What compiled code depends on beside its component."""


class _Known(NamedTuple):
    """What the audit log tells of a component that is loaded."""

    digest: Digest
    source: str
    quarantined: str | None = None  # why these bytes are, unless somebody released them

    def with_mark(self, digest: str, why: str | None) -> _Known:
        """As it is after these bytes were quarantined, or released."""
        return self._replace(quarantined=why) if digest == self.digest else self


class Repairs:
    """Finds what is damaged in a store, and mends it; several processes may at once."""

    def __init__(self, store: Store, engine: Engine, audit: AuditLog) -> None:
        self._store = store
        self._engine = engine
        self._audit = audit

    def faults(self) -> dict[str, list[Fault]]:
        """What is wrong with each component, but for its compiled code; as `Faults.all`.

        Raises:
            StoreError: The store can't be read.
        """
        records = self._store.records()
        return Faults(self._store).all(records, self._store.damaged)

    async def repair_all(self, progress: Progress, client: str | None = None) -> list[Repaired]:
        """Repair whatever is damaged, one after the other.

        Raises:
            StoreError: The store can't be read.
            AuditError: A repair can't be recorded.
        """
        records = await run_sync(self._store.records)
        faults = Faults(self._store)
        found = set(await run_sync(faults.all, records, self._store.damaged))
        compiled = await run_sync(faults.of_compiled_code)
        found |= {record.id for record in records.values() if record.digest in compiled}
        repaired = []
        for component in sorted(found):
            await progress(f"looking at {component}")
            if COMPONENT_ID.fullmatch(component):
                repaired.append(await self.repair(ComponentId(component), progress, client))
            else:
                reason = self._store.damaged.get(component, "it is none")
                repaired.append(Repaired(component, [], [of_record(component, reason)]))
        return repaired

    async def repair(
        self, component: ComponentId, progress: Progress, client: str | None = None
    ) -> Repaired:
        """Repair one component.

        Raises:
            UnknownComponentError: There is none of this id, and there was none.
            StoreError: The store can't be read.
            AuditError: The repair can't be recorded.
        """
        if not COMPONENT_ID.fullmatch(component):
            raise UnknownComponentError(component)
        mended: list[Mended] = []
        failed: dict[str, str] = {}
        if await run_sync(self._readable, component) is None:
            try:
                mended += await self._remake_record(component, progress, client)
            except (LoadError, NoRoomError, StoreError) as error:
                fault = of_record(f"{component}.json", self._why_damaged(component))
                left = fault._replace(why=one_line(f"{fault.why}; {error}"))
                return Repaired(component, [], [left])
        record = await run_sync(self._store.record, component)
        for part, mend in (("component", self._mend_bytes), ("compiled code", self._mend_code)):
            try:
                mended += await mend(record, progress, client)
            except (LoadError, NoRoomError, StoreError) as error:
                failed[part] = str(error)
        still = await run_sync(self._left, record, failed)
        return Repaired(component, mended, still, record.quarantined)

    # --- the record -----------------------------------------------------------------------

    def _readable(self, component: ComponentId) -> Record | None:
        try:
            return self._store.record(component)
        except UnknownComponentError:
            return None

    def _why_damaged(self, component: ComponentId) -> str:
        self._store.records()
        return self._store.damaged.get(f"{component}.json", "it is missing")

    async def _remake_record(
        self, component: ComponentId, progress: Progress, client: str | None
    ) -> list[Mended]:
        was_there = await run_sync(self._store.has_record, component)
        known = await run_sync(self._known, component)
        if known is None:
            if not was_there:
                raise UnknownComponentError(component)
            raise LoadError("the audit log does not tell what it was loaded from")
        fetched = await run_sync(self._fetched, known)
        try:
            compiled, artefact = await self._engine.compiler.compile(
                fetched.descriptor, fetched.size, progress
            )
        except BaseException:
            os.close(fetched.descriptor)
            raise
        record = Record(
            id=component,
            source=known.source,
            digest=known.digest,
            loaded=time.time(),
            imports=compiled.imports,
            tools=[],
            left_out=compiled.left_out,
            quarantined=known.quarantined,
        )
        draft = Draft(record, fetched, compiled, artefact)
        try:
            return await run_sync(self._keep, draft, was_there, client)
        finally:
            draft.close()

    def _known(self, component: ComponentId) -> _Known | None:
        """The latest load of a component that was not unloaded since."""
        known: _Known | None = None
        for entry in entries(self._audit.directory, Wanted(component=component)):
            if isinstance(entry, Damaged):
                continue
            match entry.event, entry.digest, entry.detail:
                case Event.LOAD, str(digest), {"source": str(reference)}:
                    same = known is not None and known.digest == digest
                    why = known.quarantined if known is not None and same else None
                    known = _Known(Digest(digest), reference, why)
                case Event.UNLOAD, _, _:
                    known = None
                case Event.QUARANTINE, str(digest), {"why": str(why)}:
                    known = known and known.with_mark(digest, why)
                case Event.RELEASE, str(digest), _:
                    known = known and known.with_mark(digest, None)
        return known

    def _fetched(self, known: _Known) -> Fetched:
        if self._store.blob_damage(known.digest) is None:
            blob = self._store.open_blob(known.digest)
            return Fetched(blob, os.fstat(blob).st_size, known.digest, "")
        return _from_source(known.source, known.digest)

    def _keep(self, draft: Draft, was_there: bool, client: str | None) -> list[Mended]:  # noqa: FBT001 - as run_sync passes it
        component = draft.record.id
        with self._store.writing(f"repair {component}"):
            if self._readable(component) is not None:  # by another repair, or loaded again
                return []
            gone = was_there and not self._store.has_record(component)
            if gone or (not was_there and self._known(component) is None):
                raise UnknownComponentError(component)
            record = draft.named(self._store.records())
            with self._recorded(record, "record", client):
                self._store.add_blob(record.digest, draft.fetched.descriptor, draft.fetched.size)
                self._store.add_artefact(
                    record.digest, self._engine.engine_key, draft.artefact, draft.compiled.artefact
                )
                self._store.save(record)
        tools = ", ".join(tool.name for tool in record.tools)
        how = f"made of the component's bytes, with the tools {tools}; nothing is approved"
        return [Mended("record", one_line(how))]

    # --- what is kept beside it -----------------------------------------------------------

    async def _mend_bytes(self, record: Record, _: Progress, client: str | None) -> list[Mended]:
        return await run_sync(self._put_bytes, record, client)

    def _put_bytes(self, record: Record, client: str | None) -> list[Mended]:
        if self._store.blob_damage(record.digest) is None:
            return []
        fetched = _from_source(record.source, record.digest)
        try:
            with self._store.writing(f"repair {record.id}"):
                if self._store.blob_damage(record.digest) is None:  # by another repair
                    return []
                if self._readable(record.id) is None:
                    raise UnknownComponentError(record.id)
                with self._recorded(record, "component", client):
                    self._store.add_blob(record.digest, fetched.descriptor, fetched.size)
        finally:
            os.close(fetched.descriptor)
        return [Mended("component", one_line(f"read again from {record.source}"))]

    async def _mend_code(
        self, record: Record, progress: Progress, client: str | None
    ) -> list[Mended]:
        if not await run_sync(self._remove_code, record, client):
            return []
        blob = await run_sync(self._store.open_blob, record.digest)
        try:
            compiled, artefact = await self._engine.compiler.compile(
                blob, os.fstat(blob).st_size, progress
            )
        finally:
            os.close(blob)
        try:
            await run_sync(self._add_code, record, artefact, compiled.artefact)
        finally:
            os.close(artefact)
        return [Mended("compiled code", "compiled again of the component's bytes")]

    def _remove_code(self, record: Record, client: str | None) -> bool:
        if not self._damaged_code(record):
            return False
        with self._store.writing(f"repair {record.id}"):
            damaged = self._damaged_code(record)
            with self._recorded(record, "compiled code", client):
                for path in damaged:
                    self._store.remove_artefact(path)
        return bool(damaged)

    def _damaged_code(self, record: Record) -> list[Path]:
        return list(self._store.damaged_artefacts(record.digest))

    def _add_code(self, record: Record, artefact: int, size: int) -> None:
        with self._store.writing(f"repair {record.id}"):
            self._store.add_artefact(record.digest, self._engine.engine_key, artefact, size)

    # --- what was done --------------------------------------------------------------------

    def _left(self, record: Record, failed: dict[str, str]) -> list[Fault]:
        faults = Faults(self._store)
        compiled = faults.of_compiled_code(record.digest)
        return [
            fault._replace(why=one_line(f"{fault.why}; {failed[fault.part]}"))
            if fault.part in failed
            else fault
            for fault in [*faults.of(record), *compiled.values()]
        ]

    @contextmanager
    def _recorded(self, record: Record, part: str, client: str | None) -> Iterator[None]:
        """Record a repair before it is made, for else it is not."""
        self._audit.append(
            Event.REPAIR,
            component=record.id,
            digest=record.digest,
            client=client,
            detail={"part": part, "source": record.source},
        )
        yield


def _from_source(reference: str, digest: Digest) -> Fetched:
    """The bytes of this digest, from where they were loaded.

    Raises:
        LoadError: They are no longer there.
    """
    fetched = source.read_component(reference)
    if fetched.digest != digest:
        os.close(fetched.descriptor)
        raise LoadError(f"what {one_line(reference)} holds now is another component")
    return fetched
