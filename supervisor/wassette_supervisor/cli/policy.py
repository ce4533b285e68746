"""`policy get`, `set`, `unset` and `check`; `policy explain` has a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wassette_protocol.frames import ComponentId
from wassette_supervisor.cli import given, policy_check, policy_file, policy_shown
from wassette_supervisor.cli.backends import with_backend
from wassette_supervisor.cli.output import emit, visible, warn
from wassette_supervisor.cli.policy_explain import explain
from wassette_supervisor.cli.rights import (
    CLIENT,
    changes_data,
    emit_changes,
    gives_nothing,
    record_of,
)
from wassette_supervisor.errors import PolicyError, UsageError, one_line
from wassette_supervisor.policy.difference import difference

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from wassette_supervisor.authority.changes import Changed, Standing
    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.policy.difference import RightChange

__all__ = ["check", "explain", "get", "set_policy", "unset"]


class _Proposal(NamedTuple):
    standing: Standing  # what a person is asked about
    rights: list[RightChange]
    warnings: list[str]


def get(invocation: Invocation) -> None:
    component = ComponentId(invocation.options.component)

    async def work(backend: Backend) -> dict[str, Any]:
        record = record_of(backend, component)
        attached = backend.permissions.attached(record)
        answer = policy_shown.described(record.id, attached, invocation.settings)
        answer["missing"] = []
        if answer["limits"] is not None:
            try:
                answer["missing"] = gives_nothing(
                    invocation.settings, backend, component, attached.policy
                )
            except PolicyError as error:  # no call would run, and that is to be seen too
                answer |= {"reason": str(error), "limits": None}
        return answer

    answer = with_backend(invocation.settings, work)
    emit(invocation.options, answer, ("number", "kind", "rule"), policy_shown.rows(answer))


def check(invocation: Invocation) -> None:
    subject, approve = invocation.options.subject, invocation.options.approve

    async def work(backend: Backend) -> policy_check.Found:
        if approve or not _is_file(backend, subject):
            record = record_of(backend, ComponentId(subject))
            return await policy_check.attached(
                invocation.settings, backend, record, approve=approve
            )
        text = policy_file.read(subject)
        return policy_check.of_file(invocation.settings, backend, subject, text)

    found = with_backend(invocation.settings, work)
    for warning in found.answer["warnings"]:
        warn(warning)
    emit(invocation.options, found.answer, ("what", "value"), policy_check.rows(found.answer))
    if found.failure is not None:
        raise found.failure


def _is_file(backend: Backend, subject: str) -> bool:
    """Whether a file is meant; a component of this name comes first, as with `inspect`.

    Raises:
        GivenError: There is neither.
    """
    if subject in backend.records() or f"{subject}.json" in backend.damaged():
        return False
    if subject == policy_file.STDIN or "/" in subject or Path(subject).exists():
        return True
    raise given.GivenError(
        f"there is no component and no file {one_line(subject)!r}; `component list` shows the "
        "components"
    )


def set_policy(invocation: Invocation) -> None:
    name, component = invocation.options.file, ComponentId(invocation.options.component)
    text = policy_file.read(name)

    async def propose(backend: Backend) -> _Proposal:
        record = record_of(backend, component)
        permissions = backend.permissions
        new = policy_file.checked(permissions, name, text)
        rights = difference(permissions.attached(record).policy, new.policy)
        nothing = gives_nothing(invocation.settings, backend, component, new.policy)
        warnings = [*new.warnings, *(f"{line}; so it gives nothing yet" for line in nothing)]
        return _Proposal(permissions.standing(record), rights, warnings)

    async def apply(backend: Backend, expected: Standing) -> Changed:
        return await backend.rights.set_policy(component, text, expected=expected, client=CLIENT)

    may_ask = name != policy_file.STDIN  # which has no answer in it
    _carry_out(invocation, propose, apply, status="set", may_ask=may_ask)


def unset(invocation: Invocation) -> None:
    component = ComponentId(invocation.options.component)

    async def propose(backend: Backend) -> _Proposal:
        record = record_of(backend, component)
        rights = difference(backend.permissions.attached(record).policy, None)
        return _Proposal(backend.permissions.standing(record), rights, [])

    async def apply(backend: Backend, expected: Standing) -> Changed:
        return await backend.rights.unset_policy(component, expected=expected, client=CLIENT)

    _carry_out(invocation, propose, apply, status="unset", may_ask=True)


def _carry_out(
    invocation: Invocation,
    propose: Callable[[Backend], Awaitable[_Proposal]],
    apply: Callable[[Backend, Standing], Awaitable[Changed]],
    *,
    status: str,
    may_ask: bool,
) -> None:
    """Show what changes, ask where somebody has to be asked, and do it."""
    component = ComponentId(invocation.options.component)
    proposal = with_backend(invocation.settings, propose)
    for warning in proposal.warnings:
        warn(warning)
    _require_consent(invocation.options, proposal.rights, status, may_ask=may_ask)

    async def work(backend: Backend) -> Changed:
        return await apply(backend, proposal.standing)

    changed = with_backend(invocation.settings, work)
    answer = {"id": component, "status": status, "changes": changes_data(changed.rights)}
    if status == "set":
        answer["warnings"] = proposal.warnings
    emit_changes(invocation.options, answer)


def _require_consent(
    options: argparse.Namespace, rights: list[RightChange], status: str, *, may_ask: bool
) -> None:
    if options.yes:
        return
    if may_ask and given.can_ask():
        lines = [f"{right.sign} {right.text}" for right in rights] or ["no right changes"]
        question = f"{status.capitalize()} the policy of {one_line(options.component)}?"
        if not given.answers_yes(visible("\n".join([*lines, question]))):
            raise given.DeclinedError
    elif wider := [right.text for right in rights if right.sign == "+"]:
        more = f" and {len(wider) - 1} more" if len(wider) > 1 else ""
        raise UsageError(
            f"it would grant more ({one_line(wider[0])}{more}), and nobody can be asked here; add "
            "--yes if that is meant"
        )
