"""`component repair`: what is damaged is made anew, and what can't be is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wassette_protocol.frames import ComponentId
from wassette_supervisor.cli.backends import with_backend
from wassette_supervisor.cli.component import state_of
from wassette_supervisor.cli.output import emit
from wassette_supervisor.cli.progress import stages
from wassette_supervisor.cli.rights import CLIENT
from wassette_supervisor.components.faults import is_damaged
from wassette_supervisor.errors import StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.components.repair import Repaired
    from wassette_supervisor.front.backend import Backend

_HEADINGS = ("id", "part", "done", "what")


def repair(invocation: Invocation) -> None:
    """Repair one component or all, and show what was done.

    Raises:
        UsageError: It is not said which.
        StoreError: Something stays damaged.
    """
    component, everything = invocation.options.component, invocation.options.all
    if bool(component) == bool(everything):
        raise UsageError("say which component to repair: its ID, or --all; not both")

    async def work(backend: Backend) -> list[Repaired]:
        async with stages() as progress:
            if everything:
                return await backend.repairs.repair_all(progress, CLIENT)
            return [await backend.repairs.repair(ComponentId(component), progress, CLIENT)]

    repaired = with_backend(invocation.settings, work)
    answer = {"components": [_described(each) for each in repaired], "total": len(repaired)}
    emit(invocation.options, answer, _HEADINGS, [row for each in repaired for row in _rows(each)])
    damaged = [each for each in repaired if is_damaged(each.left)]
    if damaged:
        first = next(fault for fault in damaged[0].left if not fault.held)
        raise StoreError(f"still damaged: {damaged[0].component} ({first.text})")


def _described(repaired: Repaired) -> dict[str, Any]:
    return {
        "id": repaired.component,
        "state": _state(repaired),
        "repaired": [mended._asdict() for mended in repaired.mended],
        "left": [
            {"part": fault.part, "why": fault.why, "advice": fault.advice}
            for fault in repaired.left
        ],
    }


def _state(repaired: Repaired) -> str:
    held_back = repaired.quarantined is not None and not is_damaged(repaired.left)
    return "quarantined" if held_back else state_of(repaired.left)


def _rows(repaired: Repaired) -> Iterator[tuple[str, str, str, str]]:
    for mended in repaired.mended:
        yield repaired.component, mended.part, "yes", mended.how
    for fault in repaired.left:
        yield repaired.component, fault.part, "no", f"{fault.advice} ({fault.why})"
    if repaired.quarantined is not None:
        why = f"`component release {repaired.component}` ends that ({repaired.quarantined})"
        yield repaired.component, "quarantine", "no", why
    elif not repaired.mended and not repaired.left:
        yield repaired.component, "all", "whole", "nothing was to be done"
