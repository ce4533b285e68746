"""Which headers go on, which are built anew, and which are put in.

Pure. Names are lower-case throughout, as h11 and HTTP/2 have them.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from wassette_protocol.http_errors import OWN_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wassette_protocol.broker_frames import Destination

MAX_BYTES = 64 * 1024  # of a section of headers, in either direction

Headers = list[tuple[bytes, bytes]]

_OWN = OWN_HEADER.encode()
# About this connection rather than the message (RFC 9110, 7.6.1), or framing, which is built anew.
_OF_CONNECTION = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        _OWN,
    }
)
# Besides: what would tell a server whom else to believe, and what is answered here.
_OF_GUEST = _OF_CONNECTION | {b"host", b"expect", b"forwarded", b"content-length"}
_OF_WORLD = _OF_CONNECTION | {b"content-length"}
# What is injected must not contradict these. Rules that name them are refused when they are read;
# that stands in another process, and a second framing is a second request.
_SAID_HERE = _OF_GUEST | {b"accept-encoding"}
_PREFIXES = (b"proxy-", b"x-forwarded-")

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")  # token of RFC 9110, 5.6.2
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_DIGITS = re.compile(rb"[0-9]{1,18}")


def _as_read(name: bytes) -> bytes:
    """As servers have it that hand headers on as variables (RFC 3875, 4.1.18): `_` is `-` there."""
    return name.replace(b"_", b"-")


def _named(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """What `connection` names: for the next hop alone."""
    values = [value for name, value in headers if name == b"connection"]
    named = (each.strip().lower() for value in values for each in value.split(b","))
    return {_as_read(each) for each in named} - {b""}


def _without(
    headers: Iterable[tuple[bytes, bytes]], dropped: frozenset[bytes], prefixes: tuple[bytes, ...]
) -> Headers:
    headers = list(headers)
    gone = dropped | _named(headers)
    return [
        each
        for each, read in ((each, _as_read(each[0])) for each in headers)
        if read not in gone and not (prefixes and read.startswith(prefixes))
    ]


def towards_world(
    guest: Iterable[tuple[bytes, bytes]], inject: Sequence[tuple[str, str]]
) -> Headers:
    """The headers of a guest's request, but for Host and framing.

    Raises:
        ValueError: What is to be injected is no header; its text names no value.
    """
    headers = _without(guest, _OF_GUEST, _PREFIXES)
    if not inject:
        return headers
    injected = [(name.lower().encode(), value.strip().encode()) for name, value in inject]
    for name, value in injected:
        if _as_read(name) in _SAID_HERE or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError("what is injected is no header")
    # A coded answer could hold a value that no mask finds.
    replaced = {_as_read(name) for name, _ in injected} | {b"accept-encoding"}
    kept = [each for each in headers if _as_read(each[0]) not in replaced]
    return [*kept, *injected, (b"accept-encoding", b"identity")]


def trailers_towards_world(
    guest: Iterable[tuple[bytes, bytes]], inject: Sequence[tuple[str, str]]
) -> Headers:
    """A guest can't say by a trailer what a header of that name says."""
    injected = frozenset(_as_read(name.lower().encode()) for name, _ in inject)
    return _without(guest, _OF_GUEST | injected, _PREFIXES)


def towards_guest(world: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers, or trailers, of an answer, but for framing."""
    return _without(world, _OF_WORLD, ())


def is_too_large(said: Headers, most: int) -> bool:
    """Whether these are more than so many, or take more bytes than any section may."""
    size = sum(len(name) + len(value) + 4 for name, value in said)  # as in HTTP/1.1
    return len(said) > most or size > MAX_BYTES


def host(destination: Destination) -> bytes:
    name = destination.host
    if ":" in name:
        name = f"[{ipaddress.IPv6Address(name)}]"
    if destination.port != _DEFAULT_PORTS[destination.scheme]:
        name = f"{name}:{destination.port}"
    return name.encode("ascii")


def content_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """How long the body is said to be; None if that isn't said.

    Raises:
        ValueError: It is said twice, or by no number.
    """
    said = {value for name, value in headers if name == b"content-length"}
    if not said:
        return None
    (value, *others) = said
    if others or not _DIGITS.fullmatch(value):
        raise ValueError("content-length is no number")
    return int(value)


def is_coded(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a body has a content coding, in which nothing can be found."""
    return any(
        name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}
        for name, value in headers
    )
