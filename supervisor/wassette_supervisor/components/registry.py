"""The loaded components: their tools by name, loading, unloading, and calls on them."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import structlog

from wassette_supervisor.audit.entry import Event
from wassette_supervisor.authority.changes import NOTHING_STANDS, ChangedMeanwhileError
from wassette_supervisor.components import names, snapshot, source
from wassette_supervisor.components.calls import Call
from wassette_supervisor.components.drafts import Draft, described, named
from wassette_supervisor.components.kept import Kept
from wassette_supervisor.components.local import files as local_files
from wassette_supervisor.components.local.away import follow
from wassette_supervisor.components.local.current import current
from wassette_supervisor.components.local.files import ChangedFileError
from wassette_supervisor.components.quarantine import Quarantine
from wassette_supervisor.components.repair import Repairs
from wassette_supervisor.components.requests import CallRequests
from wassette_supervisor.components.rights import Rights
from wassette_supervisor.components.snapshot import Snapshot, silent
from wassette_supervisor.components.taken import refuse_taken
from wassette_supervisor.errors import (
    LimitExceededError,
    StoreError,
    SupervisorError,
    UnknownComponentError,
    UnknownToolError,
)
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.store.noticed import Notices
from wassette_supervisor.store.record import Loaded, Record
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from wassette_protocol.frames import Compiled, ComponentId
    from wassette_supervisor.audit.log import AuditLog
    from wassette_supervisor.authority.changes import Standing
    from wassette_supervisor.authority.permissions import Permissions
    from wassette_supervisor.components.source import Fetched
    from wassette_supervisor.pool.outcome import CallOutcome
    from wassette_supervisor.pool.pool import Pool
    from wassette_supervisor.settings import Settings
    from wassette_supervisor.store.noticed import Noticed
    from wassette_supervisor.store.record import ToolRecord
    from wassette_supervisor.store.store import Store

log = structlog.get_logger(__name__)

# How long a change by another process may go unnoticed by a client that waits for one; a call
# or a list notices it at once.
POLL_S = 1.0


class Registry:
    """One store of components and one pool of workers."""

    def __init__(
        self,
        store: Store,
        pool: Pool,
        settings: Settings,
        permissions: Permissions,
        audit: AuditLog,
    ) -> None:
        self.permissions = permissions
        self.rights = Rights(permissions, audit, pool)
        self.repairs = Repairs(store, pool, audit)
        self.quarantine = Quarantine(store, audit, pool)
        self.audit = audit
        self._store = store
        self._pool = pool
        self._settings = settings
        self._one_change = anyio.Lock()
        self._one_compile = anyio.Lock()
        self._snapshot = snapshot.read(store)
        self._changed = anyio.Event()

    def records(self) -> Mapping[ComponentId, Record]:
        return self._current().records

    def damaged(self) -> Mapping[str, str]:
        return self._current().damaged

    def warn_of_damage(self) -> None:
        """Log each entry of the store that can't be used; those to come are logged as they come."""
        self._warn_of_damage({})

    def _warn_of_damage(self, known: Mapping[str, str]) -> None:
        for file, why in self._snapshot.damaged.items():
            if known.get(file) != why:
                log.warning("store.record_damaged", file=file, why=why)

    def catalog(self) -> Mapping[str, tuple[Record, ToolRecord]]:
        return self._current().tools

    async def changes(self) -> AsyncIterator[None]:
        """One item for each change of the tools, whoever made it."""
        seen = self.catalog()
        while True:
            with anyio.move_on_after(POLL_S):
                await self._changed.wait()
            try:
                now = self.catalog()
            except StoreError:  # whoever lists or calls meanwhile is told
                continue
            if now != seen:
                seen = now
                yield

    async def call(
        self, tool: str, arguments: Mapping[str, Any], *, client: str | None = None
    ) -> CallOutcome:
        """Run a tool; cancelling this kills its worker.

        Raises:
            UnknownToolError: There is none of this name.
            SupervisorError: The call was refused, or ended without a result.
        """
        found = self.catalog().get(tool)
        if found is None:
            raise UnknownToolError(tool)
        record, entry = found
        encoded = msgspec.json.encode(arguments)
        call = Call(self.audit, record, tool, client)
        if len(encoded) > self._settings.limits.arguments:
            limit = LIMITS["arguments"].text(self._settings.limits.arguments)
            error = LimitExceededError("arguments", limit, f"they have {len(encoded)} bytes")
            call.refused(error)
            raise error
        await self.quarantine.refuse(call)
        await self.rights.look(record)
        granted = await call.settled(self.permissions, self.records)
        requests = CallRequests(call, granted)
        with call.running(granted, arguments if self._settings.audit_arguments else None) as ended:
            async with self.quarantine.watched(record):
                kept = Kept(record.digest, self._store, self._pool)
                with requests.offering():
                    outcome = await self._pool.call(
                        kept,
                        entry.export,
                        encoded,
                        grants=granted.grants,
                        component=record.id,
                        records=call,
                        requests=requests,
                    )
            ended.returned(outcome)
        return msgspec.structs.replace(outcome, hosts=tuple(requests.offered))

    async def load(
        self,
        reference: str,
        *,
        name: str | None,
        progress: Callable[[str], Awaitable[None]],
        policy: bytes | None = None,
        client: str | None = None,
    ) -> Loaded:
        """Compile a component and keep it; with a policy, that one in place of what it had.

        Raises:
            LoadError: It can't be had, or is none that we can run.
            PolicyError: The policy is none that can be enforced.
            StoreError: It can't be kept.
        """
        if policy is not None:
            self.permissions.check(policy)
        draft = await self.prepare(reference, name=name, progress=progress, client=client)
        try:
            await progress("storing")
            return await self.keep(draft, policy=policy, client=client)
        finally:
            draft.close()

    async def prepare(
        self,
        reference: str,
        *,
        name: str | None,
        progress: Callable[[str], Awaitable[None]],
        client: str | None = None,
    ) -> Draft:
        """Read and compile a component; nothing is kept. The draft is the caller's to close.

        Raises:
            LoadError: It can't be had, or is none that we can run.
            StoreError: It could not be kept.
        """
        read = partial(source.read_component, reference)
        return await self._prepare(reference, read, name, progress, client)

    async def prepare_noticed(
        self,
        noticed: Noticed,
        *,
        progress: Callable[[str], Awaitable[None]],
        client: str | None = None,
    ) -> Draft:
        """As `prepare`, of what waits in a directory of local components.

        Raises:
            LoadError: It has other bytes by now, or is none that we can run.
            StoreError: It could not be kept.
        """
        read = partial(local_files.read_noticed, noticed)
        draft = await self._prepare(noticed.source, read, noticed.id, progress, client)
        draft.record = msgspec.structs.replace(draft.record, local=True)
        return draft

    async def _prepare(
        self,
        reference: str,
        read: Callable[[], Fetched],
        name: str | None,
        progress: Callable[[str], Awaitable[None]],
        client: str | None,
    ) -> Draft:
        try:
            await run_sync(self._store.open)
            await progress("reading")
            fetched = await run_sync(read)
            try:
                component = names.check_name(name) if name else names.component_id(fetched.stem)
                refuse_taken(self.records(), self.permissions.states, component, reference)
                async with self._one_compile:
                    compiled, artefact = await self._compile(fetched, progress)
            except BaseException:
                os.close(fetched.descriptor)
                raise
        except ChangedFileError:
            raise  # nothing was refused: it is looked at again
        except SupervisorError as error:
            detail = {"source": reference, "why": str(error)}
            self.audit.append(Event.REFUSAL, client=client, decision="denied", detail=detail)
            raise
        return Draft(
            described(component, reference, fetched, compiled), fetched, compiled, artefact
        )

    async def keep(
        self,
        draft: Draft,
        *,
        policy: bytes | None = None,
        expected: Standing | None = None,
        client: str | None = None,
    ) -> Loaded:
        """Keep what was prepared, which stays the caller's to close.

        Raises:
            ChangedMeanwhileError: What it replaces is no longer as expected.
            StoreError: It can't be kept.
            LoadError: Its id was taken meanwhile.
        """
        async with self._one_change:
            loaded = await run_sync(self._keep, draft, policy, expected, client)
        self._announce()
        return loaded

    async def unload(self, component: ComponentId, *, client: str | None = None) -> None:
        """Forget a component, its policy, its secrets and what it kept between calls.

        Raises:
            UnknownComponentError: There is none of this id.
            StoreError: The store can't be written.
        """
        async with self._one_change:
            await run_sync(self._remove, component, client)
        self._announce()
        await run_sync(self.permissions.states.sweep)

    async def noticed(self) -> list[Noticed]:
        """What is in directories of local components and is not loaded as it is.

        Raises:
            StoreError: The store can't be read.
        """
        return await run_sync(current, Notices(self._store), self.records())

    async def follow(self, changed: Sequence[Record], client: str) -> list[Record]:
        """Take the tools of components away whose file is gone, and give them back.

        Returns the records of those that were not changed meanwhile, as they are now.

        Raises:
            AuditError: It can't be recorded; what was not is not done.
            StoreError: The store can't be written.
        """
        async with self._one_change:
            done = await run_sync(follow, self._store, self.audit, changed, client)
        self._announce()
        return done

    async def inspect(self, reference: str) -> Record:
        """Compile and describe a component without keeping it.

        Raises:
            LoadError: It can't be had, or is none that we can run.
        """
        fetched = await run_sync(source.read_component, reference)
        try:
            compiled, artefact = await self._compile(fetched, silent)
            os.close(artefact)
            component = names.component_id(fetched.stem)
            draft = described(component, reference, fetched, compiled)
            return named(draft, compiled, self.records())
        finally:
            os.close(fetched.descriptor)

    async def _compile(
        self, fetched: Fetched, progress: Callable[[str], Awaitable[None]]
    ) -> tuple[Compiled, int]:
        return await self._pool.compiler.compile(fetched.descriptor, fetched.size, progress)

    def _keep(
        self, draft: Draft, policy: bytes | None, expected: Standing | None, client: str | None
    ) -> Loaded:
        engine = self._pool.engine_key
        with self._store.writing(f"load {draft.record.id}"):
            records = self._store.records()
            # Not `self.records()`: this is a thread, and what that tells the pool is not for one.
            refuse_taken(records, self.permissions.states, draft.record.id, draft.record.source)
            record = draft.named(records)
            self._expect(records.get(record.id), expected)
            if record.id not in records:
                # Of a writer that was killed, or of a damaged record: nothing of it is this one's.
                self.permissions.forget(record.id)
            self._record_load(record, client, policy)
            try:
                self._store.add_blob(record.digest, draft.fetched.descriptor, draft.fetched.size)
                self._store.add_artefact(
                    record.digest, engine, draft.artefact, draft.compiled.artefact
                )
                if policy is not None:
                    record = self.permissions.taken_along(record, policy)
                self._store.save(record)
                with suppress(StoreError):  # in force already
                    record = self.permissions.settled(record)
            finally:
                self._tidy_up()
        return Loaded(record, reloaded=record.id in records)

    def _expect(self, replaced: Record | None, expected: Standing | None) -> None:
        standing = self.permissions.standing(replaced) if replaced else NOTHING_STANDS
        if expected is not None and standing != expected:
            raise ChangedMeanwhileError(replaced.id if replaced else "that was to be replaced")

    def _record_load(self, record: Record, client: str | None, policy: bytes | None) -> None:
        if policy is not None:
            self.audit.append(
                Event.POLICY_SET, component=record.id, digest=record.digest, client=client
            )
        self.audit.append(
            Event.LOAD,
            component=record.id,
            digest=record.digest,
            client=client,
            decision="allowed",
            detail={"source": record.source, "tools": [tool.name for tool in record.tools]},
        )

    def _remove(self, component: ComponentId, client: str | None) -> None:
        with self._store.writing(f"unload {component}"):
            if component not in {*self._store.records(), *self._store.damaged_ids()}:
                raise UnknownComponentError(component)
            self.audit.append(Event.UNLOAD, component=component, client=client, decision="allowed")
            self._store.remove(component)
            with suppress(StoreError):  # whatever is left is nobody's, and is deleted another time
                self.permissions.forget(component)
                self.permissions.states.set_aside(component)
            self._tidy_up()

    def _tidy_up(self) -> None:
        with suppress(StoreError):  # what was done is done
            self._store.collect()

    def _announce(self) -> None:
        self._current()
        self._changed.set()
        self._changed = anyio.Event()

    def _current(self) -> Snapshot:
        if self._store.generation() != self._snapshot.generation:
            earlier, self._snapshot = self._snapshot, snapshot.read(self._store)
            self._warn_of_damage(earlier.damaged)
            for digest in earlier.in_use() - self._snapshot.in_use():
                self._pool.forget(digest)
        return self._snapshot
