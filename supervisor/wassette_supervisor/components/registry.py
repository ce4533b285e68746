"""The loaded components: their tools by name, loading, unloading, and calls on them."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
from anyio.to_thread import run_sync

from wassette_supervisor import bounded_json
from wassette_supervisor.components import names, source
from wassette_supervisor.errors import (
    LimitExceededError,
    LoadError,
    StoreError,
    UnknownComponentError,
    UnknownToolError,
)
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.store.record import Loaded, Record, ToolRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from wassette_protocol.frames import Compiled, ComponentId, Digest
    from wassette_supervisor.components.source import Fetched
    from wassette_supervisor.pool.outcome import CallOutcome
    from wassette_supervisor.pool.pool import Pool
    from wassette_supervisor.settings import Settings
    from wassette_supervisor.store.store import Store

# How long a change by another process may go unnoticed by a client that waits for one; a call
# or a list notices it at once.
POLL_S = 1.0


@dataclass(frozen=True)
class Snapshot:
    """What the store holds at one generation; replaced as a whole, never changed."""

    generation: int
    records: Mapping[ComponentId, Record]
    damaged: Mapping[str, str]
    tools: Mapping[str, tuple[Record, ToolRecord]]


class Registry:
    """One store of components and one pool of workers."""

    def __init__(self, store: Store, pool: Pool, settings: Settings) -> None:
        self._store = store
        self._pool = pool
        self._limits = settings.limits
        self._one_change = anyio.Lock()
        self._snapshot = _read(store)
        self._changed = anyio.Event()

    def records(self) -> Mapping[ComponentId, Record]:
        return self._current().records

    def damaged(self) -> Mapping[str, str]:
        return self._current().damaged

    def catalog(self) -> Mapping[str, tuple[Record, ToolRecord]]:
        return self._current().tools

    async def changes(self) -> AsyncIterator[None]:
        """One item for each change of the tools, whoever made it."""
        seen = self.catalog()
        while True:
            with anyio.move_on_after(POLL_S):
                await self._changed.wait()
            now = self.catalog()
            if now != seen:
                seen = now
                yield

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> CallOutcome:
        """Run a tool; cancelling this kills its worker.

        Raises:
            UnknownToolError: There is none of this name.
            CallError: The call ended without a result.
        """
        found = self.catalog().get(tool)
        if found is None:
            raise UnknownToolError(tool)
        record, entry = found
        encoded = msgspec.json.encode(arguments)
        if len(encoded) > self._limits.arguments:
            limit = LIMITS["arguments"].text(self._limits.arguments)
            raise LimitExceededError("arguments", limit, f"they have {len(encoded)} bytes")
        return await self._pool.call(self._source(record.digest), entry.export, encoded)

    async def load(
        self,
        reference: str,
        *,
        name: str | None,
        progress: Callable[[str], Awaitable[None]],
    ) -> Loaded:
        """Compile a component and keep it.

        Raises:
            LoadError: It can't be had, or is none that we can run.
            StoreError: It can't be kept.
        """
        async with self._one_change:
            await run_sync(self._store.open)
            await progress("reading")
            fetched = await run_sync(source.read_component, reference)
            try:
                component = names.check_name(name) if name else names.component_id(fetched.stem)
                self._refuse_taken(component, reference)
                compiled, artefact = await self._compile(fetched, progress)
                try:
                    await progress("storing")
                    draft = _draft(component, reference, fetched, compiled)
                    loaded = await run_sync(self._keep, draft, fetched, compiled, artefact)
                finally:
                    os.close(artefact)
            finally:
                os.close(fetched.descriptor)
        self._announce()
        return loaded

    async def unload(self, component: ComponentId) -> None:
        """Forget a component.

        Raises:
            UnknownComponentError: There is none of this id.
            StoreError: The store can't be written.
        """
        async with self._one_change:
            if not await run_sync(self._remove, component):
                raise UnknownComponentError(component)
        self._announce()

    async def inspect(self, reference: str) -> Record:
        """Compile and describe a component without keeping it.

        Raises:
            LoadError: It can't be had, or is none that we can run.
        """
        fetched = await run_sync(source.read_component, reference)
        try:
            compiled, artefact = await self._compile(fetched, _silent)
            os.close(artefact)
            component = names.component_id(fetched.stem)
            draft = _draft(component, reference, fetched, compiled)
            return _named(draft, compiled, self.records())
        finally:
            os.close(fetched.descriptor)

    async def _compile(
        self, fetched: Fetched, progress: Callable[[str], Awaitable[None]]
    ) -> tuple[Compiled, int]:
        return await self._pool.compiler.compile(fetched.descriptor, fetched.size, progress)

    def _refuse_taken(self, component: ComponentId, reference: str) -> None:
        earlier = self.records().get(component)
        if earlier is not None and earlier.source != reference:
            raise LoadError(
                f"the id {component!r} is taken by the component of {earlier.source}; load this "
                "one with --name OTHER, or unload that one first"
            )

    def _keep(self, draft: Record, fetched: Fetched, compiled: Compiled, artefact: int) -> Loaded:
        engine = self._pool.engine_key
        with self._store.writing(f"load {draft.id}"):
            records = self._store.records()
            self._refuse_taken(draft.id, draft.source)
            record = _named(draft, compiled, records)
            try:
                self._store.add_blob(record.digest, fetched.descriptor, fetched.size)
                self._store.add_artefact(record.digest, engine, artefact, compiled.artefact)
                self._store.save(record)
            finally:
                self._store.collect()
        return Loaded(record, reloaded=record.id in records)

    def _remove(self, component: ComponentId) -> bool:
        with self._store.writing(f"unload {component}"):
            removed = self._store.remove(component)
            self._store.collect()
        return removed

    def _announce(self) -> None:
        self._current()
        self._changed.set()
        self._changed = anyio.Event()

    def _current(self) -> Snapshot:
        if self._store.generation() != self._snapshot.generation:
            earlier, self._snapshot = self._snapshot, _read(self._store)
            in_use = {record.digest for record in self._snapshot.records.values()}
            for record in earlier.records.values():
                if record.digest not in in_use:
                    self._pool.forget(record.digest)
        return self._snapshot

    def _source(self, digest: Digest) -> _Source:
        return _Source(digest, self._store, self._pool)


@dataclass(frozen=True)
class _Source:
    """Where the pool gets the compiled component: kept, or compiled anew for this engine."""

    digest: Digest
    store: Store
    pool: Pool

    async def artefact(self, engine: str) -> int:
        kept = await run_sync(self.store.load_artefact, self.digest, engine)
        if kept is not None:
            return kept
        blob = await run_sync(self.store.open_blob, self.digest)
        try:
            size = os.fstat(blob).st_size
            compiled, artefact = await self.pool.compiler.compile(blob, size, _silent)
        finally:
            os.close(blob)
        # Without it the component runs all the same, and is compiled again at the next start.
        with suppress(StoreError):
            await run_sync(self._add, engine, artefact, compiled.artefact)
        return artefact

    def _add(self, engine: str, artefact: int, size: int) -> None:
        with self.store.writing("keep what was compiled"):
            self.store.add_artefact(self.digest, engine, artefact, size)


def _read(store: Store) -> Snapshot:
    # The generation first: what changes meanwhile is read again.
    generation = store.generation()
    records = store.records()
    in_order = sorted(records.values(), key=lambda record: (record.loaded, record.id))
    tools: dict[str, tuple[Record, ToolRecord]] = {}
    for record in in_order:
        for tool in record.tools:
            tools.setdefault(tool.name, (record, tool))
    return Snapshot(
        generation,
        MappingProxyType(records),
        MappingProxyType(dict(store.damaged)),
        MappingProxyType(tools),
    )


def _draft(component: ComponentId, reference: str, fetched: Fetched, compiled: Compiled) -> Record:
    return Record(
        id=component,
        source=reference,
        digest=fetched.digest,
        loaded=time.time(),
        imports=compiled.imports,
        tools=[],
        left_out=compiled.left_out,
    )


def _named(draft: Record, compiled: Compiled, records: Mapping[ComponentId, Record]) -> Record:
    """Give the tools their names: those of other components are taken, earlier ones are kept."""
    others = {
        tool.name for record in records.values() if record.id != draft.id for tool in record.tools
    }
    earlier = records.get(draft.id)
    previous = {tool.export: tool.name for tool in earlier.tools} if earlier else {}
    exports = [tool.export for tool in compiled.tools]
    named = names.name_tools(draft.id, exports, others, previous)
    tools = [
        ToolRecord(
            name=name,
            export=tool.export,
            description=tool.docs,
            input_schema=_schema(tool.input_schema),
            output_schema=None if tool.output_schema is None else _schema(tool.output_schema),
        )
        for name, tool in zip(named, compiled.tools, strict=True)
    ]
    loaded = earlier.loaded if earlier else draft.loaded
    return msgspec.structs.replace(draft, tools=tools, loaded=loaded)


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


async def _silent(_: str) -> None:
    pass
