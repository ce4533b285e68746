"""What a policy says and this version doesn't enforce yet, judged by its words alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.policy import storage_uri
from wassette_supervisor.policy.document import EnvironmentRule, NetworkRule, StorageRule
from wassette_supervisor.policy.numbering import LimitRule, Numbered, numbered

if TYPE_CHECKING:
    from wassette_supervisor.policy.document import Policy

ENFORCED_LIMITS = {"memory", "wall_time", "fuel", "output"}


class Unenforced(NamedTuple):
    rule: Numbered
    reason: str  # one line


def unenforced(policy: Policy) -> list[Unenforced]:
    """The rules that can't be accepted yet, in their order, each with the reason."""
    judged = [(rule, reason(rule)) for rule in numbered(policy)]
    return [Unenforced(rule, why) for rule, why in judged if why is not None]


def reason(numbered: Numbered) -> str | None:
    """Why a rule is not enforced by this version, or None."""
    match numbered.rule:
        case StorageRule() as rule:
            return _storage(rule, deny=numbered.kind == "deny")
        case NetworkRule(inject=inject):
            what = "secrets are not injected" if inject else "components have no network"
            return f"{what} in this version"
        case EnvironmentRule():
            return None
        case LimitRule(name=name):
            return None if name in ENFORCED_LIMITS else f"{name} is not limited in this version"


def _storage(rule: StorageRule, *, deny: bool) -> str | None:
    if deny:
        return "storage is not denied within what is granted in this version"
    uri = storage_uri.parse(rule.uri)
    if uri.has_glob:
        return "only whole folders are granted in this version, as DIR or DIR/**"
    if "read" not in rule.access:
        return "write without read is not kept in this version"
    return None
