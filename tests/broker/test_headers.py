from __future__ import annotations

import pytest

from wassette_protocol.broker_frames import Destination
from wassette_supervisor.broker import headers

NEVER_SENT = [
    "host: evil.example",
    "connection: close, x-named",
    "x-named: 1",
    "keep-alive: timeout=5",
    "proxy-authorization: Basic x",
    "proxy-connection: keep-alive",
    "te: trailers",
    "trailer: x-late",
    "transfer-encoding: chunked",
    "upgrade: h2c",
    "expect: 100-continue",
    "http2-settings: AAMAAABk",
    "forwarded: for=10.0.0.1",
    "x-forwarded-for: 10.0.0.1",
    "x-forwarded-host: evil.example",
    "content-length: 7",
    "x-wassette-error: 3",
    "x_named: 1",
    "x_forwarded_for: 10.0.0.1",
    "content_length: 7",
    "proxy_authorization: Basic x",
]


def pairs(*lines: str) -> headers.Headers:
    split = [line.split(": ", 1) for line in lines]
    return [(name.encode(), value.encode()) for name, value in split]


@pytest.mark.parametrize("line", NEVER_SENT)
def test_what_is_about_the_connection_or_whom_to_believe_never_reaches_the_world(line: str) -> None:
    said = pairs("x-kept: 1", "connection: x-named", line)
    assert headers.towards_world(said, []) == pairs("x-kept: 1")
    assert headers.trailers_towards_world(said, []) == pairs("x-kept: 1")


def test_other_headers_reach_the_world_in_their_order_and_as_often_as_they_stand() -> None:
    said = pairs("accept: a", "cookie: b", "accept: c", "user-agent: d", "authorization: e")
    assert headers.towards_world(said, []) == said


def test_an_injected_header_replaces_every_one_of_its_name_and_codings_are_declined() -> None:
    said = pairs("authorization: mine", "accept: x", "authorization: again", "accept-encoding: br")
    assert headers.towards_world(said, [("Authorization", "Bearer s")]) == pairs(
        "accept: x", "authorization: Bearer s", "accept-encoding: identity"
    )


@pytest.mark.parametrize("name", ["x_api_key", "x-api_key", "x_api-key"])
def test_nor_does_one_go_on_that_servers_read_as_an_injected_one(name: str) -> None:
    sent = headers.towards_world(pairs(f"{name}: mine"), [("X-Api-Key", "s")])
    assert sent == pairs("x-api-key: s", "accept-encoding: identity")
    injected = headers.towards_world(pairs("x-api-key: mine"), [(name, "s")])
    assert injected == pairs(f"{name}: s", "accept-encoding: identity")
    assert headers.trailers_towards_world(pairs(f"{name}: mine"), [("X-Api-Key", "s")]) == []


def test_connection_names_headers_away_as_servers_read_them() -> None:
    said = pairs("connection: x_one, x-two", "x_one: 1", "x-one: 1", "x_two: 2", "x-kept: 3")
    assert headers.towards_world(said, []) == pairs("x-kept: 3")


def test_connection_can_not_name_an_injected_header_away() -> None:
    said = pairs("connection: authorization, accept-encoding")
    sent = headers.towards_world(said, [("authorization", "Bearer s")])
    assert sent == pairs("authorization: Bearer s", "accept-encoding: identity")


def test_a_trailer_can_not_have_the_name_of_an_injected_header() -> None:
    said = pairs("authorization: mine", "x-sum: 1")
    assert headers.trailers_towards_world(said, [("Authorization", "s")]) == pairs("x-sum: 1")


@pytest.mark.parametrize("value", ["a\r\nx: 1", "a\nb", "a\0b"])
def test_an_injected_value_that_is_no_header_is_refused_without_a_word_of_it(value: str) -> None:
    with pytest.raises(ValueError, match=r"\Awhat is injected is no header\Z"):
        headers.towards_world([], [("authorization", value)])


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "content-length", "content_length", "transfer-encoding", "connection", "te"),
        *("accept-encoding", "http2-settings", "x-wassette-error"),
    ],
)
def test_what_the_broker_says_itself_can_not_be_injected(name: str) -> None:
    with pytest.raises(ValueError, match=r"\Awhat is injected is no header\Z"):
        headers.towards_world([], [(name, "x")])


def test_a_guest_is_not_told_about_the_connection_nor_an_error_that_the_world_made_up() -> None:
    said = pairs(
        "connection: close, x-named",
        "x-named: 1",
        "keep-alive: timeout=5",
        "proxy-connection: close",
        "transfer-encoding: chunked",
        "upgrade: h2c",
        "trailer: x-late",
        "x-wassette-error: 4",
        "set-cookie: a",
        "set-cookie: b",
    )
    assert headers.towards_guest(said) == pairs("set-cookie: a", "set-cookie: b")


@pytest.mark.parametrize(
    ("scheme", "host", "port", "said"),
    [
        ("http", "a.example", 80, b"a.example"),
        ("https", "a.example", 443, b"a.example"),
        ("https", "a.example", 80, b"a.example:80"),
        ("http", "a.example", 443, b"a.example:443"),
        ("http", "192.0.2.1", 8080, b"192.0.2.1:8080"),
        ("https", "2001:db8::1", 443, b"[2001:db8::1]"),
        ("http", "2001:db8::1", 8080, b"[2001:db8::1]:8080"),
    ],
)
def test_host_is_built_from_the_order(scheme: str, host: str, port: int, said: bytes) -> None:
    destination = Destination("https" if scheme == "https" else "http", host, port)
    assert headers.host(destination) == said


@pytest.mark.parametrize("value", [b"-1", b"+1", b"1 ", b"1, 1", b"0x1", b"", b"1" * 19, b"\xb2"])
def test_a_length_that_is_no_plain_number_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="no number"):
        headers.content_length([(b"content-length", value)])


def test_two_lengths_are_refused_unless_they_are_the_same() -> None:
    one, two = (b"content-length", b"1"), (b"content-length", b"2")
    assert headers.content_length([one, one]) == 1
    with pytest.raises(ValueError, match="no number"):
        headers.content_length([one, two])


@pytest.mark.parametrize(
    ("line", "coded"),
    [
        ("content-encoding: gzip", True),
        ("content-encoding: GZIP, identity", True),
        ("content-encoding: Identity ", False),
        ("content-type: gzip", False),
    ],
)
def test_a_coding_is_known_by_its_header(line: str, coded: bool) -> None:  # noqa: FBT001 - of a table
    assert headers.is_coded(pairs(line)) is coded
