"""Whether a call may do one thing: pure, total, and linear in request and rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, assert_never

import msgspec

from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy import host as hosts
from wassette_supervisor.policy import http_rule
from wassette_supervisor.policy.document import Access, StorageRule
from wassette_supervisor.policy.network import Target
from wassette_supervisor.policy.numbering import Numbered
from wassette_supervisor.policy.shielded import REASON, is_shielded
from wassette_supervisor.policy.storage_uri import canonical_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wassette_supervisor.policy.effective import Effective, Layer, Path, StorageClause


class StorageRequest(msgspec.Struct, frozen=True):
    path: str | bytes  # canonical and absolute, of the host
    access: Access


class StateRequest(msgspec.Struct, frozen=True):
    """Of the component's own folder, fs://state: no path of the host means it."""

    access: Access


class NetworkRequest(msgspec.Struct, frozen=True):
    """A request by its words; whether its addresses may be dialled is another question."""

    host: str  # a name or an address; IPv6 in brackets
    scheme: Literal["http", "https"] = "https"
    port: int | None = None  # None: that of the scheme
    method: str = "GET"
    path: str = "/"  # raw, perhaps with its query


class EnvironmentRequest(msgspec.Struct, frozen=True):
    key: str


Request = StorageRequest | StateRequest | NetworkRequest | EnvironmentRequest


class Allowed(msgspec.Struct, frozen=True):
    rule: Numbered  # of the policy


class Denied(msgspec.Struct, frozen=True):
    """`rule` is the one that denies; None: none allows."""

    reason: str  # one line, without a word of the request
    rule: Numbered | None = None


Decision = Allowed | Denied


def decide(effective: Effective, request: Request, *, shield: bool = True) -> Decision:
    """Every layer must have a rule that allows it, and none one that denies it.

    Args:
        effective: The layers.
        request: What is asked for.
        shield: Keep what nobody writes to unless a rule names it.
    """
    match request:
        case StorageRequest():
            return _storage(effective, request, shield=shield)
        case StateRequest(access=access):
            denying = [_saying(layer.state_deny, access) for layer in effective.layers]
            allows = [_saying(layer.state_allow, access) for layer in effective.layers]
            return _decision(effective, denying, allows, f"allows to {access} fs://state")
        case NetworkRequest():
            return _network(effective, request)
        case EnvironmentRequest(key=key):
            allowing = [_variable(layer, key) for layer in effective.layers]
            return _decision(effective, [()] * len(allowing), allowing, "allows this variable")
        case _:
            assert_never(request)


def _decision(
    effective: Effective,
    denying: Iterable[Iterable[Numbered]],
    allowing: Iterable[Iterable[Numbered]],
    what: str,
) -> Decision:
    """Decide by the rules of each layer that match the request."""
    for layer, rules in zip(effective.layers, denying, strict=True):
        for rule in rules:
            return Denied(f"rule {rule.number} of {layer.name} denies it", rule)
    found: list[Numbered] = []
    for layer, rules in zip(effective.layers, allowing, strict=True):
        first = next(iter(rules), None)
        if first is None:
            return Denied(f"no rule of {layer.name} {what}")
        found.append(first)
    return Allowed(found[0])


def _storage(effective: Effective, request: StorageRequest, *, shield: bool) -> Decision:
    path = canonical_path(request.path)
    if path is None:
        return Denied("the path is not absolute and canonical")
    denying = [_matching(layer.storage_deny, request.access, path) for layer in effective.layers]
    allowing = [_matching(layer.storage_allow, request.access, path) for layer in effective.layers]
    found = _decision(effective, denying, allowing, f"allows to {request.access} there")
    kept = shield and request.access == "write" and isinstance(found, Allowed)
    return Denied(REASON) if kept and is_shielded(effective, path) else found


def _matching(clauses: Iterable[StorageClause], access: Access, path: Path) -> list[Numbered]:
    return [clause.rule for clause in clauses if access in clause.access and clause.matches(path)]


def _saying(rules: Iterable[Numbered], access: Access) -> list[Numbered]:
    return [
        rule for rule in rules if isinstance(rule.rule, StorageRule) and access in rule.rule.access
    ]


def _variable(layer: Layer, key: str) -> list[Numbered]:
    return [layer.environment[key]] if key in layer.environment else []


# --- network --------------------------------------------------------------------------------


def _network(effective: Effective, request: NetworkRequest) -> Decision:
    target = _target(request)
    if isinstance(target, Denied):
        return target
    denying = [
        [rule for rule, clause in layer.network_deny if clause.reaches(target, deny=True)]
        for layer in effective.layers
    ]
    allowing = [
        [rule for rule, clause in layer.network_allow if clause.allows(target)]
        for layer in effective.layers
    ]
    return _decision(effective, denying, allowing, "allows this request")


def _target(request: NetworkRequest) -> Target | Denied:
    if request.scheme not in hosts.DEFAULT_PORTS:
        return Denied("the scheme is neither http nor https")
    if request.method in http_rule.NEVER_ALLOWED:
        return Denied(f"the method {request.method} is never allowed")
    try:
        name = hosts.normal_name(request.host)
    except PolicyError:
        return Denied("the host is no name and no address that can be compared")
    path, _, _ = request.path.partition("?")
    if not path.startswith("/") or "#" in request.path:
        return Denied("the path doesn't begin with a slash, or has a fragment")
    port = hosts.DEFAULT_PORTS[request.scheme] if request.port is None else request.port
    return Target(request.scheme, name, port, request.method, path)
