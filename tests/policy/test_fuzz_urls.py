"""Requests that chance made: what is judged is what goes out, by everybody's reading.

`FUZZ_URLS` says how many; `sh scripts/fuzz` tries a million.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import time
import urllib.parse
from collections import Counter
from random import Random

import h11
import httpx2
import pytest

from wassette_protocol.broker_frames import Destination
from wassette_supervisor.broker import headers
from wassette_supervisor.policy import http_rule
from wassette_supervisor.policy.request_words import Invalid, Words, read

pytestmark = pytest.mark.thorough

URLS = int(os.environ.get("FUZZ_URLS", "20000"))
_SLOWEST_S = 0.2  # of a processor, for one of them

METHODS = ["GET", "POST", "get", "CONNECT", "cOnnect", "TRACE", "PURGE", "G T", "", "GET\r\nX: y"]
SCHEMES = [None, "http", "https", "HTTP", "ftp", "", "https:", "http\0"]
AUTHORITIES = [
    "example.com", "EXAMPLE.com.", "example.com:443", "example.com:8080", "127.0.0.1", "127.1",
    "0x7f.1", "2130706433", "017700000001", "127.0.0.1.", "[::1]", "[::1]:80",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::a9fe:a9fe]", "[fe80::1%25eth0]", "[fe80::1%eth0]", "user@example.com", "a:b@c",
    ":80",
    "example.com:", "example.com:0", "example.com:080", "example.com:65536", "faß.de", "bücher.de",
    "xn--bcher-kva.de", "a_b.example", "a..b", ".", "", None, "exa mple.com", "example.com/x",
    "example.com?x", "example.com#x", "example.com\\@evil.com", "e\u2024com", "\uff11\u3002\uff12",
    "1.2.3.4.5", "[::1", "::1", "a" * 64 + ".com", "localhost", "LOCALHOST.", "*.example.com",
]  # fmt: skip
PATHS = [
    None, "", "/", "/a/b", "?q=1", "/a?b=/../c", "/../x", "/%2e%2e/x", "/a/./b", "//evil.com/x",
    "/a%2fb", "/a%5cb", "/a\\b", "/a;b=c/d", "/%252e%252e/x", "/a#b", "http://evil.com/", "*", "x",
    "/\u00e9", "/%", "/%zz", "/a b", "/a\r\nHost: evil", "/a\0", "/\ud800", "/" + "a" * 5000,
]  # fmt: skip
_ALPHABET = list(
    "abcX019.:/@[]%#?;\\-_~ \r\n\0\t\u00df\u0130\u212a\u2215\uff0f\u3002e2F5c*&=+'\"<>{}|^`"
)


def changed(random: Random, text: str | None) -> str | None:
    if text is None or random.random() < 0.4:
        return text
    letters = list(text)
    for _ in range(random.choice((1, 1, 2, 4))):
        place = random.randrange(len(letters) + 1)
        how = random.randrange(3)
        if how == 0:
            letters.insert(place, random.choice(_ALPHABET))
        elif letters and how == 1:
            letters[place % len(letters)] = random.choice(_ALPHABET)
        elif letters:
            del letters[place % len(letters)]
    return "".join(letters)


def sent(words: Words) -> tuple[bytes, bytes]:
    """What stands on the wire for it: the target, and the Host header, as a server reads them."""
    place = Destination(words.request.scheme, words.host, words.port)
    client, server = h11.Connection(h11.CLIENT), h11.Connection(h11.SERVER)
    request = h11.Request(
        method=words.request.method, target=words.target, headers=[(b"host", headers.host(place))]
    )
    server.receive_data(client.send(request) or b"")
    seen = server.next_event()
    assert isinstance(seen, h11.Request)
    assert seen.method.decode() == words.request.method
    return seen.target, dict(seen.headers)[b"host"]


def check_sent(words: Words) -> None:
    """Two that were not written by us read the same from the wire as was judged."""
    target, host = (text.decode("ascii") for text in sent(words))
    assert target == words.target == words.request.path
    url = f"{words.request.scheme}://{host}{target}"
    default = {"http": 80, "https": 443}[words.request.scheme]
    parts = urllib.parse.urlsplit(url)
    assert (parts.hostname, parts.port or default) == (words.host, words.port)
    assert parts.username is None
    assert not parts.fragment
    path, _, query = target.partition("?")
    assert (parts.path, parts.query) == (path, query)
    other = httpx2.URL(url)
    host_of_other = other.raw_host.decode().strip("[]")
    assert (host_of_other, other.port or default) == (words.host, words.port)
    assert not other.userinfo
    assert not other.fragment
    if not {".", ".."} & set(path.split("/")):  # it resolves these; the broker does not
        assert _decoded(other.raw_path) == _decoded(target.encode())


def _decoded(text: bytes) -> bytes:
    """Without what is encoded by one and not by another, both meaning the same."""
    return urllib.parse.unquote_to_bytes(text)


def check_host(authority: str, words: Words) -> None:
    """What any program takes for an address is that one, or is refused."""
    name = authority.rpartition(":")[0] if authority.count(":") == 1 else authority
    with contextlib.suppress(OSError, UnicodeError, ValueError):
        # As the C library reads it: short, octal and hexadecimal forms too.
        assert socket.inet_ntoa(socket.inet_aton(name)) == words.host
    if words.host.replace(".", "").isdigit() or ":" in words.host:
        assert str(ipaddress.ip_address(words.host)) == words.host


def check_path(words: Words) -> None:
    """A path that a rule with `paths` may allow has one reading."""
    path = words.target.partition("?")[0]
    if not http_rule.is_unambiguous(path):
        return
    decoded = urllib.parse.unquote(path, errors="strict")
    assert not {".", ".."} & set(decoded.split("/"))
    assert decoded.count("/") == path.count("/")
    assert "\\" not in decoded


def one(random: Random) -> str:
    authority = changed(random, random.choice(AUTHORITIES))
    path = changed(random, random.choice(PATHS))
    # Mostly such as may be sent: else too little is.
    scheme = random.choice(SCHEMES[:4] if random.random() < 0.9 else SCHEMES)
    method = random.choice(METHODS[:3] if random.random() < 0.9 else METHODS)
    found = read(method, scheme, authority, path)
    if isinstance(found, Invalid):
        return found.code
    check_sent(found)
    check_host(authority or "", found)
    check_path(found)
    return "sent"


def test_what_is_judged_is_what_goes_out_or_nothing_does() -> None:
    slowest, found = 0.0, Counter[str]()
    first = int.from_bytes(os.urandom(6), "big") if "FUZZ_URLS" in os.environ else 0
    for seed in range(first, first + URLS):
        began = time.process_time()
        try:
            found[one(Random(seed))] += 1  # noqa: S311 - it keeps no secret
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        slowest = max(slowest, time.process_time() - began)
    told = ", ".join(f"{times} {what}" for what, times in found.most_common())
    print(f"{URLS} requests from seed {first}: {told}")  # noqa: T201 - `sh scripts/fuzz` shows it
    assert slowest < _SLOWEST_S
    assert found["sent"] > URLS // 20
    assert found["HTTP-request-URI-invalid"] > URLS // 20
