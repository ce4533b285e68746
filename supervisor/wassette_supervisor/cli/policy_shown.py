"""A component's policy as `policy get` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wassette_supervisor.cli.rights import rule_data
from wassette_supervisor.errors import PolicyError
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.policy import parsing
from wassette_supervisor.policy.numbering import numbered
from wassette_supervisor.policy.text import to_yaml

if TYPE_CHECKING:
    from wassette_supervisor.authority.attached import Attached
    from wassette_supervisor.policy.document import Policy
    from wassette_supervisor.settings import Settings


def described(component: str, attached: Attached, settings: Settings) -> dict[str, Any]:
    """Everything but secrets, which no policy has in it.

    `rules` and `policy` are those of the file, in force or not; `limits` are those of a call, null
    where none would run.
    """
    reason = attached.reason
    policy = attached.policy
    if policy is None and attached.text is not None:
        try:
            policy = parsing.parse(attached.text).policy
        except PolicyError as error:
            reason = reason or str(error)
    limits = None
    if attached.state in ("none", "approved"):
        try:
            limits = _limits(attached.policy, settings)
        except PolicyError as error:
            reason = str(error)
    return {
        "id": component,
        "state": attached.state,
        "reason": reason or None,
        "digest": attached.digest or None,
        "rules": [rule_data(rule) for rule in (numbered(policy) if policy else ())],
        "policy": None if policy is None else _document(policy),
        "yaml": None if attached.text is None else attached.text.decode(errors="replace"),
        "limits": limits,
    }


def rows(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    state = ": ".join(filter(None, (answer["state"], answer["reason"])))
    found = [("", "state", state)]
    found += [(str(rule["number"]), rule["section"], rule["text"]) for rule in answer["rules"]]
    tools = (answer["policy"] or {}).get("tools", {})
    found += [("", "tool", f"{name} has nothing but what its rules name") for name in tools]
    found += [("", "gives nothing", line) for line in answer["missing"]]
    found += [("", "in force", f"{name} {text}") for name, text in (answer["limits"] or {}).items()]
    return found


def _limits(policy: Policy | None, settings: Settings) -> dict[str, str]:
    from wassette_supervisor.app import granter  # noqa: PLC0415 - the backend has loaded it

    giver = granter(settings)
    limits = giver.limits(giver.effective(policy, None))
    return {name: limit.text(getattr(limits, limit.field)) for name, limit in LIMITS.items()}


def _document(policy: Policy) -> dict[str, Any]:
    """The policy as a file has it: read back, the texts of it are what it says."""
    import yaml  # noqa: PLC0415 - 20 ms that only this needs

    document: dict[str, Any] = yaml.safe_load(to_yaml(policy))
    return document
