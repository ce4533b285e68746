"""What a host of a network rule means: `[SCHEME://]NAME[:PORT]`, with `*.NAME` and `*`.

Names are compared as lower-case A-labels. A name in another script becomes one only if all
versions of IDNA agree on it; `ß` and its like are refused, since they name different hosts to
different programs.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata

import msgspec

from wassette_supervisor.errors import PolicyError

DEFAULT_PORTS = {"http": 80, "https": 443}

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MAX_NAME = 253  # RFC 1035, without the last dot; before what takes more time for longer ones
_PORT = re.compile(r"[1-9][0-9]{0,4}")
# IDNA 2008, RFC 5892: letters, marks and digits, in the form that mapping leaves alone.
_CATEGORIES = {"Ll", "Lo", "Lm", "Mn", "Mc", "Nd"}
_DEVIATIONS = "\u00df\u03c2\u200c\u200d"  # UTS 46: the four that IDNA 2003 maps to others
_FORMS = "write api.example.com, https://api.example.com:8443 or *.example.com"
# Below these registries every second label is somebody else's.
_SHARED = {"ac", "co", "com", "edu", "gov", "net", "org"}


class Host(msgspec.Struct, frozen=True):
    """`name` is that below which a wildcard matches; empty for the host `*`."""

    scheme: str | None
    name: str
    port: int | None
    wildcard: bool
    address: bool

    @property
    def text(self) -> str:
        """The one form of all that mean the same."""
        scheme = f"{self.scheme}://" if self.scheme else ""
        star = ("*." if self.name else "*") if self.wildcard else ""
        name = f"[{self.name}]" if ":" in self.name else self.name
        is_default = self.port is None or self.port == DEFAULT_PORTS.get(self.scheme or "")
        return f"{scheme}{star}{name}{'' if is_default else f':{self.port}'}"

    def matches(self, scheme: str, name: str, port: int, *, deny: bool) -> bool:
        return self._matches_name(name, deny=deny) and self._matches_port(scheme, port, deny=deny)

    def covers(self, other: Host) -> bool:
        """Whether an allow rule for this one allows all that one for the other does."""
        if self.scheme not in (None, other.scheme):
            return False
        ports = {self.port} if self.port else {DEFAULT_PORTS[s] for s in self._schemes()}
        others = {other.port} if other.port else {DEFAULT_PORTS[s] for s in other._schemes()}
        if not others <= ports or (not self.port and self.scheme is None and other.port):
            return False
        if not other.wildcard:
            return self._matches_name(other.name, deny=False)
        return self.wildcard and (
            not self.name or self.name == other.name or other.name.endswith(f".{self.name}")
        )

    def _schemes(self) -> tuple[str, ...]:
        return (self.scheme,) if self.scheme else tuple(DEFAULT_PORTS)

    def _matches_name(self, name: str, *, deny: bool) -> bool:
        if not self.wildcard:
            return name == self.name
        if not self.name and deny:
            return True
        # An address is nobody's subdomain, and no public host before it has been judged.
        is_name = not is_address(name) and name.rpartition(".")[2] != "localhost"
        return is_name and (not self.name or name.endswith(f".{self.name}"))

    def _matches_port(self, scheme: str, port: int, *, deny: bool) -> bool:
        if self.scheme not in (None, scheme):
            return False
        if self.port is None:
            # Who denies a host without a port denies it on all.
            return deny or port == DEFAULT_PORTS.get(scheme)
        return port == self.port


def parse(text: str) -> Host:
    """Read the host of a rule.

    Raises:
        PolicyError: It is none, or could be read in two ways.
    """
    scheme, rest = _split_scheme(text)
    name, port = _split_port(text, rest)
    if name == "*":
        return Host(scheme, "", port, wildcard=True, address=False)
    wildcard = name.startswith("*.")
    normal, address = _normal(text, name.removeprefix("*."))
    if wildcard and address:
        raise PolicyError(f"the host {text!r} is a wildcard of an address", "write a cidr rule")
    return Host(scheme, normal, port, wildcard, address)


def normal_name(name: str) -> str:
    """The form in which names and addresses are compared; IPv6 without brackets.

    Raises:
        PolicyError: It is none.
    """
    return _normal(name, name)[0]


def is_address(name: str) -> bool:
    """Whether a normal name is an address."""
    return ":" in name or _NUMERIC.fullmatch(name.rpartition(".")[2]) is not None


def is_loopback(host: Host) -> bool:
    return host.address and ipaddress.ip_address(host.name).is_loopback


def is_public_suffix(host: Host) -> bool:
    """Whether a wildcard matches hosts of many owners; a guess, as there is no list here."""
    first, _, rest = host.name.partition(".")
    return host.wildcard and (not rest or (first in _SHARED and len(rest) == 2))


def _split_scheme(text: str) -> tuple[str | None, str]:
    if any(ord(character) <= 32 or ord(character) == 127 for character in text) or not text:
        raise PolicyError(f"the host {text!r} is empty or has a space in it", _FORMS)
    head, separator, rest = text.partition("://")
    scheme = head.lower() if separator else None
    if scheme not in (None, *DEFAULT_PORTS):
        raise PolicyError(f"the host {text!r} has the scheme {head!r}", "write http:// or https://")
    rest = rest.removesuffix("/") if separator else text
    for sign, what, instead in (
        ("@", "a user name", "write the host alone, and an inject for its secret"),
        ("/", "a path", "write the host alone, and the path under paths"),
        ("?", "a query", "write the host alone"),
        ("#", "a fragment", "write the host alone"),
        ("\\", "a backslash", "write the host alone"),
    ):
        if sign in rest:
            raise PolicyError(f"the host {text!r} has {what}", instead)
    return scheme, rest


def _split_port(text: str, rest: str) -> tuple[str, int | None]:
    name, colon, port = rest, "", ""
    if rest.startswith("["):
        name, bracket, after = rest.partition("]")
        name, colon, port = name + bracket, after[:1], after[1:]
        if not bracket or colon not in ("", ":"):
            raise PolicyError(f"the host {text!r} has a wrong bracket", "write [::1] or [::1]:8080")
    elif rest.count(":") == 1:
        name, colon, port = rest.partition(":")
    elif ":" in rest:
        raise PolicyError(f"the host {text!r} has too many colons", "write IPv6 as [::1]:8080")
    if not colon:
        return name, None
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise PolicyError(f"the host {text!r} has a wrong port", "write one from 1 to 65535")
    return name, int(port)


def _normal(text: str, name: str) -> tuple[str, bool]:
    if len(name) > _MAX_NAME + 1:
        raise PolicyError(
            f"the host {text[:60]!r}… is too long", f"write {_MAX_NAME} characters at most"
        )
    if name.startswith("["):
        return _ipv6(text, name), True
    if "*" in name:
        instead = "write *.NAME for all its subdomains, or each host"
        raise PolicyError(f"the host {text!r} has a * within", instead)
    labels = [_label(text, label) for label in name.removesuffix(".").split(".")]
    if _NUMERIC.fullmatch(labels[-1]):
        return _ipv4(text, name), True
    normal = ".".join(labels)
    if len(normal) > _MAX_NAME:
        raise PolicyError(f"the host {text!r} is too long", f"write {_MAX_NAME} characters at most")
    return normal, False


def _ipv6(text: str, name: str) -> str:
    try:
        address = ipaddress.IPv6Address(name[1:-1] if name.endswith("]") else name)
    except ValueError as error:
        raise PolicyError(f"the host {text!r} is no IPv6 address", "write it as [::1]") from error
    if address.scope_id is not None:
        raise PolicyError(f"the host {text!r} has a zone", "write the address without it")
    return str(address.ipv4_mapped or address)


def _ipv4(text: str, name: str) -> str:
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError as error:
        what = f"the host {text!r} ends in a number and is no IPv4 address"
        instead = "write it as 127.0.0.1, four numbers without leading zeros"
        raise PolicyError(what, instead) from error


def _label(text: str, label: str) -> str:
    ascii_label = label.lower() if label.isascii() else _a_label(text, label)
    if not _LABEL.fullmatch(ascii_label):
        raise PolicyError(f"the host {text!r} has a label {label!r} that no name has", _FORMS)
    return ascii_label


def _a_label(text: str, label: str) -> str:
    lowered = label.lower()
    agreed = (
        all(c.isascii() or unicodedata.category(c) in _CATEGORIES for c in lowered)
        and unicodedata.category(lowered[0])[0] != "M"
        and unicodedata.normalize("NFKC", lowered.casefold()) == lowered
        and not any(c in _DEVIATIONS for c in label)
    )
    if not agreed:
        what = f"the host {text!r} has a label {label!r} that not all programs read alike"
        raise PolicyError(what, "write its A-label, which begins with xn--")
    try:
        # The codec checks the directions of scripts, and has nothing left to map.
        return lowered.encode("idna").decode()
    except UnicodeError:
        return ""
