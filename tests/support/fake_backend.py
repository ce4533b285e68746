"""A backend in memory: real records, tools that are Python functions, no process and no file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from wassette_protocol.frames import ComponentId, Digest, Export, Usage
from wassette_supervisor.errors import LoadError, UnknownComponentError, UnknownToolError
from wassette_supervisor.pool.outcome import CallOutcome
from wassette_supervisor.store.record import Loaded, Record, ToolRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    Function = Callable[[Mapping[str, Any]], Awaitable[CallOutcome]]

SCHEMA = {"type": "object", "properties": {}, "additionalProperties": True}


def returned(value: dict[str, Any], *, failed: bool = False, output: str = "") -> CallOutcome:
    usage = Usage(fuel=7, peak_memory=1 << 20, instantiate_us=1, convert_us=2, call_us=3)
    return CallOutcome(
        value=value, failed=failed, usage=usage, queue_us=4, total_us=10, output=output
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


class FakeBackend:
    """What can be loaded is in `files`, by reference; what a tool does is in `functions`."""

    def __init__(self, *loaded: Record) -> None:
        self.files: dict[str, Record] = {}
        self.functions: dict[str, Function] = {}
        self.broken: dict[str, str] = {}
        self._records = {record.id: record for record in loaded}
        self._version = 0
        self._changed = anyio.Event()

    def catalog(self) -> dict[str, tuple[Record, ToolRecord]]:
        return {
            tool.name: (record, tool) for record in self._records.values() for tool in record.tools
        }

    def records(self) -> dict[ComponentId, Record]:
        return dict(self._records)

    def damaged(self) -> dict[str, str]:
        return dict(self.broken)

    async def load(
        self, reference: str, *, name: str | None, progress: Callable[[str], Awaitable[None]]
    ) -> Loaded:
        await progress("reading")
        record = await self.inspect(reference)
        await progress("storing")
        key = ComponentId(name) if name else record.id
        loaded = Loaded(record, reloaded=key in self._records)
        self.put(record, key)
        return loaded

    async def unload(self, component: ComponentId) -> None:
        if component not in self._records:
            raise UnknownComponentError(component)
        del self._records[component]
        self._announce()

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> CallOutcome:
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

    def put(self, record: Record, key: ComponentId | None = None) -> None:
        """Have a component loaded, as another process would."""
        self._records[key or record.id] = record
        self._announce()

    def _announce(self) -> None:
        self._version += 1
        self._changed.set()
        self._changed = anyio.Event()
