"""What commands about rights have in common: whom they concern, and how changes are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from wassette_supervisor.cli.output import emit
from wassette_supervisor.errors import StoreError, UnknownComponentError, one_line
from wassette_supervisor.policy.numbering import LimitRule, Numbered

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.policy.difference import RightChange
    from wassette_supervisor.policy.document import Policy
    from wassette_supervisor.settings import Settings
    from wassette_supervisor.store.record import Record

# Who made a change, for the audit log.
CLIENT = "command line"


def record_of(backend: Backend, component: ComponentId) -> Record:
    """The component of this id.

    Raises:
        UnknownComponentError: There is none.
        StoreError: There is one, and it is damaged.
    """
    record = backend.records().get(component)
    if record is not None:
        return record
    reason = backend.damaged().get(f"{component}.json")
    if reason is not None:
        raise StoreError(
            f"the entry of {component!r} in the store is damaged: {one_line(reason)}; run "
            f"`component repair {component}`"
        )
    raise UnknownComponentError(component)


def gives_nothing(
    settings: Settings, backend: Backend, component: ComponentId, policy: Policy | None
) -> list[str]:
    """What of a policy gives nothing here and now, in a line each.

    Raises:
        PolicyError: Something of it can't be granted as it is: no call runs.
        StoreError: The secrets can't be read.
    """
    from wassette_supervisor.app import granter  # noqa: PLC0415 - the backend has loaded it

    if policy is None:
        return []
    giver = granter(settings)
    named = any(rule.secret is not None for rule in policy.permissions.environment.allow)
    secrets = backend.permissions.secrets.of(component) if named else {}
    tools = (None, *policy.tools)
    found = (giver.granted(giver.effective(policy, tool), secrets).missing for tool in tools)
    return list(dict.fromkeys(line for lines in found for line in lines))


# --- as JSON, and as rows -------------------------------------------------------------------


def rule_data(each: Numbered) -> dict[str, Any]:
    """A rule: where it stands, its text, and its parts; those that say nothing are left out."""
    where = {"section": each.section, "kind": each.kind, "tool": each.where.tool}
    if isinstance(each.rule, LimitRule):
        said: dict[str, Any] = {"limit": each.rule.text.replace(" at most ", "=", 1)}
    else:
        said = msgspec.to_builtins(each.rule)
    parts = {name: part for name, part in said.items() if part not in (None, [], (), {})}
    return {"number": each.number} | where | {"text": each.text} | parts


def changes_data(rights: Iterable[RightChange]) -> list[dict[str, str]]:
    return [{"sign": right.sign, "right": right.text} for right in rights]


def emit_changes(
    options: argparse.Namespace, answer: dict[str, Any], otherwise: str = "no right changed"
) -> None:
    """Print an answer with `changes`; as a table one row each, or `otherwise` if there are none."""
    shown = [f"{change['sign']} {change['right']}" for change in answer["changes"]]
    rows: Sequence[tuple[str, str, str]] = [
        (answer["id"], answer["status"], right) for right in shown or [otherwise]
    ]
    emit(options, answer, ("id", "status", "right"), rows)
