"""`inspect`: what a component is, loaded or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_protocol.frames import ComponentId
from wassette_supervisor.cli.backends import with_backend
from wassette_supervisor.cli.component import reference_of
from wassette_supervisor.cli.component_state import kept_text, size_of
from wassette_supervisor.cli.inspected import shown
from wassette_supervisor.cli.progress import stages
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.front.backend import Backend
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
    kept = [] if state_size is None else [("keeps", kept_text(state_size))]
    shown(invocation, record, state_size=state_size, rows=kept)
