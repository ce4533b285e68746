"""Whether an address may be dialled: what is refused by itself, and what rules say of it.

Pure, for the broker judges with it what a name led to, in a process that reads no policy.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.policy import cidr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Range = cidr.Range


class Refused(NamedTuple):
    range: Range
    what: str  # as in "it is WHAT"
    source: str


def _rows(*rows: tuple[str, str, str]) -> tuple[Refused, ...]:
    return tuple(Refused(ipaddress.ip_network(text), what, source) for text, what, source in rows)


_METADATA = "a metadata service of a cloud"
_PRIVATE = "a private address"
_LOOPBACK = "a loopback address"
_LINK_LOCAL = "a link-local address"
_DOCUMENTATION = "an address for documentation"
_BENCHMARKING = "an address for benchmarks"
_PROTOCOLS = "an address of a protocol, not of a host"
_RESERVED = "a reserved address"
_EMBEDDED = "an IPv4 address in a form that is out of use"

# Each with where it is written: what IANA's registries of special-purpose addresses name (as of
# October 2025), and vendors' pages. The first row that fits is told, so the narrow ones come first.
REFUSED = _rows(
    ("169.254.169.254/32", _METADATA, "AWS, Azure, Google Cloud and others: instance metadata"),
    ("169.254.170.2/32", _METADATA, "AWS ECS: credentials of a task"),
    ("169.254.170.23/32", _METADATA, "AWS EKS: credentials of a pod"),
    ("169.254.0.23/32", _METADATA, "Tencent Cloud: metadata.tencentyun.com"),
    ("169.254.42.42/32", _METADATA, "Scaleway: instance metadata"),
    ("100.100.100.200/32", _METADATA, "Alibaba Cloud: instance metadata"),
    ("168.63.129.16/32", _METADATA, "Azure: WireServer, what is IP address 168.63.129.16"),
    ("192.0.0.192/32", _METADATA, "Oracle Cloud Classic: instance metadata"),
    ("fd00:ec2::254/128", _METADATA, "AWS: instance metadata over IPv6"),
    ("fd00:ec2::23/128", _METADATA, "AWS EKS: credentials of a pod over IPv6"),
    ("fd20:ce::254/128", _METADATA, "Google Cloud: metadata server over IPv6"),
    ("fd00:42::42/128", _METADATA, "Scaleway: instance metadata over IPv6"),
    ("fe80::a9fe:a9fe/128", _METADATA, "OpenStack Nova: metadata over IPv6"),
    ("0.0.0.0/32", "the unspecified address", "RFC 1122, 3.2.1.3; Linux dials loopback for it"),
    ("0.0.0.0/8", _RESERVED, "RFC 791, 3.2: this network"),
    ("10.0.0.0/8", _PRIVATE, "RFC 1918"),
    ("100.64.0.0/10", "a shared address of a provider", "RFC 6598: carrier-grade NAT"),
    ("127.0.0.0/8", _LOOPBACK, "RFC 1122, 3.2.1.3"),
    ("169.254.0.0/16", _LINK_LOCAL, "RFC 3927"),
    ("172.16.0.0/12", _PRIVATE, "RFC 1918"),
    ("192.0.0.0/24", _PROTOCOLS, "RFC 6890, 2.1"),
    ("192.0.2.0/24", _DOCUMENTATION, "RFC 5737: TEST-NET-1"),
    ("192.88.99.0/24", _PROTOCOLS, "RFC 7526: the former 6to4 relays"),
    ("192.168.0.0/16", _PRIVATE, "RFC 1918"),
    ("198.18.0.0/15", _BENCHMARKING, "RFC 2544"),
    ("198.51.100.0/24", _DOCUMENTATION, "RFC 5737: TEST-NET-2"),
    ("203.0.113.0/24", _DOCUMENTATION, "RFC 5737: TEST-NET-3"),
    ("224.0.0.0/4", "a multicast address", "RFC 5771"),
    ("255.255.255.255/32", "the broadcast address", "RFC 919, 7"),
    ("240.0.0.0/4", _RESERVED, "RFC 1112, 4"),
    ("::/128", "the unspecified address", "RFC 4291, 2.5.2"),
    ("::1/128", _LOOPBACK, "RFC 4291, 2.5.3"),
    ("::/96", _EMBEDDED, "RFC 4291, 2.5.5.1: IPv4-compatible"),
    ("::ffff:0:0:0/96", _EMBEDDED, "RFC 2765, 2.1: IPv4-translated"),
    ("64:ff9b:1::/48", "an address of a local NAT64", "RFC 8215"),
    ("100::/64", "an address that discards all", "RFC 6666"),
    ("100:0:0:1::/64", _PROTOCOLS, "RFC 9780: dummy prefix"),
    ("2001:2::/48", _BENCHMARKING, "RFC 5180"),
    ("2001:10::/28", _PROTOCOLS, "RFC 4843: ORCHID"),
    ("2001:20::/28", _PROTOCOLS, "RFC 7343: ORCHIDv2"),
    ("2001:30::/28", _PROTOCOLS, "RFC 9374: entity tags of drones"),
    ("2001:db8::/32", _DOCUMENTATION, "RFC 3849"),
    ("2001::/32", "an address of a Teredo tunnel", "RFC 4380"),
    ("2001::/23", _PROTOCOLS, "RFC 2928"),
    ("3ffe::/16", _RESERVED, "RFC 3701: the former 6bone"),
    ("3fff::/20", _DOCUMENTATION, "RFC 9637"),
    ("5f00::/16", _PROTOCOLS, "RFC 9602: SRv6"),
    ("fc00::/7", _PRIVATE, "RFC 4193: unique local"),
    ("fe80::/10", _LINK_LOCAL, "RFC 4291, 2.5.6"),
    ("fec0::/10", _PRIVATE, "RFC 3879: the former site-local"),
    ("ff00::/8", "a multicast address", "RFC 4291, 2.7"),
)

_UNASSIGNED = "an address that nobody is given"
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # IANA gives nobody others (RFC 4291, 2.4)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")  # RFC 4291, 2.5.5.2
_TRANSLATED = ipaddress.IPv6Network("::ffff:0:0:0/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214, 6.1
_WORD = (1 << 32) - 1


def ranges(texts: Iterable[str]) -> tuple[Range, ...]:
    """Read ranges, quickly where the same were read of late.

    Raises:
        PolicyError: One of them is none.
    """
    return _ranges(tuple(texts))


@lru_cache(maxsize=256)
def _ranges(texts: tuple[str, ...]) -> tuple[Range, ...]:
    return tuple(map(cidr.parse, texts))


def refusal(
    text: str, denied: Sequence[Range], lifted: Sequence[Sequence[Range]] = ()
) -> str | None:
    """Why an address may not be dialled, in a short line without it; None if it may.

    An IPv6 address in which an IPv4 address stands is judged as each of them.

    Args:
        text: The address, as any peer wrote it.
        denied: What may never be dialled.
        lifted: What may be though it is refused by itself: where each of these has it.
    """
    judged = forms(text)
    if not judged:
        return "it is no address"
    if any(form in each for form in judged for each in denied):
        return "a rule denies it"
    for form in judged:
        refused = _refused(form)
        if refused is not None and not _is_lifted(form, lifted):
            inside = "" if form is judged[0] else f", as {form} within it is"
            return f"it is {refused}{inside}"
    return None


def is_metadata(text: str) -> bool:
    """Whether an address is one that gives who asks the keys of the machine."""
    return any(_refused(form) == _METADATA for form in forms(text))


def forms(text: str) -> tuple[Address, ...]:
    """An address and every IPv4 address to which a translator may bring it; () if it is none."""
    # A zone would name an interface of this machine.
    if not text.isascii() or "%" in text:
        return ()
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ()
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    inside = dict.fromkeys(ipaddress.IPv4Address(value) for value in _inside(address))
    return (address, *inside)


def _inside(address: ipaddress.IPv6Address) -> Iterator[int]:
    bits = int(address)
    low = bits & _WORD
    # `::` and `::1` are addresses of their own (RFC 4291, 2.5.5.1).
    if any(address in each for each in (_MAPPED, _TRANSLATED, _NAT64)) or 1 < bits <= _WORD:
        yield low
    if address in _LOCAL_NAT64:
        yield from _local_nat64(bits)
    if address.sixtofour is not None:
        yield int(address.sixtofour)
    if address.teredo is not None:
        yield from map(int, address.teredo)
    if bits >> 32 & _WORD in _ISATAP:
        yield low


def _local_nat64(bits: int) -> Iterator[int]:
    """By every prefix that may be in use (RFC 6052, 2.2), but readings that are in 0.0.0.0/8."""
    octets = bits.to_bytes(16, "big")
    found = [
        octets[first:8] + octets[9 : first + 5]  # the octet 8 holds nothing
        for first in (6, 7, 8)
        if not any(octets[first + 5 :])
    ]
    readings = [each for each in found if each[0]]
    if any(octets[12:13]) or not readings:
        readings.append(octets[12:])
    yield from (int.from_bytes(each, "big") for each in readings)


@lru_cache(maxsize=4096)
def _refused(form: Address) -> str | None:
    """What is refused of an address by itself."""
    for row in REFUSED:
        if form in row.range:
            return row.what
    if isinstance(form, ipaddress.IPv4Address):
        # What a later library knows and this table doesn't.
        return None if form.is_global else _RESERVED
    if form in _MAPPED or form in _NAT64:
        return None  # the kernel, or a translator, sends IPv4: that is judged
    return None if form in _GLOBAL_UNICAST and form.is_global else _UNASSIGNED


def _is_lifted(form: Address, lifted: Sequence[Sequence[Range]]) -> bool:
    return bool(lifted) and all(any(form in each for each in layer) for layer in lifted)
