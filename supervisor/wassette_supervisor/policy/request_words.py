"""A guest's own words for a request, as the one request that they mean, or why they mean none.

What is judged is what is sent: nothing of it is read again by whoever sends it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, cast

import msgspec

from wassette_protocol.frames import MAX_TARGET
from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy import host as hosts
from wassette_supervisor.policy import http_rule
from wassette_supervisor.policy.decision import NetworkRequest

if TYPE_CHECKING:
    from wassette_protocol.frames import HttpRequested

MAX_METHOD = 32

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_BRACKETED = re.compile(r"(\[[0-9A-Fa-f:.]*\])(?::([^:]*))?")
_NAMED = re.compile(r"([^:\[\]]*)(?::([^:]*))?")
# RFC 9112, 3.2: a target has no space, no control character, and no fragment.
_NOT_IN_TARGET = re.compile(r"[\x00-\x20\x7f#]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")

Code = Literal[
    "HTTP-request-method-invalid", "HTTP-request-URI-invalid", "HTTP-request-URI-too-long"
]
_URI: Code = "HTTP-request-URI-invalid"


class Words(msgspec.Struct, frozen=True):
    request: NetworkRequest  # what is judged: its port is set, its path is the target
    host: str  # in its normal form, an address without brackets
    port: int
    target: str  # what stands in the request line, or is `:path`

    @property
    def url(self) -> str:
        """Scheme, host and port as a rule names them; without path and query."""
        return hosts.Host(
            self.request.scheme, self.host, self.port, wildcard=False, address=False
        ).text


class Invalid(msgspec.Struct, frozen=True):
    """No request: for any policy."""

    code: Code
    reason: str  # one line, without a word of the guest


def words(asked: HttpRequested) -> Words | Invalid:
    """Read what a guest asks for; total, and linear in it."""
    return read(asked.method, asked.scheme, asked.authority, asked.path)


def read(
    method: str, scheme: str | None, authority: str | None, path: str | None
) -> Words | Invalid:
    """Read a request.

    Args:
        method: As it would stand on the wire.
        scheme: None is https.
        authority: Host and perhaps port.
        path: With its query, as it would stand on the wire; None is that of no path.
    """
    wrong = _wrong_method(method)
    if wrong is not None:
        return Invalid("HTTP-request-method-invalid", wrong)
    known = "https" if scheme is None else scheme
    if known not in hosts.DEFAULT_PORTS:
        return Invalid(_URI, "the scheme is neither http nor https")
    place = _place(authority, hosts.DEFAULT_PORTS[known])
    if isinstance(place, Invalid):
        return place
    target = _target(path or "/")
    if isinstance(target, Invalid):
        return target
    host, port = place
    named = f"[{host}]" if ":" in host else host
    request = NetworkRequest(named, cast("Literal['http', 'https']", known), port, method, target)
    return Words(request, host, port, target)


def _wrong_method(method: str) -> str | None:
    if len(method) > MAX_METHOD or not _TOKEN.fullmatch(method):
        return f"the method is no token of at most {MAX_METHOD} characters"
    if method.upper() in http_rule.NEVER_ALLOWED:
        return f"the method {method.upper()} is never allowed"
    return None


def _place(authority: str | None, default: int) -> tuple[str, int] | Invalid:
    if not authority:
        return Invalid(_URI, "it has no host")
    if "@" in authority:
        return Invalid(_URI, "it has a user name before the host")
    pattern = _BRACKETED if authority.startswith("[") else _NAMED
    found = pattern.fullmatch(authority)
    if found is None:
        return Invalid(_URI, "the host is no name and no address; IPv6 stands in brackets")
    try:
        host = hosts.normal_name(found[1])
    except PolicyError:
        return Invalid(_URI, "the host is no name and no address that all programs read alike")
    if found[2] is None:
        return host, default
    if not _PORT.fullmatch(found[2]) or int(found[2]) > 65535:
        return Invalid(_URI, "the port is no number from 1 to 65535, without zeros before it")
    return host, int(found[2])


def _target(path: str) -> str | Invalid:
    raw = f"/{path}" if path.startswith("?") else path
    if not raw.startswith("/"):
        return Invalid(_URI, "the path does not begin with a slash")
    if _NOT_IN_TARGET.search(raw):
        return Invalid(_URI, "the path has a space, a control character or a fragment")
    try:
        # RFC 3987, 3.1. What is encoded already is left as it is.
        target = _NOT_ASCII.sub(_encoded, raw)
    except UnicodeEncodeError:
        return Invalid(_URI, "the path is no Unicode text")
    if len(target) > MAX_TARGET:
        return Invalid("HTTP-request-URI-too-long", f"the path has more than {MAX_TARGET} bytes")
    return target


def _encoded(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())
