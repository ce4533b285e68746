"""What a name leads to: asked once for each connection, and never kept.

No file is read: which servers to ask is told with each order. Names are absolute.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdata
import dns.resolver

from wassette_protocol.broker_frames import MAX_ADDRESSES
from wassette_supervisor.broker.codes import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dns.rdatatype import RdataType

_TRY_SECONDS = 2.0  # for one server
_ALL_SECONDS = 5.0
_GRACE_SECONDS = 0.3  # for the other family, once one has answered
_PAYLOAD = 1232  # of UDP; longer answers come by TCP (DNS flag day 2020)

# dnspython imports what it needs when it first needs it. Whoever serves can open no file then.
dns.rdata.load_all_types()  # type: ignore[no-untyped-call]  # dnspython has it so
dns.asyncbackend.set_default_backend("asyncio")


async def resolve(host: str, servers: Sequence[str]) -> list[str]:
    """The addresses of a host, IPv6 and IPv4 in turn.

    Raises:
        RequestError: No server told any.
    """
    resolver = _resolver(servers)
    try:
        name = dns.name.from_text(host, origin=dns.name.root)
    except dns.exception.DNSException:
        raise RequestError("DNS-error") from None
    asked = [asyncio.ensure_future(_ask(resolver, name, kind)) for kind in ("AAAA", "A")]
    try:
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        rest = [each for each in asked if not each.done()]
        if rest:
            known = any(isinstance(each.result(), list) for each in asked if each.done())
            await asyncio.wait(rest, timeout=_GRACE_SECONDS if known else None)
    finally:
        for each in asked:
            each.cancel()
    return _joined([each.result() for each in asked if each.done() and not each.cancelled()])


def _joined(told: list[list[str] | str]) -> list[str]:
    lists = [each for each in told if isinstance(each, list)]
    longest = max(map(len, lists), default=0)
    addresses = [each[place] for place in range(longest) for each in lists if place < len(each)]
    if not addresses:
        raise RequestError("DNS-timeout" if "DNS-timeout" in told else "DNS-error")
    return addresses[:MAX_ADDRESSES]


async def _ask(
    resolver: dns.asyncresolver.Resolver, name: dns.name.Name, kind: RdataType | str
) -> list[str] | str:
    """Addresses of one family, or why there are none."""
    try:
        answer = await resolver.resolve(name, kind, search=False, lifetime=_ALL_SECONDS)
    except dns.exception.Timeout:
        return "DNS-timeout"
    except (dns.exception.DNSException, OSError, ValueError):
        return "DNS-error"
    return [str(each.address) for each in list(answer)[:MAX_ADDRESSES]] or "DNS-error"


def _resolver(servers: Sequence[str]) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=False)
    known: list[str | dns.nameserver.Nameserver] = []
    for server in servers:
        address, _, port = server.rpartition(":")
        with suppress(ValueError):
            asked = str(ip_address(address.strip("[]")))
            known.append(dns.nameserver.Do53Nameserver(asked, int(port)))
    if not known:
        raise RequestError("DNS-error")
    resolver.nameservers = known
    resolver.timeout = _TRY_SECONDS
    resolver.use_edns(0, 0, _PAYLOAD)
    return resolver
