"""What a network rule says of the requests to its host: methods, paths, headers to inject."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from wassette_protocol.http_errors import OWN_HEADER
from wassette_protocol.patterns import Pattern
from wassette_supervisor.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NEVER_ALLOWED = {"CONNECT", "TRACE"}
MAX_PATH = 2048
MAX_HEADER = 4096

_METHOD = re.compile(r"[A-Z][A-Z_-]{0,31}")
# RFC 3986: what a path may hold, with `*`; `%` is checked apart.
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# After decoding: a backslash, a control character, or what a second decoding would decode.
_UNCLEAR = re.compile(rb"[\x00-\x1f\x7f\\]|%[0-9A-Fa-f]{2}")
_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}")
_SECRET = re.compile(r"\$\{secret:([A-Za-z_][A-Za-z0-9_]{0,127})\}")
# The broker writes or drops these itself.
_OURS = {
    "accept-encoding", "connection", "content-encoding", "content-length", "expect", "forwarded",
    "host", "http2-settings", "keep-alive", "proxy-authorization", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade", OWN_HEADER,
}  # fmt: skip


def method(text: str) -> str:
    """Check a method.

    Raises:
        PolicyError: It is none, or never allowed.
    """
    if text in NEVER_ALLOWED:
        raise PolicyError(f"the method {text} is never allowed", "remove it")
    if not _METHOD.fullmatch(text):
        upper = text.upper()
        instead = f"write {upper}" if _METHOD.fullmatch(upper) else "write GET, POST or the like"
        raise PolicyError(f"{text!r} is no method", instead)
    return text


def path(text: str) -> str:
    """Check a pattern of paths.

    Raises:
        PolicyError: It is none, or matches what no request can have.
    """
    if not _PATH.fullmatch(text) or _ESCAPE.search(text) or len(text) > MAX_PATH:
        what = f"{text!r} is no path of a URL"
        raise PolicyError(what, "begin it with /, leave the query out, write others as %XX")
    if any("**" in segment and segment != "**" for segment in text.split("/")):
        what = f"in the path {text!r}, ** is a part of a segment"
        raise PolicyError(what, "write * within a segment, and /**/ between two")
    if not is_unambiguous(text):
        what = f"the path {text!r} can be read in two ways: it has dot segments or the like"
        raise PolicyError(what, "write the path that it leads to")
    return text


def is_unambiguous(path: str) -> bool:
    """Whether all servers read a raw path alike.

    Not where decoding brings out a dot segment, a slash, a parameter or what ends a text; nor where
    a second decoding would bring out more, or where letters are written as no UTF-8. Nor with an
    empty segment within, which servers take away.
    """
    if not path.isascii() or _ESCAPE.search(path):
        return False
    raw, decoded = path.encode(), unquote_to_bytes(path)
    hidden = any(raw.count(sign) != decoded.count(sign) for sign in (b"/", b";"))
    if hidden or _UNCLEAR.search(decoded) or not _is_utf_8(decoded):
        return False
    *within, last = without_parameters(decoded.removeprefix(b"/").split(b"/"))
    return not {b"", b".", b".."}.intersection(within) and last not in {b".", b".."}


def _is_utf_8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def path_pattern(path: str) -> Pattern:
    return Pattern(path_segments(path), below=False)


def path_segments(path: str) -> tuple[bytes, ...]:
    return tuple(path.encode("utf-8", "surrogatepass").removeprefix(b"/").split(b"/"))


def without_parameters(segments: Iterable[bytes]) -> tuple[bytes, ...]:
    """What servers see that take `;` and the rest of a segment for parameters (RFC 3986, 3.3)."""
    return tuple(segment.partition(b";")[0] for segment in segments)


def path_matches(pattern: Pattern, segments: Sequence[bytes]) -> bool:
    """Whether a path matches, for servers that see its parameters as well as for the others."""
    if not pattern.matches(segments):
        return False
    if not any(b";" in segment for segment in segments):
        return True
    plain = Pattern(without_parameters(pattern.segments), below=False)
    return plain.matches(without_parameters(segments))


def header(name: str, value: str) -> tuple[str, str]:
    """Check a header to inject; its name in lower case.

    Raises:
        PolicyError: It can't be set, or its value can't be sent.
    """
    lowered = name.lower()
    if not _HEADER.fullmatch(lowered):
        raise PolicyError(f"{name!r} is no name of a header", "write one as authorization")
    read = lowered.replace("_", "-")  # by servers that hand headers on as variables
    if read in _OURS or read.startswith("x-forwarded-"):
        raise PolicyError(f"the header {name!r} can't be injected", "remove it")
    if not value.isascii() or not value.isprintable() or len(value) > MAX_HEADER:
        what = f"the value of the header {name!r} can't be sent"
        raise PolicyError(what, f"write at most {MAX_HEADER} printable ASCII characters")
    if "${" in _SECRET.sub("", value):
        what = f"the value of the header {name!r} has a $" + "{ that names no secret"
        raise PolicyError(what, "write ${secret:NAME}")
    return lowered, value


def secrets(value: str) -> list[str]:
    """The names of the secrets in the value of a header."""
    return _SECRET.findall(value)


def filled(value: str, known: Mapping[str, str]) -> str:
    """The value of a header with these secrets, all of them, in their places."""
    return _SECRET.sub(lambda found: known[found[1]], value)
