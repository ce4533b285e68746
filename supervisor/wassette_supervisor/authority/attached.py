"""The policy that is in force for a component: read, checked, and remembered until it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wassette_supervisor.errors import PolicyError, StoreError
from wassette_supervisor.policy import parsing
from wassette_supervisor.policy.enforceable import Unenforced, unenforced

if TYPE_CHECKING:
    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.policy.document import Policy
    from wassette_supervisor.policy.parsing import Parsed
    from wassette_supervisor.store.files import Stamp
    from wassette_supervisor.store.policies import Policies
    from wassette_supervisor.store.record import Record

State = Literal["none", "approved", "edited", "unusable"]


@dataclass(frozen=True)
class Attached:
    """What is attached to one component. `policy` is None unless it is in force."""

    state: State
    policy: Policy | None
    digest: str  # of its text; empty for none
    text: bytes | None
    reason: str = ""  # why it is unusable


class Attachments:
    """Reads each policy once for each content that it has."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._known: dict[ComponentId, tuple[tuple[Stamp | None, str, str | None], Attached]] = {}

    def of(self, record: Record) -> Attached:
        """What is attached now.

        Raises:
            StoreError: Its folder can't be looked at.
        """
        identity = (self._policies.stamp(record.id), record.policy, record.policy_next)
        known = self._known.get(record.id)
        if known is not None and known[0] == identity:
            return known[1]
        attached = self._read(record)
        self._known[record.id] = identity, attached
        return attached

    def _read(self, record: Record) -> Attached:
        try:
            kept = self._policies.read(record)
        except StoreError as error:
            return Attached("unusable", None, "", None, str(error))
        if not kept.approved:
            return Attached("edited", None, kept.digest, kept.text)
        if kept.text is None:
            return Attached("none", None, "", None)
        try:
            return Attached("approved", checked(kept.text), kept.digest, kept.text)
        except PolicyError as error:
            return Attached("unusable", None, kept.digest, kept.text, str(error))


def checked(text: bytes) -> Policy:
    """Parse a policy that this version enforces, all of it.

    Raises:
        PolicyError: It is none, or asks for something that is not enforced; with the line.
    """
    parsed = parsing.parse(text)
    for each in unenforced(parsed.policy):
        raise _unenforced(each, parsed)
    return parsed.policy


def ceiling(text: bytes) -> Policy:
    """Parse an operator's ceiling.

    Raises:
        PolicyError: It is none, or limits what is not enforced.
    """
    parsed = parsing.parse_ceiling(text)
    for each in unenforced(parsed.policy):
        raise _unenforced(each, parsed)
    return parsed.policy


def enforced(policy: Policy) -> None:
    """Refuse what is not enforced: it would be a promise that nobody keeps.

    Raises:
        PolicyError: Names the first such rule, and the reason.
    """
    for each in unenforced(policy):
        raise _unenforced(each)


def _unenforced(each: Unenforced, parsed: Parsed | None = None) -> PolicyError:
    line, column = parsed.positions.get(each.rule.where, (None, None)) if parsed else (None, None)
    what = f"rule {each.rule.number} ({each.rule.text}) can't be enforced: {each.reason}"
    return PolicyError(what, "take it out", line=line, column=column)


def match_tools(record: Record, policy: Policy) -> None:
    """Refuse a section that narrows no tool: whoever wrote it meant one."""
    names = {tool.name for tool in record.tools}
    unknown = sorted(set(policy.tools) - names)
    if unknown:
        raise PolicyError(
            f"the policy has a section for {unknown[0]!r}, which is no tool of {record.id!r}",
            f"write one of {', '.join(sorted(names)[:10]) or 'none'}, as `tool list` shows them",
        )
