"""A backend without processes: real records, permissions and audit, tools that are functions."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
import msgspec

from wassette_protocol.frames import Compiled, ComponentId, Digest, Export, Tool, Usage
from wassette_supervisor import settings
from wassette_supervisor.app import granter
from wassette_supervisor.audit.log import AuditLog
from wassette_supervisor.authority.permissions import Permissions
from wassette_supervisor.components.drafts import Draft
from wassette_supervisor.components.quarantine import Quarantine
from wassette_supervisor.components.repair import Engine, Repairs
from wassette_supervisor.components.rights import Rights
from wassette_supervisor.components.source import Fetched
from wassette_supervisor.errors import LoadError, UnknownComponentError, UnknownToolError
from wassette_supervisor.pool.outcome import CallOutcome
from wassette_supervisor.store.record import Loaded, Record, ToolRecord
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from wassette_supervisor.authority.changes import Standing
    from wassette_supervisor.store.noticed import Noticed

    Function = Callable[[Mapping[str, Any]], Awaitable[CallOutcome]]

SCHEMA = {"type": "object", "properties": {}, "additionalProperties": True}


def returned(value: dict[str, Any], *, failed: bool = False, output: str = "") -> CallOutcome:
    usage = Usage(fuel=7, peak_memory=1 << 20, instantiate_us=1, convert_us=2, call_us=3)
    return CallOutcome(
        value=value,
        failed=failed,
        usage=usage,
        result_bytes=len(msgspec.json.encode(value)),
        queue_us=4,
        total_us=10,
        output=output,
    )


def tool(name: str, *, output_schema: dict[str, Any] | None = None) -> ToolRecord:
    return ToolRecord(
        name=name,
        export=Export(interface=None, function=name),
        description=f"Does {name}.",
        input_schema=SCHEMA,
        output_schema=output_schema,
    )


def component(component_id: str, *tools: ToolRecord) -> Record:
    return Record(
        id=ComponentId(component_id),
        source=f"file:///{component_id}.wasm",
        digest=Digest("ab" * 32),
        loaded=1.0,
        imports=["wasi:cli/environment@0.2.0"],
        tools=list(tools),
        left_out=[],
    )


def _compiled(record: Record) -> Compiled:
    tools = [
        Tool(
            tool.export,
            msgspec.json.encode(tool.input_schema),
            None if tool.output_schema is None else msgspec.json.encode(tool.output_schema),
            tool.description,
        )
        for tool in record.tools
    ]
    return Compiled(0, record.imports, tools, record.left_out)


class _Draft(Draft):
    """Tells whether it was closed."""

    @property
    def closed(self) -> bool:
        return self._closed


class _Stops:
    """What `Rights` and `Quarantine` ask of a pool: one in which nothing crashes."""

    def __init__(self, stopped: list[ComponentId]) -> None:
        self._stopped = stopped

    async def stop(self, component: ComponentId, _: str) -> None:
        self._stopped.append(component)

    def held_back(self, _: Digest) -> str | None:
        return None

    def pardon(self, digest: Digest) -> None:
        raise AssertionError(digest)


class FakeBackend:
    """What can be loaded is in `files`, by reference; what a tool does is in `functions`."""

    def __init__(self, *loaded: Record) -> None:
        self.files: dict[str, Record] = {}
        self.functions: dict[str, Function] = {}
        self.broken: dict[str, str] = {}
        self.dropped: list[Noticed] = []
        self._version = 0
        self._changed = anyio.Event()
        folder = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, folder)
        self._store = Store(folder / "store")
        given = settings.load({"component_dir": folder / "store"}, {"HOME": str(folder)})
        self.permissions = Permissions(self._store, granter(given))
        self.audit = AuditLog(folder / "store" / "audit")
        self.stopped: list[ComponentId] = []
        self.drafts: list[_Draft] = []
        self.repairs = Repairs(self._store, cast("Engine", None), self.audit)
        stops = _Stops(self.stopped)
        self.rights = Rights(self.permissions, self.audit, stops)
        self.quarantine = Quarantine(self._store, self.audit, stops)
        for record in loaded:
            self._keep(record)

    def catalog(self) -> dict[str, tuple[Record, ToolRecord]]:
        return {
            tool.name: (record, tool) for record in self.records().values() for tool in record.tools
        }

    def records(self) -> dict[ComponentId, Record]:
        return self._store.records()

    def damaged(self) -> dict[str, str]:
        return dict(self.broken)

    async def load(
        self,
        reference: str,
        *,
        name: str | None,
        progress: Callable[[str], Awaitable[None]],
        policy: bytes | None = None,
        client: str | None = None,
    ) -> Loaded:
        assert policy is None
        draft = await self.prepare(reference, name=name, progress=progress, client=client)
        return await self.keep(draft)

    async def prepare(
        self,
        reference: str,
        *,
        name: str | None,
        progress: Callable[[str], Awaitable[None]],
        client: str | None = None,  # noqa: ARG002 - of the interface
    ) -> Draft:
        await progress("reading")
        record = await self.inspect(reference)
        key = ComponentId(name) if name else record.id
        fetched = Fetched(os.open(os.devnull, os.O_RDONLY), 0, record.digest, key)
        draft = msgspec.structs.replace(record, id=key, tools=[])
        artefact = os.open(os.devnull, os.O_RDONLY)
        self.drafts.append(_Draft(draft, fetched, _compiled(record), artefact))
        return self.drafts[-1]

    async def prepare_noticed(
        self,
        noticed: Noticed,
        *,
        progress: Callable[[str], Awaitable[None]],
        client: str | None = None,
    ) -> Draft:
        draft = await self.prepare(noticed.source, name=None, progress=progress, client=client)
        draft.record = msgspec.structs.replace(draft.record, local=True)
        return draft

    async def noticed(self) -> list[Noticed]:
        return [each for each in self.dropped if each.id not in self.records()]

    async def keep(
        self,
        draft: Draft,
        *,
        policy: bytes | None = None,  # noqa: ARG002 - of the interface
        expected: Standing | None = None,  # noqa: ARG002 - of the interface
        client: str | None = None,  # noqa: ARG002 - of the interface
    ) -> Loaded:
        record = draft.named(self.records())
        loaded = Loaded(record, reloaded=record.id in self.records())
        self.put(record)
        return loaded

    async def unload(self, component: ComponentId, *, client: str | None = None) -> None:  # noqa: ARG002 - of the interface
        self.remove(component)
        self._announce()

    def remove(self, component: ComponentId) -> None:
        """As another process would: nobody is told."""
        with self._store.writing():
            if not self._store.remove(component):
                raise UnknownComponentError(component)
            self.permissions.forget(component)

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        client: str | None = None,  # noqa: ARG002 - of the interface
    ) -> CallOutcome:
        if tool not in self.catalog():
            raise UnknownToolError(tool)
        return await self.functions[tool](arguments)

    async def inspect(self, reference: str) -> Record:
        if reference not in self.files:
            raise LoadError(f"{reference}: there is no such file")
        return self.files[reference]

    async def changes(self) -> AsyncIterator[None]:
        seen = self._version
        while True:
            while seen == self._version:
                await self._changed.wait()
            seen = self._version
            yield

    def put(self, record: Record) -> None:
        """Have a component loaded, as another process would."""
        self._keep(record)
        self._announce()

    def _keep(self, record: Record) -> None:
        with self._store.writing():
            self._store.save(record)

    def _announce(self) -> None:
        self._version += 1
        self._changed.set()
        self._changed = anyio.Event()
