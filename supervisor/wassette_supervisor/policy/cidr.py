"""Address ranges of network rules."""

from __future__ import annotations

import ipaddress

from wassette_supervisor.errors import PolicyError

Range = ipaddress.IPv4Network | ipaddress.IPv6Network
_FORM = "write it as 10.1.0.0/16 or fd00::/8"


def parse(text: str) -> Range:
    """Read a range.

    Raises:
        PolicyError: It is none, or its address has bits beyond its prefix.
    """
    address, slash, prefix = text.partition("/")
    # The library takes a netmask for a prefix, and other scripts' digits.
    if not slash or not text.isascii() or not prefix.isdigit() or "%" in address:
        raise PolicyError(f"{text!r} is no address range", _FORM)
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise PolicyError(f"{text!r} is no address range", _FORM) from error
    if found.version == 6 and found.network_address.ipv4_mapped and found.prefixlen >= 96:
        raise PolicyError(f"the range {text!r} is one of IPv4 in disguise", "write it as IPv4")
    if str(found.network_address) != str(ipaddress.ip_address(address)):
        raise PolicyError(f"the range {text!r} begins before its address", f"write {found}")
    return found


def contains(text: str, address: str) -> bool:
    """Whether a checked range has a normal address in it."""
    found = ipaddress.ip_network(text)
    judged = ipaddress.ip_address(address)
    return judged.version == found.version and judged in found
