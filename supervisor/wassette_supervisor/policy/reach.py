"""What the rules say of the addresses to which an allowed request may go."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from wassette_protocol.broker_frames import AddressRules
from wassette_supervisor.policy.network import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wassette_supervisor.policy.effective import Effective, Layer
    from wassette_supervisor.policy.host import Host
    from wassette_supervisor.policy.network import NetworkClause
    from wassette_supervisor.policy.request_words import Words

LOCALHOST = "localhost"
LOCALHOST_ADDRESSES = ("127.0.0.1", "::1")  # RFC 6761, 6.3: nobody else is asked for them
_LOOPBACK = ("127.0.0.0/8", "::1/128")


def address_rules(effective: Effective, words: Words) -> AddressRules:
    """What of the rules the judge of addresses has to know.

    Args:
        effective: The layers; each allows the request.
        words: The request.
    """
    target = target_of(words)
    denied = [text for layer in effective.layers for text in _denied(layer, target)]
    lifted = [list(dict.fromkeys(_lifted(layer, target))) for layer in effective.layers]
    return AddressRules(list(dict.fromkeys(denied)), lifted)


def target_of(words: Words) -> Target:
    asked = words.request
    return Target(asked.scheme, words.host, words.port, asked.method, asked.path.partition("?")[0])


def _denied(layer: Layer, target: Target) -> Iterator[str]:
    for _, clause in layer.network_deny:
        if clause.cidr is not None:
            yield clause.cidr
        host = clause.host
        # By whatever name it is reached, the host that is denied stays it.
        if host is not None and host.matches(target.scheme, host.name, target.port, deny=True):
            yield from _addresses(host)


def _lifted(layer: Layer, target: Target) -> Iterator[str]:
    for _, clause in layer.network_allow:
        if clause.cidr is not None:
            yield clause.cidr
        if clause.host is not None and not clause.host.wildcard and clause.allows(target):
            yield from _addresses(clause.host)


def _addresses(host: Host) -> tuple[str, ...]:
    """The addresses that a host is by itself, before any name is looked up."""
    if host.wildcard:
        return ()
    if host.name == LOCALHOST:
        return _LOOPBACK
    return (str(ipaddress.ip_network(host.name)),) if host.address else ()


def ranges_of(clause: NetworkClause) -> int:
    """How many ranges it may give to the judge of addresses."""
    if clause.cidr is not None:
        return 1
    return len(_addresses(clause.host)) if clause.host is not None else 0
