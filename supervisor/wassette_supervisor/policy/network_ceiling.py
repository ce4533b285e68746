"""How much of what a network rule allows another layer allows as well."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Literal

from wassette_supervisor.policy import cidr
from wassette_supervisor.policy.host import DEFAULT_PORTS

if TYPE_CHECKING:
    from wassette_supervisor.policy.effective import Layer
    from wassette_supervisor.policy.host import Host
    from wassette_supervisor.policy.network import NetworkClause

Much = Literal["all", "some", "nothing"]


def allowed_of(layer: Layer, clause: NetworkClause) -> Much:
    """What a layer allows of a rule; `some` where that it is all or nothing is not plain."""
    allowing = [each for _, each in layer.network_allow]
    if not any(_meets(each, clause) for each in allowing):
        return "nothing"
    denied = any(_denies(each, clause) for _, each in layer.network_deny)
    return "all" if not denied and any(_covers(each, clause) for each in allowing) else "some"


def _covers(wide: NetworkClause, narrow: NetworkClause) -> bool:
    """Whether all requests that one rule allows the other allows, seen from their words."""
    if wide.methods and not (narrow.methods and set(narrow.methods) <= set(wide.methods)):
        return False
    if wide.paths and not (
        narrow.paths
        and all(any(above.covers(path) for above in wide.paths) for path in narrow.paths)
    ):
        return False
    if wide.host is not None:
        return narrow.host is not None and wide.host.covers(narrow.host)
    if narrow.host is not None:
        return _at_usual_ports(narrow.host) and _in_range(wide.cidr, narrow.host)
    return _overlap(wide.cidr, narrow.cidr) and _prefix(wide.cidr) <= _prefix(narrow.cidr)


def _meets(one: NetworkClause, other: NetworkClause) -> bool:
    """Whether one request may be allowed by both."""
    if one.methods and other.methods and not set(one.methods).intersection(other.methods):
        return False
    if one.host is not None and other.host is not None:
        return _ports_meet(one.host, other.host) and _names_meet(one.host, other.host)
    return _addresses_meet(one, other)


def _denies(deny: NetworkClause, clause: NetworkClause) -> bool:
    """Whether a deny rule may refuse a request that a rule allows, by its words."""
    any_name = deny.host is not None and deny.host.wildcard and not deny.host.name
    if deny.host is None or clause.host is None:
        return any_name or _addresses_meet(deny, clause)
    scheme = deny.host.scheme in (None, clause.host.scheme) or clause.host.scheme is None
    port = deny.host.port is None or _ports_meet(deny.host, clause.host)
    return scheme and port and (any_name or _names_meet(deny.host, clause.host))


def _addresses_meet(one: NetworkClause, other: NetworkClause) -> bool:
    if one.host is not None:
        return _in_range(other.cidr, one.host)
    if other.host is not None:
        return _in_range(one.cidr, other.host)
    return _overlap(one.cidr, other.cidr)


def _names_meet(one: Host, other: Host) -> bool:
    if one.wildcard and other.wildcard:
        names = sorted((one.name, other.name), key=len)
        return not names[0] or names[0] == names[1] or names[1].endswith(f".{names[0]}")
    if one.wildcard or other.wildcard:
        wide, narrow = (one, other) if one.wildcard else (other, one)
        is_name = not narrow.address and narrow.name.rpartition(".")[2] != "localhost"
        return is_name and (not wide.name or narrow.name.endswith(f".{wide.name}"))
    return one.name == other.name


def _ports_meet(one: Host, other: Host) -> bool:
    return any(
        (one.port or default) == (other.port or default)
        for scheme, default in DEFAULT_PORTS.items()
        if one.scheme in (None, scheme) and other.scheme in (None, scheme)
    )


def _at_usual_ports(host: Host) -> bool:
    """A range allows addresses at the port of each scheme."""
    return host.port is None or host.port == DEFAULT_PORTS.get(host.scheme or "")


def _in_range(text: str | None, host: Host) -> bool:
    return text is not None and host.address and cidr.contains(text, host.name)


def _overlap(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return False
    first, second = ipaddress.ip_network(one), ipaddress.ip_network(other)
    return first.version == second.version and first.overlaps(second)


def _prefix(text: str | None) -> int:
    return ipaddress.ip_network(text or "").prefixlen
