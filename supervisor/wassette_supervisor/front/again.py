"""A call of a component's tool, and after a denial the offer to allow it and to run again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wassette_supervisor.components.denied import Lacks, lacked
from wassette_supervisor.consent.change import Asked, Grant
from wassette_supervisor.errors import GuestExitedError, PolicyError, TrappedError
from wassette_supervisor.front import results
from wassette_supervisor.front.asking import NotAllowedError
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    import mcp_types as types

    from wassette_supervisor.front.builtin import Request
    from wassette_supervisor.store.record import Record


@dataclass
class FailedCall:
    """What to answer if nobody allows anything; kept while a person is asked."""

    asked: Asked
    result: types.CallToolResult

    def close(self) -> None:
        """It holds nothing open."""


async def call(request: Request, tool: str, arguments: dict[str, Any]) -> types.CallToolResult:
    """Run a tool; if it failed for want of something, ask for that and run it once more.

    Raises:
        UnknownToolError: There is none of this name.
        SupervisorError: The call was refused, or ended without a result.
        MustAnswerError: The client has a question now.
    """
    held = request.questions.held()
    if isinstance(held, FailedCall):
        return await _again(request, tool, arguments, held)
    found = request.backend.catalog().get(tool)
    try:
        outcome = await request.backend.call(tool, arguments, client=request.client)
    except (TrappedError, GuestExitedError) as error:
        failed = results.failure(str(error), error.output)
        lacks = Lacks(error.missing, error.denied, error.hosts)
    else:
        if not outcome.failed or found is None:
            return results.of_call(outcome, found[1] if found else None)
        failed = results.of_call(outcome)
        denied = tuple((one.path, one.access) for one in outcome.denied)
        lacks = Lacks(tuple(outcome.usage.missing), denied, outcome.hosts)
    offer = await _offer(request, found[0], tool, arguments, lacks) if found else None
    if offer is None:
        return failed
    return await _again(request, tool, arguments, FailedCall(offer, failed))


async def _offer(
    request: Request,
    record: Record,
    tool: str,
    arguments: dict[str, Any],
    lacks: Lacks,
) -> Asked | None:
    # Where no person is asked, nothing is granted that nobody asked for.
    if request.settings.approve != "ask" or not request.questions.can_ask():
        return None
    permissions = request.backend.permissions
    # A thread: what a model names may be a disk that doesn't answer.
    rule = await run_sync(lacked, permissions, record, arguments, lacks)
    if rule is None:
        return None
    try:
        meaning = await run_sync(permissions.meaning, rule)
    except PolicyError:
        return None
    change = Grant(record.id, rule, *meaning, again=tool)
    return Asked(change, permissions.standing(record))


async def _again(
    request: Request, tool: str, arguments: dict[str, Any], failed: FailedCall
) -> types.CallToolResult:
    try:
        scope = await request.questions.allowed(failed.asked, held=failed)
    except NotAllowedError:
        return failed.result
    change = failed.asked.change
    assert isinstance(change, Grant)  # noqa: S101 - made so above
    assert scope != "deny"  # noqa: S101 - that is NotAllowedError
    await request.backend.rights.grant(
        change.component, change.rule, scope, expected=failed.asked.standing, client=request.client
    )
    found = request.backend.catalog().get(tool)
    outcome = await request.backend.call(tool, arguments, client=request.client)
    return results.of_call(outcome, found[1] if found else None)
