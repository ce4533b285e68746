"""What a policy says and this version doesn't enforce, judged by its words alone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from wassette_protocol.broker_frames import MAX_INJECTED
from wassette_supervisor.policy import storage_uri
from wassette_supervisor.policy.document import NetworkRule, StorageRule
from wassette_supervisor.policy.network import clause
from wassette_supervisor.policy.numbering import Numbered, numbered
from wassette_supervisor.policy.reach import ranges_of

if TYPE_CHECKING:
    from wassette_supervisor.policy.document import Policy

# Those that every call has.
ENFORCED_LIMITS = {
    "memory", "wall_time", "fuel", "output", "requests", "request_bytes", "response_bytes",
}  # fmt: skip
STORAGE_LIMITS = {"storage.file", "storage.files"}
# Address ranges of the allow, or the deny rules of a component, or of a tool: with a ceiling's they
# all stand in the message that tells the broker of a request.
MAX_RANGES = 64


class Unenforced(NamedTuple):
    rule: Numbered
    reason: str  # one line


def unenforced(policy: Policy) -> list[Unenforced]:
    """The rules that can't be accepted, in their order, each with the reason."""
    found = []
    ranges = Counter[tuple[str | None, str]]()
    for rule in numbered(policy):
        why = _reason(rule)
        if isinstance(rule.rule, NetworkRule):
            these = rule.where.tool, rule.kind
            ranges[these] += ranges_of(clause(rule.rule))
            if ranges[these] > MAX_RANGES:
                why = f"no more than {MAX_RANGES} addresses and ranges are judged for one request"
        if why is not None:
            found.append(Unenforced(rule, why))
    return found


def _reason(numbered: Numbered) -> str | None:
    if isinstance(numbered.rule, NetworkRule) and len(numbered.rule.inject) > MAX_INJECTED:
        return f"no more than {MAX_INJECTED} headers are injected"
    if not isinstance(numbered.rule, StorageRule):
        return None
    own = numbered.kind == "allow" and storage_uri.parse(numbered.rule.uri).root == "state"
    if own and "read" not in numbered.rule.access:
        return f"{storage_uri.STATE_URI} is not granted without read"
    return None
