"""What a call may do: policy, section of its tool and the operator's ceiling, all together.

The layers are kept apart, for each has to allow what is asked, and a deny of any of them wins:
that is their intersection, exactly.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from wassette_protocol.capabilities import Limits
from wassette_protocol.patterns import Pattern
from wassette_supervisor.errors import PolicyError
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.policy import storage_uri
from wassette_supervisor.policy.document import (
    Access,
    EnvironmentRule,
    NetworkRule,
    Permissions,
    Policy,
    Resources,
    StorageRule,
)
from wassette_supervisor.policy.enforceable import ENFORCED_LIMITS
from wassette_supervisor.policy.http_rule import secrets
from wassette_supervisor.policy.network import NetworkClause, clause
from wassette_supervisor.policy.numbering import Numbered, numbered, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from wassette_supervisor.policy.storage_uri import StorageUri

Path = tuple[bytes, ...]  # the segments of an absolute path
CEILING = "the operator's ceiling"  # the name of its layer


class StorageClause(msgspec.Struct, frozen=True):
    """A storage rule whose words have become places of this machine."""

    rule: Numbered
    uri: str
    access: tuple[Access, ...]
    below_workspace: bool
    root: Path  # taken as it is: a workspace may have a * in its name
    whole: Pattern  # of absolute paths
    # The path before the first `*`: all that the rule means is that, or lies below it.
    anchor: Path

    @property
    def has_glob(self) -> bool:
        return self.anchor != self.whole.segments

    def matches(self, path: Path) -> bool:
        return path[: len(self.anchor)] == self.anchor and self.whole.matches(path)

    def touches(self, path: Path) -> bool:
        """Whether it may mean this path or something below it."""
        shorter = min(len(path), len(self.anchor))
        return path[:shorter] == self.anchor[:shorter] and (
            self.whole.after(path) is not None or self.whole.matches(path)
        )


class Layer(msgspec.Struct, frozen=True):
    name: str  # as in "NAME allows it"
    resources: Resources
    storage_allow: tuple[StorageClause, ...] = ()
    storage_deny: tuple[StorageClause, ...] = ()
    # What is said of fs://state, which is no path: a component's own folder is reached by no other.
    state_allow: tuple[Numbered, ...] = ()
    state_deny: tuple[Numbered, ...] = ()
    network_allow: tuple[tuple[Numbered, NetworkClause], ...] = ()
    network_deny: tuple[tuple[Numbered, NetworkClause], ...] = ()
    environment: dict[str, Numbered] = {}


class Effective(msgspec.Struct, frozen=True):
    """`policy` is the component's own layer, the only one that sets values."""

    policy: Layer
    others: tuple[Layer, ...] = ()

    @property
    def layers(self) -> tuple[Layer, ...]:
        return (self.policy, *self.others)


def effective(
    policy: Policy | None, tool: str | None, ceiling: Policy | None, workspace: str | None
) -> Effective:
    """Put the layers of a call together.

    Args:
        policy: The component's; None grants nothing.
        tool: The name of the tool that is called, if one is.
        ceiling: The operator's; None limits nothing.
        workspace: Its canonical absolute path; None if there is none.

    Raises:
        PolicyError: A rule is below the workspace, and there is none.
    """
    workspace_path = _workspace_path(workspace)
    granted = policy or Policy()
    rules = numbered(granted)
    own = _layer("the policy", granted.permissions, _of_tool(rules, None), workspace_path)
    others = []
    if tool is not None and tool in granted.tools:
        name = f"the policy's section for the tool {tool}"
        section = granted.tools[tool]
        others.append(_layer(name, section, _of_tool(rules, tool), workspace_path))
    if ceiling is not None:
        above = _of_tool(numbered(ceiling), None)
        others.append(_layer(CEILING, ceiling.permissions, above, workspace_path))
    return Effective(own, tuple(others))


def environment(effective: Effective) -> list[EnvironmentRule]:
    """The variables of a call; what the policy says of their values counts."""
    found = []
    for key, rule in effective.policy.environment.items():
        granted = all(key in layer.environment for layer in effective.others)
        if granted and isinstance(rule.rule, EnvironmentRule):
            found.append(rule.rule)
    return found


def state(effective: Effective) -> frozenset[Access]:
    """What a call may do with the component's own folder; nothing without `read`."""
    given = frozenset.intersection(
        *(_accesses(layer.state_allow) - _accesses(layer.state_deny) for layer in effective.layers)
    )
    return given if "read" in given else frozenset()


def _accesses(rules: Iterable[Numbered]) -> frozenset[Access]:
    said = (rule.rule.access for rule in rules if isinstance(rule.rule, StorageRule))
    return frozenset(access for accesses in said for access in accesses)


def has_network(effective: Effective) -> bool:
    """Whether there may be a request that is allowed."""
    return all(layer.network_allow for layer in effective.layers)


def any_host_rule(effective: Effective) -> Numbered | None:
    """A rule of the policy that allows all hosts; what only limits it may do so."""
    for rule, said in effective.policy.network_allow:
        if said.host is not None and said.host.wildcard and not said.host.name:
            return rule
    return None


def injected_secrets(effective: Effective) -> frozenset[str]:
    """The secrets that may go with a request."""
    rules = (rule.rule for rule, _ in effective.policy.network_allow)
    values = (
        value for rule in rules if isinstance(rule, NetworkRule) for value in rule.inject.values()
    )
    return frozenset(name for value in values for name in secrets(value))


def limits(effective: Effective, defaults: Limits, maximum: Mapping[str, int]) -> Limits:
    """The limits of a call: the policy's or the default, and no more than any other layer has.

    Args:
        effective: The layers.
        defaults: For what the policy doesn't set, and the limits that no policy sets.
        maximum: The most that a policy may set, by the names of `LIMITS`.

    Raises:
        PolicyError: The policy sets more.
    """
    found = {}
    for name in sorted(ENFORCED_LIMITS):
        field = LIMITS[name].field
        own = getattr(effective.policy.resources, name)
        most = maximum.get(name)
        if own is not None and most is not None and own > most:
            text = LIMITS[name].text
            raise PolicyError(
                f"the limit {name} of the policy is {text(own)}",
                f"write at most {text(most)}, which is the operator's maximum",
            )
        value = own if own is not None else getattr(defaults, field)
        above = (getattr(layer.resources, name) for layer in effective.others)
        found[field] = min(v for v in (value, most, *above) if v is not None)
    return msgspec.structs.replace(defaults, **found)


class StorageLimits(NamedTuple):
    """What a call may write; None: no more is limited."""

    file: int | None  # bytes of the largest file
    files: int | None  # that it may create


def storage_limits(effective: Effective) -> StorageLimits:
    """The least that any layer has; no server has one by itself."""
    layers = [layer.resources for layer in effective.layers]
    sizes = (each.storage_file for each in layers if each.storage_file is not None)
    counts = (each.storage_files for each in layers if each.storage_files is not None)
    return StorageLimits(min(sizes, default=None), min(counts, default=None))


# --- a document's rules as clauses ----------------------------------------------------------


def _of_tool(rules: Iterable[Numbered], tool: str | None) -> list[Numbered]:
    return [rule for rule in rules if rule.where.tool == tool]


def _workspace_path(workspace: str | None) -> Path | None:
    if workspace is None:
        return None
    path = storage_uri.canonical_path(workspace)
    if path is None:
        what = f"the workspace {shown(workspace)!r} is no canonical absolute path"
        raise PolicyError(what, "name another with --workspace")
    return path


def _layer(
    name: str, permissions: Permissions, rules: Sequence[Numbered], workspace: Path | None
) -> Layer:
    storage: dict[str, list[StorageClause]] = {"allow": [], "deny": []}
    state: dict[str, list[Numbered]] = {"allow": [], "deny": []}
    network: dict[str, list[tuple[Numbered, NetworkClause]]] = {"allow": [], "deny": []}
    environment = {}
    for rule in rules:
        match rule.rule:
            case StorageRule(uri=uri) if storage_uri.parse(uri, deny=True).root == "state":
                state[rule.kind].append(rule)
            case StorageRule() as said:
                storage[rule.kind].append(_storage_clause(rule, said, workspace))
            case NetworkRule() as said:
                network[rule.kind].append((rule, clause(said)))
            case EnvironmentRule(key=key):
                environment[key] = rule
    return Layer(
        name=name,
        resources=permissions.resources,
        storage_allow=tuple(storage["allow"]),
        storage_deny=tuple(storage["deny"]),
        state_allow=tuple(state["allow"]),
        state_deny=tuple(state["deny"]),
        network_allow=tuple(network["allow"]),
        network_deny=tuple(network["deny"]),
        environment=environment,
    )


def _storage_clause(rule: Numbered, said: StorageRule, workspace: Path | None) -> StorageClause:
    deny = rule.kind == "deny"
    uri = storage_uri.parse(said.uri, deny=deny)
    root = _root(uri, rule, workspace)
    below = uri.root == "workspace"
    pattern = uri.pattern
    whole = Pattern(root + pattern.segments, pattern.below, literal=len(root))
    anchor = (*root, *takewhile(lambda segment: b"*" not in segment, pattern.segments))
    return StorageClause(rule, said.uri, said.access, below, root, whole, anchor)


def _root(uri: StorageUri, rule: Numbered, workspace: Path | None) -> Path:
    if uri.root == "absolute":
        return ()
    if workspace is None:
        what = f"rule {rule.number} ({rule.text}) is below the workspace, and there is none"
        raise PolicyError(what, "name one with --workspace, or write an absolute path, fs:///PATH")
    return workspace
