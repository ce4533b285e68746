"""`component load`, `approve`, `unload`, `release` and `list`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wassette_protocol.frames import ComponentId
from wassette_supervisor.cli import given, policy_file
from wassette_supervisor.cli.backends import with_backend
from wassette_supervisor.cli.component_state import require_consent
from wassette_supervisor.cli.inspected import left_out
from wassette_supervisor.cli.output import emit, visible, warn
from wassette_supervisor.cli.progress import stages
from wassette_supervisor.cli.rights import CLIENT
from wassette_supervisor.components.faults import is_damaged
from wassette_supervisor.components.local.files import path_of
from wassette_supervisor.consent.question import question
from wassette_supervisor.errors import LoadError, UsageError, one_line
from wassette_supervisor.front.keeping import asked_to_keep
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.components.faults import Fault
    from wassette_supervisor.consent.change import Change
    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.store.noticed import Noticed
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

    _show_loaded(invocation, with_backend(invocation.settings, work))


def approve(invocation: Invocation) -> None:
    options = invocation.options

    async def work(backend: Backend) -> Loaded:
        noticed = _waiting(await backend.noticed(), options.component)
        async with stages() as progress:
            draft = await backend.prepare_noticed(noticed, progress=progress, client=CLIENT)
        try:
            asked = asked_to_keep(backend, draft)
            if asked is not None and not options.yes:
                _require_consent(asked.change)
            expected = asked.standing if asked else None
            return await backend.keep(draft, expected=expected, client=CLIENT)
        finally:
            draft.close()

    _show_loaded(invocation, with_backend(invocation.settings, work))


def _require_consent(change: Change) -> None:
    if not given.can_ask():
        raise UsageError(
            "the component's tools would be there for every model, and nobody can be asked here; "
            "add --yes if that is meant"
        )
    if not given.answers_yes(visible(question(change))):
        raise given.DeclinedError


def _waiting(noticed: list[Noticed], component: str) -> Noticed:
    """Find the one file that waits under an id.

    Raises:
        LoadError: There is none, or more than one.
    """
    found = [each for each in noticed if each.id == component and each.state == "waiting"]
    if not found:
        raise LoadError(
            f"no local component waits under the id {one_line(component)!r}; `component list` "
            "shows those that do, and `component load` takes a file"
        )
    if len(found) > 1:
        files = " and ".join(each.source for each in found)
        raise LoadError(
            f"files of several directories wait under the id {one_line(component)!r} ({files}); "
            "load one with `component load --name OTHER`"
        )
    return found[0]


def _show_loaded(invocation: Invocation, loaded: Loaded) -> None:
    record = loaded.record
    answer: dict[str, Any] = {
        "id": record.id,
        "status": "reloaded" if loaded.reloaded else "loaded",
        "digest": record.digest,
        "tools": _tools(record),
    }
    if record.left_out:
        answer["left_out"] = left_out(record.left_out)
    if record.quarantined is not None:
        warn(
            f"{record.id!r} stays quarantined, since its bytes are those that crashed; "
            f"`component release {record.id}` lets it be called again"
        )
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


def release(invocation: Invocation) -> None:
    component = ComponentId(invocation.options.component)

    async def work(backend: Backend) -> bool:
        return await backend.quarantine.release(component, client=CLIENT)

    status = "released" if with_backend(invocation.settings, work) else "ready"
    emit(
        invocation.options,
        {"id": component, "status": status},
        ("id", "status"),
        [(component, status)],
    )


def list_all(invocation: Invocation) -> None:
    async def work(backend: Backend) -> list[dict[str, Any]]:
        faults = await run_sync(backend.repairs.faults)
        records = backend.records()
        kept = await run_sync(_sizes, backend, records)
        found = [
            _described(component, records.get(ComponentId(component)), faults.get(component, []))
            | kept.get(ComponentId(component), {})
            for component in {*records, *faults}
        ]
        found += [_noticed(each) for each in await backend.noticed()]
        return sorted(found, key=lambda each: (each["id"], each["source"] or ""))

    components = with_backend(invocation.settings, work)
    rows = [
        (c["id"], c["state"], ", ".join(c["tools"]), c.get("reason") or c["source"])
        for c in components
    ]
    answer = {"components": components, "total": len(components)}
    emit(invocation.options, answer, ("id", "state", "tools", "source"), rows)


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


def _sizes(
    backend: Backend, components: Iterable[ComponentId]
) -> dict[ComponentId, dict[str, int]]:
    """What each component keeps between calls, in bytes, if it has a folder for that."""
    counted = backend.permissions.states.counted
    found = {component: counted(component) for component in components}
    return {each: {"state_size": kept.size} for each, kept in found.items() if kept is not None}


def _tools(record: Record) -> list[str]:
    return [tool.name for tool in record.tools]


def state_of(faults: Sequence[Fault]) -> str:
    """What a component with these faults is called."""
    if not faults:
        return "ready"
    return "damaged" if is_damaged(faults) else "held"


def _described(component: str, record: Record | None, faults: Sequence[Fault]) -> dict[str, Any]:
    away = record is not None and record.away and not faults
    described: dict[str, Any] = {
        "id": component,
        "source": record and record.source,
        "digest": record and record.digest,
        "state": "away" if away else state_of(faults),
        "tools": _tools(record) if record else [],
    }
    if record is not None and record.quarantined is not None and not is_damaged(faults):
        described |= {"state": "quarantined", "reason": record.quarantined}
    elif faults:
        reasons = [fault.told(component) for fault in faults]
        if record is not None and record.quarantined is not None:
            reasons.append(f"it is quarantined, too: {record.quarantined}")
        described["reason"] = "; ".join(reasons)
    return described


def _noticed(noticed: Noticed) -> dict[str, Any]:
    return {
        "id": noticed.id or path_of(noticed.source).name,
        "source": noticed.source,
        "digest": noticed.digest,
        "state": noticed.state,
        "tools": list(noticed.tools),
        "reason": noticed.reason,
    }
