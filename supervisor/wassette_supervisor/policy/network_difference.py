"""How two sets of network rules differ in what they grant."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.policy import witnesses
from wassette_supervisor.policy.document import NetworkRule
from wassette_supervisor.policy.host import DEFAULT_PORTS
from wassette_supervisor.policy.http_rule import secrets
from wassette_supervisor.policy.network import NetworkClause, Target, clause
from wassette_supervisor.policy.numbering import rule_text, shown
from wassette_supervisor.policy.right_changes import Change, Rules, changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wassette_supervisor.policy.document import Network

MAX_JUDGED = 200_000  # rules by examples of requests: a second at most

# Examples of what no rule can name: no label and no method is such.
_OTHER_LABEL = "?"
_OTHER_METHOD = "?"


class _Key(NamedTuple):
    owner: str  # "rules" are compared, "before" and "after" say what is of interest
    deny: bool
    host: str | None
    cidr: str | None
    methods: tuple[str, ...]
    paths: tuple[str, ...]

    @property
    def rule(self) -> NetworkRule:
        return NetworkRule(self.host, self.cidr, self.methods, self.paths)


def network_changes(
    old: Network, new: Network, within: tuple[Network, Network] | None
) -> Iterator[tuple[bool, str]]:
    """What was gained (True) and lost (False), by the rules that did it.

    Args:
        old: The rules before.
        new: The rules after.
        within: Only what both of these allow is of interest; None: all is.
    """
    found = {(rule_text(c.key.rule), c.gained, c.deny) for c in _changes(old, new, within)}
    for text, gained, deny in sorted(found):
        reason = (", no longer denied" if gained else ", now denied") if deny else ""
        yield gained, f"requests to {text}{reason}"
    before, after = _injected(old), _injected(new)
    yield from ((False, text) for text in sorted(before - after))
    yield from ((True, text) for text in sorted(after - before))


def _injected(network: Network) -> set[str]:
    found = set()
    for rule in network.allow:
        requests = "; ".join([rule.host or "", *rule.methods, *rule.paths])
        for header, value in rule.inject.items():
            names = " and ".join(secrets(value))
            what = f"secret {names}" if names else "a text"
            text = f"sends {what} as {header}: {shown(value)} to {shown(requests)}"
            found.add(text)
    return found


def _changes(
    old: Network, new: Network, within: tuple[Network, Network] | None
) -> list[Change[_Key]]:
    clauses: dict[_Key, NetworkClause] = {}
    before, after = (_rules(network, "rules", clauses) for network in (old, new))
    if before == after:
        return []
    limits = [
        _rules(network, owner, clauses)
        for owner, network in zip(("before", "after"), within or (), strict=False)
    ]
    try:
        ways = _ways(clauses)
    except witnesses.TooManyError:
        return changes(before, after, None)
    return changes(before, after, [w for w in ways if all(rules.permit(w) for rules in limits)])


def _rules(network: Network, owner: str, clauses: dict[_Key, NetworkClause]) -> Rules[_Key]:
    keys: dict[bool, set[_Key]] = {False: set(), True: set()}
    for deny, rules in ((False, network.allow), (True, network.deny)):
        for rule in rules:
            key = _Key(owner, deny, rule.host, rule.cidr, rule.methods, rule.paths)
            keys[deny].add(key)
            clauses[key] = clause(rule)
    return Rules(frozenset(keys[False]), frozenset(keys[True]))


# --- examples of requests -------------------------------------------------------------------


def _ways(clauses: dict[_Key, NetworkClause]) -> set[frozenset[_Key]]:
    """Which rules one request can match together, for all requests."""
    targets = _targets(clauses.values())
    found: set[frozenset[_Key]] = set()
    with_paths: set[tuple[frozenset[_Key], frozenset[_Key]]] = set()
    for target in targets:
        reached = {
            key
            for key, rule in clauses.items()
            if (rule.reaches(target, deny=True) if key.deny else rule.reaches_method(target))
        }
        limited = frozenset(key for key in reached if key.paths)
        with_paths.add((frozenset(reached - limited), limited))
    by_paths: dict[frozenset[_Key], list[frozenset[_Key]]] = {}
    for others, limited in with_paths:
        by_paths.setdefault(limited, []).append(others)
    steps = witnesses.MAX_STEPS // max(1, len(by_paths))  # together as long as one
    for limited, besides in by_paths.items():
        path_ways = _path_ways(limited, clauses, steps)
        found.update(others | way for others in besides for way in path_ways)
    return found


def _path_ways(
    limited: frozenset[_Key], clauses: dict[_Key, NetworkClause], max_steps: int
) -> set[frozenset[_Key]]:
    patterns = {
        (key, place): pattern for key in limited for place, pattern in enumerate(clauses[key].paths)
    }
    found = {frozenset(key for key, _ in way) for way in witnesses.ways(patterns, max_steps)}
    # A path that can be read in two ways is matched by no pattern, whatever it is.
    return {frozenset(), *found}


def _targets(clauses: Iterable[NetworkClause]) -> list[Target]:
    """One request of each kind that the rules can tell apart, but for their paths.

    Ports and addresses that no rule names are allowed by none, and need no example.
    """
    rules = list(clauses)
    names = _names(rules)
    ports = {rule.host.port for rule in rules if rule.host and rule.host.port}
    ports.update(DEFAULT_PORTS.values())
    methods = {_OTHER_METHOD, *(method for rule in rules for method in rule.methods)}
    if len(names) * len(ports) * len(methods) * len(rules) > MAX_JUDGED:
        raise witnesses.TooManyError
    return [
        Target(scheme, name, port, method, "/")
        for scheme in DEFAULT_PORTS
        for name in names
        for port in ports
        for method in methods
    ]


def _names(rules: Iterable[NetworkClause]) -> set[str]:
    names = set()
    for rule in rules:
        if rule.host is not None and rule.host.wildcard:
            names.add(f"{_OTHER_LABEL}.{rule.host.name}" if rule.host.name else _OTHER_LABEL)
        elif rule.host is not None:
            names.add(rule.host.name)
        elif rule.cidr is not None:
            names.update(_edges(rule.cidr))
    return names


def _edges(cidr: str) -> Iterator[str]:
    """The first address of a range and the first behind it: where ranges begin to differ."""
    network = ipaddress.ip_network(cidr)
    yield str(network.network_address)
    if int(network.broadcast_address) < (1 << network.max_prefixlen) - 1:
        yield str(network.broadcast_address + 1)
