"""One form of all policies that say the same in other words or another order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from wassette_supervisor.policy import storage_uri
from wassette_supervisor.policy.document import (
    Access,
    Environment,
    EnvironmentRule,
    Network,
    NetworkRule,
    Permissions,
    Policy,
    Storage,
    StorageRule,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


def normalised(policy: Policy) -> Policy:
    """The policy sorted, each rule once, without the words that grant nothing."""
    tools = sorted(policy.tools.items())
    return Policy(
        permissions=_permissions(policy.permissions),
        tools={name: _permissions(section) for name, section in tools},
    )


def _permissions(permissions: Permissions) -> Permissions:
    storage, network = permissions.storage, permissions.network
    return Permissions(
        Storage(_storage(storage.allow, deny=False), _storage(storage.deny, deny=True)),
        Network(_network(network.allow), _network(network.deny)),
        Environment(_environment(permissions.environment.allow)),
        permissions.resources,
    )


def _storage(rules: Iterable[StorageRule], *, deny: bool) -> tuple[StorageRule, ...]:
    found: dict[str, set[Access]] = {}
    for rule in rules:
        uri = storage_uri.parse(rule.uri, deny=deny).text
        found.setdefault(uri, set()).update(rule.access)
    return tuple(StorageRule(uri, tuple(sorted(access))) for uri, access in sorted(found.items()))


def _network(rules: Iterable[NetworkRule]) -> tuple[NetworkRule, ...]:
    bare = (msgspec.structs.replace(rule, description=None) for rule in rules)
    by_text = {msgspec.json.encode(rule): rule for rule in bare}
    return tuple(rule for _, rule in sorted(by_text.items()))


def _environment(rules: Iterable[EnvironmentRule]) -> tuple[EnvironmentRule, ...]:
    bare = [msgspec.structs.replace(rule, description=None) for rule in rules]
    return tuple(sorted(bare, key=lambda rule: rule.key))
