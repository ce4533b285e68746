"""A policy as the YAML that is kept and shown; reading it gives the same policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from wassette_supervisor.policy.document import EnvironmentRule, NetworkRule, StorageRule
from wassette_supervisor.policy.resources import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wassette_supervisor.policy.document import Permissions, Policy, Resources, Rule

_KEYS = {
    "$schema", "access", "allow", "cidr", "deny", "description", "environment", "headers", "host",
    "inject", "key", "limits", "methods", "network", "paths", "permissions", "resources", "secret",
    "storage", "tools", "uri", "value", "value_from", "version",
    *(name.rpartition(".")[2] for name in RESOURCES),
}  # fmt: skip

# A text is written in quotes, all else as the lines of what is in it.
_Tree = str | list["_Tree"] | dict[str, "_Tree"]


def to_yaml(policy: Policy) -> bytes:
    tree: dict[str, _Tree] = {}
    if policy.schema is not None:
        tree["$schema"] = policy.schema
    tree["version"] = policy.version
    if policy.description is not None:
        tree["description"] = policy.description
    tree["permissions"] = _permissions(policy.permissions)
    tools: dict[str, _Tree] = {
        name: {"permissions": _permissions(section)} for name, section in policy.tools.items()
    }
    if tools:
        tree["tools"] = tools
    return ("\n".join(_lines(tree)) + "\n").encode()


def _permissions(permissions: Permissions) -> dict[str, _Tree]:
    storage, network = permissions.storage, permissions.network
    sections: dict[str, dict[str, _Tree]] = {
        "storage": _lists(allow=storage.allow, deny=storage.deny),
        "network": _lists(allow=network.allow, deny=network.deny),
        "environment": _lists(allow=permissions.environment.allow),
        "resources": _resources(permissions.resources),
    }
    return {name: section for name, section in sections.items() if section}


def _lists(**lists: Iterable[Rule]) -> dict[str, _Tree]:
    found = {kind: [_rule(rule) for rule in rules] for kind, rules in lists.items()}
    return {kind: rules for kind, rules in found.items() if rules}


def _rule(rule: Rule) -> _Tree:
    match rule:
        case StorageRule():
            tree: dict[str, _Tree] = {"uri": rule.uri, "access": list(rule.access)}
        case NetworkRule():
            tree = _network_rule(rule)
        case EnvironmentRule():
            tree = {"key": rule.key}
            if rule.value is not None:
                tree["value"] = rule.value
            if rule.secret is not None:
                tree["value_from"] = {"secret": rule.secret}
        case _:
            assert_never(rule)
    if rule.description is not None:
        tree["description"] = rule.description
    return tree


def _network_rule(rule: NetworkRule) -> dict[str, _Tree]:
    tree: dict[str, _Tree] = {}
    if rule.host is not None:
        tree["host"] = rule.host
    if rule.cidr is not None:
        tree["cidr"] = rule.cidr
    if rule.methods:
        tree["methods"] = list(rule.methods)
    if rule.paths:
        tree["paths"] = list(rule.paths)
    if rule.inject:
        tree["inject"] = {"headers": dict(rule.inject)}
    return tree


def _resources(resources: Resources) -> dict[str, _Tree]:
    limits: dict[str, _Tree] = {}
    storage: dict[str, _Tree] = {}
    for name, limit in RESOURCES.items():
        value = getattr(resources, limit.field)
        if value is not None:
            within = storage if name.startswith("storage.") else limits
            within[name.removeprefix("storage.")] = limit.text(value)
    if storage:
        limits["storage"] = storage
    return {"limits": limits} if limits else {}


# --- YAML -----------------------------------------------------------------------------------


def _lines(tree: Mapping[str, _Tree]) -> Iterator[str]:
    for key, value in tree.items():
        yield from _entry(_key(key), value)


def _entry(key: str, value: _Tree) -> Iterator[str]:
    if isinstance(value, str):
        yield f"{key}: {_quoted(value)}"
    elif not value:
        yield f"{key}: {{}}"
    elif isinstance(value, dict):
        yield f"{key}:"
        yield from (f"  {line}" for line in _lines(value))
    elif all(isinstance(item, str) for item in value):
        yield f"{key}: [{', '.join(_quoted(item) for item in value if isinstance(item, str))}]"
    else:
        yield f"{key}:"
        for item in value:
            if isinstance(item, dict):
                first, *others = _lines(item)
                yield f"- {first}"
                yield from (f"  {line}" for line in others)


def _key(key: str) -> str:
    # Names of tools and headers may be what other readers of YAML take for a number or a boolean.
    return key if key in _KEYS else _quoted(key)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    safe = (c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped)
    return f'"{"".join(safe)}"'
