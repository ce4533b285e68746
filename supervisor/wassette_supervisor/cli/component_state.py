"""`component state ID size` and `reset`: what a component keeps between calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wassette_protocol.frames import ComponentId
from wassette_supervisor.cli import given
from wassette_supervisor.cli.backends import with_backend
from wassette_supervisor.cli.output import emit, visible, warn
from wassette_supervisor.cli.rights import CLIENT, record_of
from wassette_supervisor.errors import SupervisorError, UsageError
from wassette_supervisor.quantities import size_text
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.store.trees import Measured


class KeptError(SupervisorError):
    def __init__(self) -> None:
        super().__init__("nothing was deleted, because the answer was not yes; answer y to do it")


def state(invocation: Invocation) -> None:
    options = invocation.options
    component = ComponentId(options.component)

    async def look(backend: Backend) -> tuple[str, Measured | None]:
        states = backend.permissions.states
        held = await run_sync(states.counted, component)
        if held is None:  # else it may be what a component left that is not there any more
            record_of(backend, component)
        return states.path(component), held

    async def reset(backend: Backend) -> bool:
        detail = {"bytes": size_of(held), "entries": held.entries if held else 0}
        return await backend.rights.reset_state(component, detail, client=CLIENT)

    path, held = with_backend(invocation.settings, look)
    status = "kept" if held is not None else "none"
    if options.action == "reset" and held is not None:
        if not options.yes:
            require_consent(component, held, "Delete, of {}, {}?", "--yes")
        if not with_backend(invocation.settings, reset):
            warn("not all of it could be deleted from the disk yet; another reset tries again")
        status = "reset"
    answer: dict[str, Any] = {
        "id": component,
        "status": status,
        "path": path,
        "bytes": size_of(held) or 0,
        "entries": held.entries if held else 0,
        "complete": held is None or held.whole,
        "most": invocation.settings.max_state,
    }
    row = (component, status, _amount(held), size_text(answer["most"]), path)
    emit(options, answer, ("id", "status", "keeps", "at most", "folder"), [row])


def require_consent(component: ComponentId, held: Measured, question: str, flag: str) -> None:
    """Ask before files are deleted; where nobody can be asked, only the flag says yes.

    Raises:
        UsageError: Nobody can be asked.
        KeptError: The answer was not yes.
    """
    if held.whole and held.entries == 0:
        return
    what = f"what it keeps between calls ({_amount(held)})"
    if not given.can_ask():
        raise UsageError(
            f"it would delete {what}, and nobody can be asked here; add {flag} if that is meant"
        )
    if not given.answers_yes(visible(question.format(component, what))):
        raise KeptError


def size_of(held: Measured | None) -> int | None:
    return None if held is None else held.size


def kept_text(size: int | None) -> str:
    return "-" if size is None else size_text(size)


def _amount(held: Measured | None) -> str:
    if held is None:
        return "nothing"
    some = "1 entry" if held.entries == 1 else f"{held.entries} entries"
    return f"{'' if held.whole else 'at least '}{some}, {size_text(held.size)}"
