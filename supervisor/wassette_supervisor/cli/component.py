"""`component load`, `unload` and `list`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio.to_thread import run_sync

from wassette_protocol.frames import ComponentId
from wassette_supervisor.cli import policy_file
from wassette_supervisor.cli.backends import with_backend
from wassette_supervisor.cli.component_state import kept_text, require_consent, size_of
from wassette_supervisor.cli.output import emit, warn
from wassette_supervisor.cli.progress import stages
from wassette_supervisor.cli.rights import CLIENT
from wassette_supervisor.components.faults import is_damaged
from wassette_supervisor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wassette_protocol.frames import LeftOut
    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.components.faults import Fault
    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.store.record import Loaded, Record
    from wassette_supervisor.store.trees import Measured


def load(invocation: Invocation) -> None:
    reference = reference_of(invocation.options.component)
    name, file = invocation.options.name, invocation.options.policy
    text = None if file is None else policy_file.read(file)

    async def work(backend: Backend) -> Loaded:
        if text is not None:  # before anything is read or compiled
            for warning in policy_file.checked(backend.permissions, file, text).warnings:
                warn(warning)
        async with stages() as progress:
            return await backend.load(
                reference, name=name, progress=progress, policy=text, client=CLIENT
            )

    loaded = with_backend(invocation.settings, work)
    record = loaded.record
    answer: dict[str, Any] = {
        "id": record.id,
        "status": "reloaded" if loaded.reloaded else "loaded",
        "digest": record.digest,
        "tools": _tools(record),
    }
    if record.left_out:
        answer["left_out"] = left_out(record.left_out)
    row = (record.id, answer["status"], ", ".join(answer["tools"]))
    emit(invocation.options, answer, ("id", "status", "tools"), [row])


def unload(invocation: Invocation) -> None:
    component = ComponentId(invocation.options.component)

    async def look(backend: Backend) -> Measured | None:
        return await run_sync(backend.permissions.states.counted, component)

    async def work(backend: Backend) -> None:
        await backend.unload(component, client=CLIENT)

    held = with_backend(invocation.settings, look)
    if held is not None and not invocation.options.delete_state:
        require_consent(component, held, "Unload {} and delete {}?", "--delete-state")
    with_backend(invocation.settings, work)
    answer = {"id": component, "status": "unloaded"}
    emit(invocation.options, answer, ("id", "status"), [(component, "unloaded")])


def list_all(invocation: Invocation) -> None:
    async def work(backend: Backend) -> list[dict[str, Any]]:
        faults = await run_sync(backend.repairs.faults)
        records = backend.records()
        kept = await run_sync(_sizes, backend, records)
        return [
            _described(component, records.get(ComponentId(component)), faults.get(component, []))
            | {"state_size": kept.get(ComponentId(component))}
            for component in sorted({*records, *faults})
        ]

    components = with_backend(invocation.settings, work)
    rows = [
        (
            c["id"],
            c["state"],
            ", ".join(c["tools"]),
            kept_text(c["state_size"]),
            c.get("reason") or c["source"],
        )
        for c in components
    ]
    headings = ("id", "state", "tools", "keeps", "source, or what is wrong")
    answer = {"components": components, "total": len(components)}
    emit(invocation.options, answer, headings, rows)


def reference_of(component: str) -> str:
    """Take a path for the file of that path; what has a scheme is a reference already.

    Raises:
        UsageError: It is neither.
    """
    if "://" in component:
        return component
    if not component or "\0" in component:
        raise UsageError("the component should be a path or a URI; give it as file:///…")
    return Path(component).absolute().as_uri()


def left_out(functions: list[LeftOut]) -> list[dict[str, Any]]:
    return [
        {
            "interface": function.export.interface,
            "function": function.export.function,
            "reason": function.reason,
        }
        for function in functions
    ]


def _sizes(backend: Backend, components: Iterable[ComponentId]) -> dict[ComponentId, int | None]:
    """What each component keeps between calls, in bytes."""
    counted = backend.permissions.states.counted
    return {component: size_of(counted(component)) for component in components}


def _tools(record: Record) -> list[str]:
    return [tool.name for tool in record.tools]


def state_of(faults: Sequence[Fault]) -> str:
    """What a component with these faults is called."""
    if not faults:
        return "ready"
    return "damaged" if is_damaged(faults) else "held"


def _described(component: str, record: Record | None, faults: Sequence[Fault]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "id": component,
        "source": record and record.source,
        "digest": record and record.digest,
        "state": state_of(faults),
        "tools": _tools(record) if record else [],
    }
    if faults:
        described["reason"] = "; ".join(fault.told(component) for fault in faults)
    return described
