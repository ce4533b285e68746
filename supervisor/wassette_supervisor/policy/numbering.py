"""The rules of a policy, numbered for people: from 1, in the order of the document."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from wassette_supervisor.policy.document import (
    EnvironmentRule,
    NetworkRule,
    Permissions,
    Policy,
    Rule,
    StorageRule,
)
from wassette_supervisor.policy.http_rule import secrets
from wassette_supervisor.policy.resources import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SHOWN = 200


class Where(NamedTuple):
    """The place of a rule in a document."""

    tool: str | None  # None: the permissions of the whole component
    section: str  # storage, network, environment, limits
    kind: str  # allow, deny, limit
    which: int | str  # of a list the index, of limits the name


class LimitRule(msgspec.Struct, frozen=True):
    name: str  # as memory or storage.file
    value: int

    @property
    def text(self) -> str:
        return f"{self.name} at most {RESOURCES[self.name].text(self.value)}"


class Numbered(msgspec.Struct, frozen=True):
    number: int
    where: Where
    rule: Rule | LimitRule
    text: str  # one line

    @property
    def section(self) -> str:
        return self.where.section

    @property
    def kind(self) -> str:
        return self.where.kind


def numbered(policy: Policy) -> list[Numbered]:
    """All rules: storage, network, environment, limits; then those of each tool."""
    found: list[Numbered] = []
    for tool, permissions in [(None, policy.permissions), *policy.tools.items()]:
        for where, rule in _rules(tool, permissions):
            prefix = f"tool {tool}: " if tool else ""
            text = f"{prefix}{where.kind} {rule_text(rule)}"
            found.append(Numbered(len(found) + 1, where, rule, text))
    return found


def _rules(tool: str | None, permissions: Permissions) -> Iterator[tuple[Where, Rule | LimitRule]]:
    lists: tuple[tuple[str, str, tuple[Rule, ...]], ...] = (
        ("storage", "allow", permissions.storage.allow),
        ("storage", "deny", permissions.storage.deny),
        ("network", "allow", permissions.network.allow),
        ("network", "deny", permissions.network.deny),
        ("environment", "allow", permissions.environment.allow),
    )
    for section, kind, rules in lists:
        for index, rule in enumerate(rules):
            yield Where(tool, section, kind, index), rule
    for name, limit in RESOURCES.items():
        value = getattr(permissions.resources, limit.field)
        if value is not None:
            yield Where(tool, "limits", "limit", name), LimitRule(name, value)


def rule_text(rule: Rule | LimitRule) -> str:
    """What a rule says, in one line that no word of it can break."""
    match rule:
        case StorageRule(uri=uri, access=access):
            return f"{', '.join(access)} {shown(uri)}"
        case NetworkRule():
            return _network_text(rule)
        case EnvironmentRule():
            return _environment_text(rule)
        case LimitRule():
            return rule.text


def _network_text(rule: NetworkRule) -> str:
    parts = [rule.host or f"addresses in {rule.cidr}"]
    if rule.methods:
        parts.append(", ".join(rule.methods))
    if rule.paths:
        parts.append(shown(", ".join(rule.paths)))
    for header, value in rule.inject.items():
        names = " and ".join(secrets(value))
        sent = f"secret {names} as" if names else "a text of the policy as"
        parts.append(f"sends {sent} {header}")
    return "; ".join(parts)


def _environment_text(rule: EnvironmentRule) -> str:
    if rule.secret is not None:
        return f"{rule.key}, with the secret {rule.secret}"
    if rule.value is not None:
        # Which may be private: it stands in the document only, and in no log or answer.
        return f"{rule.key}, with a value of its own"
    return f"{rule.key}, of the server"


def shown(text: str) -> str:
    """A text of a policy within a line: bounded, what can't be seen as its escape."""
    safe = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text[: MAX_SHOWN + 1]
    )
    return safe if len(safe) <= MAX_SHOWN else f"{safe[: MAX_SHOWN - 1]}…"
