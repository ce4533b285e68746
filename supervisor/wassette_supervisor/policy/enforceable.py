"""What a policy says and this version doesn't enforce yet, judged by its words alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.policy import storage_uri
from wassette_supervisor.policy.document import EnvironmentRule, NetworkRule, StorageRule
from wassette_supervisor.policy.numbering import LimitRule, Numbered, numbered

if TYPE_CHECKING:
    from wassette_supervisor.policy.document import Policy

ENFORCED_LIMITS = {"memory", "wall_time", "fuel", "output"}  # those that every call has
STORAGE_LIMITS = {"storage.file", "storage.files"}


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
        case StorageRule(uri=uri, access=access):
            own = numbered.kind == "allow" and storage_uri.parse(uri).root == "state"
            if own and "read" not in access:
                return f"{storage_uri.STATE_URI} is not granted without read"
            return None
        case NetworkRule(inject=inject):
            what = "secrets are not injected" if inject else "components have no network"
            return f"{what} in this version"
        case EnvironmentRule():
            return None
        case LimitRule(name=name):
            enforced = ENFORCED_LIMITS | STORAGE_LIMITS
            return None if name in enforced else f"{name} is not limited in this version"
