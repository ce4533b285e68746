"""`inspect`: what a component is, loaded or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anyio.to_thread import run_sync

from wassette_protocol.frames import ComponentId
from wassette_supervisor.cli.backends import with_backend
from wassette_supervisor.cli.component import left_out, reference_of
from wassette_supervisor.cli.component_state import kept_text, size_of
from wassette_supervisor.cli.output import emit
from wassette_supervisor.cli.progress import stages
from wassette_supervisor.limits import LIMITS

if TYPE_CHECKING:
    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.settings import Settings
    from wassette_supervisor.store.record import Record


def inspect(invocation: Invocation) -> None:
    component = invocation.options.component

    async def work(backend: Backend) -> tuple[Record, int | None]:
        loaded = backend.records().get(ComponentId(component))
        if loaded is not None:
            counted = await run_sync(backend.permissions.states.counted, loaded.id)
            return loaded, size_of(counted)
        async with stages() as progress:
            await progress("compiling")
            return await backend.inspect(reference_of(component)), None

    record, state_size = with_backend(invocation.settings, work)
    rows = [("component", record.id), ("digest", record.digest), ("source", record.source)]
    rows += [("import", name) for name in record.imports]
    rows += [("tool", f"{tool.name} {tool.description}") for tool in record.tools]
    rows += [("left out", f"{out.export.function}: {out.reason}") for out in record.left_out]
    rows += [] if state_size is None else [("keeps", kept_text(state_size))]
    answer = _described(record, invocation.settings) | {"state_size": state_size}
    emit(invocation.options, answer, ("what", "value"), rows)


def _described(record: Record, settings: Settings) -> dict[str, Any]:
    return {
        "id": record.id,
        "digest": record.digest,
        "source": record.source,
        "imports": record.imports,
        "tools": [
            {
                "name": tool.name,
                "interface": tool.export.interface,
                "function": tool.export.function,
                "description": tool.description,
                "input_schema": tool.input_schema,
                "output_schema": tool.output_schema,
            }
            for tool in record.tools
        ],
        "left_out": left_out(record.left_out),
        "limits": {
            name: limit.text(getattr(settings.limits, limit.field))
            for name, limit in LIMITS.items()
        },
    }
