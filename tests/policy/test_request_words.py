"""A guest's words for a request: what they mean, what is decided, and what goes out for them."""

from __future__ import annotations

import time
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wassette_protocol.frames import MAX_AUTHORITY, MAX_METHOD, MAX_TARGET, HttpRequested
from wassette_protocol.http_errors import REFUSALS
from wassette_supervisor.policy import request_words
from wassette_supervisor.policy.decision import Allowed, Denied, decide
from wassette_supervisor.policy.effective import effective
from wassette_supervisor.policy.parsing import parse
from wassette_supervisor.policy.request_words import Invalid, Words, read, words

RULES = b"""\
version: "1.0"
permissions:
  network:
    allow:
    - {host: api.example}
    - {host: "https://*.cdn.example:8443", methods: [GET]}
    - {host: "https://v.example", paths: ["/v1/**", /exact, "/*/list", "/files/*.json", "/p;v=1/a"]}
    - {host: "http://plain.example"}
    - {host: "localhost:8080"}
    - {host: "https://b\\xfccher.example"}
    - {host: "https://10.9.8.7"}
    - {host: "http://[2a00::1]:8081"}
    - {cidr: 10.1.0.0/16}
    - {host: "*.wide.example"}
    - {host: m.example, methods: [GET, PURGE]}
    - {host: _svc.under_score.example}
    - {host: "https://api.example:444"}
    - {cidr: "2a00:5::/32"}
    - {host: "a.example:9000"}
    deny:
    - {host: "*.evil.wide.example"}
    - {host: "no.wide.example:443"}
    - {cidr: 10.1.2.0/24}
    - {host: "[2a00:5::1]"}
    - {host: "http://half.wide.example"}
    - {cidr: "2a00:5:1::/48"}
"""
RIGHTS = effective(parse(RULES).policy, None, None, None)

METHOD = "HTTP-request-method-invalid"
URI = "HTTP-request-URI-invalid"
LONG = "HTTP-request-URI-too-long"


class Row(NamedTuple):
    """Words, and what comes of them.

    That is the number of the rule that allows them (above zero) or denies them (below), 0 where
    none allows them, or an error.
    """

    authority: str | None
    expected: int | str
    path: str | None = "/"
    method: str = "GET"
    scheme: str | None = "https"
    sent: tuple[str, int, str] | None = None  # host, port and target


def paths(*rows: tuple[str | None, int | str]) -> list[Row]:
    """Paths of a host whose rule has paths."""
    return [Row("v.example", expected, path) for path, expected in rows]


SCHEMES = [
    Row("api.example", 1, scheme="https", sent=("api.example", 443, "/")),
    Row("api.example", 1, scheme="http", sent=("api.example", 80, "/")),
    Row("api.example", 1, scheme=None, sent=("api.example", 443, "/")),
    Row("plain.example", 4, scheme="http", sent=("plain.example", 80, "/")),
    Row("plain.example", 0, scheme="https"),
    Row("plain.example", 0, scheme=None),
    Row("v.example", 0, "/exact", scheme="http"),
    Row("api.example", URI, scheme="HTTPS"),
    Row("api.example", URI, scheme="ftp"),
    Row("api.example", URI, scheme="ws"),
    Row("api.example", URI, scheme="file"),
    Row("api.example", URI, scheme=""),
    Row("api.example", URI, scheme="https:"),
    Row("api.example", URI, scheme="http\0"),
    Row("api.example", URI, scheme="http\r\n"),
    Row("api.example", URI, scheme="http "),
    Row("api.example", URI, scheme="javascript"),
]

HOSTS = [
    Row("API.Example", 1, sent=("api.example", 443, "/")),
    Row("api.example.", 1, sent=("api.example", 443, "/")),
    Row("api.example..", URI),
    Row(".api.example", URI),
    Row("api..example", URI),
    Row("example", 0),
    Row("xapi.example", 0),
    Row("api.example.evil.test", 0),
    Row("api.example", 1, "/@evil.test", sent=("api.example", 443, "/@evil.test")),
    Row(None, URI),
    Row("", URI),
    Row("*", URI),
    Row("*.wide.example", URI),
    Row("api.example/", URI),
    Row("api.example/x", URI),
    Row("api.example?x", URI),
    Row("api.example#x", URI),
    Row("api.example\\x", URI),
    Row("api.example,evil.test", URI),
    Row("api example", URI),
    Row("api%2eexample", URI),
    Row("-api.example", URI),
    Row("api-.example", URI),
    Row("a" * 64 + ".example", URI),
    Row("a." * 127 + "example", URI),
    Row("_svc.under_score.example", 12, sent=("_svc.under_score.example", 443, "/")),
    Row("a.wide.example", 10),
    Row("a.b.c.wide.example", 10),
    Row("wide.example", 0),
    Row("awide.example", 0),
    Row(".wide.example", URI),
    Row("x.cdn.example:8443", 2, sent=("x.cdn.example", 8443, "/")),
    Row("cdn.example:8443", 0),
    Row("x.cdn.example", 0),
    Row("x.cdn.example:8443", 0, scheme="http"),
]

USERS = [
    Row("user@api.example", URI),
    Row("user:password@api.example", URI),
    Row("api.example@evil.test", URI),
    Row("api.example:443@evil.test", URI),
    Row("@api.example", URI),
    Row("evil.test\\@api.example", URI),
    Row("[::1]@api.example", URI),
]

PORTS = [
    Row("api.example:443", 1, sent=("api.example", 443, "/")),
    Row("api.example:444", 13, sent=("api.example", 444, "/")),
    Row("api.example:444", 0, scheme="http"),
    Row("api.example:80", 0),
    Row("api.example:80", 1, scheme="http", sent=("api.example", 80, "/")),
    Row("api.example:443", 0, scheme="http"),
    Row("a.example:9000", 15),
    Row("a.example:9000", 15, scheme="http", sent=("a.example", 9000, "/")),
    Row("a.example", 0),
    Row("localhost:8080", 5, scheme="http", sent=("localhost", 8080, "/")),
    Row("LOCALHOST.:8080", 5, scheme="http", sent=("localhost", 8080, "/")),
    Row("localhost", 0, scheme="http"),
    Row("x.localhost:8080", 0, scheme="http"),
    Row("api.example:", URI),
    Row("api.example:0", URI),
    Row("api.example:0443", URI),
    Row("api.example:65535", 0),
    Row("api.example:65536", URI),
    Row("api.example:4430000", URI),
    Row("api.example:-1", URI),
    Row("api.example:+443", URI),
    Row("api.example:4 43", URI),
    Row("api.example:443 ", URI),
    Row("api.example: 443", URI),
    Row("api.example:443:443", URI),
    Row("api.example:https", URI),
    Row("api.example:0x1bb", URI),
    Row("api.example:\u0664\u0664\u0663", URI),
    Row("api.example:443/", URI),
    Row(":443", URI),
]

IDNA = [
    Row("b\u00fccher.example", 6, sent=("xn--bcher-kva.example", 443, "/")),
    Row("B\u00dcCHER.example", 6, sent=("xn--bcher-kva.example", 443, "/")),
    Row("xn--bcher-kva.example", 6, sent=("xn--bcher-kva.example", 443, "/")),
    Row("XN--BCHER-KVA.EXAMPLE", 6, sent=("xn--bcher-kva.example", 443, "/")),
    Row("bu\u0308cher.example", URI),  # the same letter of two characters
    Row("fa\u00df.wide.example", URI),  # of which versions of IDNA make two different hosts
    Row("a\u200d.wide.example", URI),
    Row("a\u200b.wide.example", URI),
    Row("a\u202e.wide.example", URI),
    Row("\uff41pi.example", URI),  # full width
    Row("api\u3002example", URI),  # ideographic full stop
    Row("api\uff0eexample", URI),
    Row("api\u2024example", URI),
    Row("\u2460.wide.example", URI),
    Row("\u0430pi.example", 0),  # Cyrillic: another host, and judged as that
    Row("\ud800.wide.example", URI),
    Row("\u212aelvin.wide.example", 10, sent=("kelvin.wide.example", 443, "/")),
    Row("\u0131.wide.example", 10, sent=("xn--cfa.wide.example", 443, "/")),
]

IPV4 = [
    Row("10.9.8.7", 7, sent=("10.9.8.7", 443, "/")),
    Row("10.9.8.7", 0, scheme="http"),
    Row("10.9.8.7:444", 0),
    Row("10.1.1.1", 9, sent=("10.1.1.1", 443, "/")),
    Row("10.1.1.1", 9, scheme="http", sent=("10.1.1.1", 80, "/")),
    Row("10.1.1.1:81", 0, scheme="http"),
    Row("10.1.2.3", -18),
    Row("10.1.2.3:9999", -18),
    Row("10.2.0.1", 0),
    Row("10.9.8.7.", URI),
    Row("010.9.8.7", URI),
    Row("10.9.8.07", URI),
    Row("0xa.9.8.7", URI),
    Row("0x0a090807", URI),
    Row("168364039", URI),  # 10.9.8.7
    Row("01202204007", URI),
    Row("10.591879", URI),
    Row("10.9.2055", URI),
    Row("10.9.8", URI),
    Row("10.9.8.256", URI),
    Row("10.9.8.7.6", URI),
    Row("10.9.8.-7", URI),
    Row("a.10.9.8.7", URI),
    Row("a.0x7", URI),
    Row("\u0661\u0660.9.8.7", URI),
    Row("\uff11\uff10.9.8.7", URI),
    Row("10\u30029.8.7", URI),
    Row("10.9.8.7%eth0", URI),
    Row("0x.wide.example", 10),
    Row("127.0.0.1", 0),
]

IPV6 = [
    Row("[2a00::1]:8081", 8, scheme="http", sent=("2a00::1", 8081, "/")),
    Row("[2A00:0:0:0:0:0:0:1]:8081", 8, scheme="http", sent=("2a00::1", 8081, "/")),
    Row("[2a00::0001]:8081", 8, scheme="http", sent=("2a00::1", 8081, "/")),
    Row("[2a00::1]", 0, scheme="http"),
    Row("[2a00::2]:8081", 0, scheme="http"),
    Row("2a00::1:8081", URI, scheme="http"),
    Row("2a00::1", URI),
    Row("[2a00::1", URI),
    Row("2a00::1]", URI),
    Row("[[2a00::1]]", URI),
    Row("[2a00::1]8081", URI),
    Row("[2a00::1]:", URI),
    Row("[2a00::1].example", URI),
    Row("[]", URI),
    Row("[2a00::g]", URI),
    Row("[2a00:::1]", URI),
    Row("[v1.a]", URI),
    Row("[api.example]", URI),
    Row("[10.9.8.7]", URI),
    Row("[::ffff:10.9.8.7]", 7, sent=("10.9.8.7", 443, "/")),
    Row("[::ffff:a09:807]", 7, sent=("10.9.8.7", 443, "/")),
    Row("[::FFFF:10.1.2.3]", -18),
    Row("[::ffff:10.1.1.1]", 9, sent=("10.1.1.1", 443, "/")),
    Row("[64:ff9b::10.9.8.7]", 0),  # not named as it is
    Row("[::10.9.8.7]", 0),
    Row("[2a00:5::2]", 14, sent=("2a00:5::2", 443, "/")),
    Row("[2a00:5::1]", -19),
    Row("[2a00:5:0::1]:99", -19),
    Row("[2a00:5:1::1]", -21),
    Row("[fe80::1%eth0]:8081", URI),
    Row("[2a00::1%25eth0]:8081", URI),
    Row("[2a00::1%]:8081", URI),
    Row("[::ffff:010.9.8.7]", URI),
    Row("[2a00::\uff11]:8081", URI),
]

DENIED = [
    Row("a.evil.wide.example", -16),
    Row("a.evil.wide.example:99", -16),
    Row("evil.wide.example", 10),
    Row("A.EVIL.wide.example.", -16, scheme="http"),
    Row("no.wide.example", -17),
    Row("no.wide.example", 10, scheme="http"),
    Row("half.wide.example", -20, scheme="http"),
    Row("half.wide.example:81", -20, scheme="http"),
    Row("half.wide.example", 10),
]

METHODS = [
    Row("m.example", 11),
    Row("m.example", 11, method="PURGE"),
    Row("m.example", 0, method="HEAD"),
    Row("m.example", 0, method="get"),
    Row("m.example", 0, method="Get"),
    Row("m.example", 0, method="GETS"),
    Row("api.example", 1, method="get"),
    Row("api.example", 1, method="HEAD"),
    Row("api.example", 1, method="DELETE"),
    Row("api.example", 1, method="X-1!#$%&'*+.^_`|~"),
    Row("api.example", 1, method="M" * 32),
    Row("api.example", METHOD, method="M" * 33),
    Row("api.example", METHOD, method=""),
    Row("api.example", METHOD, method="CONNECT"),
    Row("api.example", METHOD, method="connect"),
    Row("api.example", METHOD, method="ConNect"),
    Row("api.example:443", METHOD, "api.example:443", method="CONNECT"),
    Row("api.example", METHOD, method="TRACE"),
    Row("api.example", METHOD, method="trace"),
    Row("api.example", METHOD, method="GET "),
    Row("api.example", METHOD, method=" GET"),
    Row("api.example", METHOD, method="GET /x HTTP/1.1\r\nHost: evil.test\r\n\r\nGET"),
    Row("api.example", METHOD, method="GET\0"),
    Row("api.example", METHOD, method="GE\tT"),
    Row("api.example", METHOD, method="GET\n"),
    Row("api.example", METHOD, method="G\u00cbT"),
    Row("api.example", METHOD, method="GET/"),
    Row("api.example", METHOD, method="GET:"),
    Row("api.example", METHOD, method="TRAC\u212a"),
    Row("api.example", 1, method="UPGRADE"),  # a word as others: the header is dropped
    Row("api.example", 1, method="PRI"),
]

TARGETS = [
    Row("api.example", 1, None),
    Row("api.example", 1, ""),
    Row("api.example", 1, "?", sent=("api.example", 443, "/?")),
    Row("api.example", 1, "?q=1", sent=("api.example", 443, "/?q=1")),
    Row("api.example", 1, "/a?b?c=/../d", sent=("api.example", 443, "/a?b?c=/../d")),
    Row("api.example", 1, "//evil.test/a", sent=("api.example", 443, "//evil.test/a")),
    Row("api.example", 1, "/a/../b", sent=("api.example", 443, "/a/../b")),
    Row("api.example", 1, "/%zz%", sent=("api.example", 443, "/%zz%")),
    Row("api.example", 1, "/%2e%2E/%41", sent=("api.example", 443, "/%2e%2E/%41")),
    Row("api.example", 1, "/\u00e9", sent=("api.example", 443, "/%C3%A9")),
    Row("api.example", 1, "/?\u20ac%E9", sent=("api.example", 443, "/?%E2%82%AC%E9")),
    Row("api.example", 1, "/\u2028\u0085", sent=("api.example", 443, "/%E2%80%A8%C2%85")),
    Row("api.example", 1, '/"<>\\^`{|}', sent=("api.example", 443, '/"<>\\^`{|}')),
    Row("api.example", 1, "/http://evil.test/", sent=("api.example", 443, "/http://evil.test/")),
    Row("api.example", URI, "http://api.example/"),
    Row("api.example", URI, "https://evil.test/"),
    Row("api.example", URI, "*"),
    Row("api.example", URI, "*", method="OPTIONS"),
    Row("api.example", URI, "a"),
    Row("api.example", URI, "@evil.test/"),
    Row("api.example", URI, ":80/"),
    Row("api.example", URI, ".evil.test/"),
    Row("api.example", URI, "\\evil.test"),
    Row("api.example", URI, "/a#b"),
    Row("api.example", URI, "#b"),
    Row("api.example", URI, "/a?b#c"),
    Row("api.example", URI, "/a b"),
    Row("api.example", URI, " /a"),
    Row("api.example", URI, "/a "),
    Row("api.example", URI, "/a\0b"),
    Row("api.example", URI, "/a\tb"),
    Row("api.example", URI, "/a\x7f"),
    Row("api.example", URI, "/a\x1f?b"),
    Row("api.example", URI, "/a HTTP/1.1\r\nHost: evil.test\r\n\r\nGET /b"),
    Row("api.example", URI, "/a?\r\nx: y"),
    Row("api.example", URI, "/a\n"),
    Row("api.example", URI, "\r\n/a"),
    Row("api.example", URI, "/\ud800"),
    Row("api.example", 1, "/" + "a" * (MAX_TARGET - 1)),
    Row("api.example", LONG, "/" + "a" * MAX_TARGET),
    Row("api.example", LONG, "/" + "\u00e9" * (MAX_TARGET // 6 + 1)),
    Row("api.example\r\nx: y", URI),
    Row("api.example\0", URI),
    Row("api.example\n", URI),
    Row("api.example:443\r\n", URI),
    Row("api.example:443\0", URI),
    Row("\tapi.example", URI),
    Row("[2a00::1\n]:8081", URI, scheme="http"),
    Row("[2a00::1]:8081\n", URI, scheme="http"),
    Row("api.example\x7f", URI),
]

PATHS = paths(
    ("/v1", 3),
    ("/v1/", 3),
    ("/v1/a/b?q=/../", 3),
    ("/v1?..", 3),
    ("/v1/%41", 3),
    ("/v1/a%20b", 3),
    ("/v1/%C3%A9", 3),
    ("/v1/\u00e9", 3),
    ("/v1/...", 3),
    ("/v1/..a/a..", 3),
    ("/v1/a;b=c/d", 3),
    ("/exact", 3),
    ("/exact?a", 3),
    ("/exact/", 0),
    ("/exact/x", 0),
    ("/EXACT", 0),
    ("/V1/a", 0),
    ("/v1x", 0),
    ("/v2", 0),
    ("/", 0),
    (None, 0),
    ("?/exact", 0),
    ("/%65xact", 0),  # not as the rule has it, letter by letter
    ("/x/list", 3),
    ("/x/y/list", 0),
    ("/x%2fy/list", 0),
    # Dot segments, raw and decoded.
    ("/v1/..", 0),
    ("/v1/.", 0),
    ("/v1/../v2", 0),
    ("/v1/./a", 0),
    ("/../v1/a", 0),
    ("/v1/%2e%2e/v2", 0),
    ("/v1/%2E%2e", 0),
    ("/v1/.%2e/a", 0),
    ("/v1/%2e", 0),
    # Encoded twice, and three times.
    ("/v1/%252e%252e/v2", 0),
    ("/v1/%25%32%65%25%32%65/v2", 0),
    ("/v1/%25252e%25252e/v2", 0),
    ("/v1/a%252fb", 0),
    ("/v1/a%2541", 0),
    ("/v1/100%25", 3),
    ("/v1/100%25a", 3),
    # Slashes in disguise.
    ("/v1/a%2fb", 0),
    ("/v1/a%2Fb", 0),
    ("/v1/a%5cb", 0),
    ("/v1/a%5Cb", 0),
    ("/v1/a\\..\\b", 0),
    ("/v1/..%5c..%5cv2", 0),
    ("/v1//a", 0),
    ("//v1/a", 0),
    ("/v1/a//", 0),
    # What is no encoding.
    ("/v1/%", 0),
    ("/v1/%2", 0),
    ("/v1/%zz", 0),
    ("/v1/%u002e%u002e/", 0),
    ("/v1/%c0%ae%c0%ae/v2", 0),  # dots in more bytes than UTF-8 takes
    ("/v1/%e0%80%af", 0),
    ("/v1/%ff", 0),
    # What ends a text.
    ("/v1/a%00.json", 0),
    ("/v1/a%0d%0ax:y", 0),
    ("/v1/a%0a", 0),
    ("/v1/a%7f", 0),
    # Parameters, which some servers take away.
    ("/v1/..;/v2", 0),
    ("/v1/..;a=b/v2", 0),
    ("/v1/.;/a", 0),
    ("/v1/%2e%2e;/v2", 0),
    ("/v1/..%3b/v2", 0),
    ("/v1/a%3bb", 0),
    ("/v1/;/a", 0),
    ("/v1;/a", 0),  # not the rule's for a server that sees them
    ("/x;y/list", 3),
    ("/x/list;y", 0),
    ("/files/a.json", 3),
    ("/files/a;.json", 0),  # a file without the end that the rule wants, for one that doesn't
    ("/files/a.json;", 0),
    ("/files/a.json;.json", 3),
    ("/p;v=1/a", 3),
    ("/p/a", 0),
    ("/p;v=2/a", 0),
)

TABLE = [
    *SCHEMES, *HOSTS, *USERS, *PORTS, *IDNA, *IPV4, *IPV6, *DENIED, *METHODS, *TARGETS, *PATHS,
]  # fmt: skip


def test_there_are_many_cases_and_none_twice() -> None:
    assert len(TABLE) >= 150
    assert len({row[0:1] + row[2:5] for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: ascii(row)[:90])
def test_words_are_read_and_decided_as_the_table_says(row: Row) -> None:
    found = read(row.method, row.scheme, row.authority, row.path)
    if isinstance(row.expected, str):
        assert isinstance(found, Invalid)
        assert found.code == row.expected
        return
    assert isinstance(found, Words)
    decision = decide(RIGHTS, found.request)
    if row.expected > 0:
        assert isinstance(decision, Allowed), decision
        assert decision.rule.number == row.expected
    else:
        assert isinstance(decision, Denied), decision
        assert (decision.rule and decision.rule.number) == (-row.expected or None)
    if row.sent is not None:
        assert (found.host, found.port, found.target) == row.sent


def test_a_method_with_a_kelvin_sign_is_no_trace_either() -> None:
    # Its lower case is that of a K: what is compared without case has to be ASCII first.
    assert "\u212a".lower() == "k"
    assert isinstance(read("TRAC\u212a", None, "api.example", None), Invalid)


@pytest.mark.parametrize(
    ("authority", "scheme", "url"),
    [
        ("api.example", None, "https://api.example"),
        ("API.example.:443", "https", "https://api.example"),
        ("api.example:80", "http", "http://api.example"),
        ("api.example:443", "http", "http://api.example:443"),
        ("[2A00::1]:8443", None, "https://[2a00::1]:8443"),
        ("[::ffff:127.0.0.1]:8080", "http", "http://127.0.0.1:8080"),
        ("b\u00fccher.example", None, "https://xn--bcher-kva.example"),
    ],
)
def test_the_url_of_a_request_is_that_of_a_rule_for_its_host_alone(
    authority: str, scheme: str | None, url: str
) -> None:
    found = read("GET", scheme, authority, "/a?b")
    assert isinstance(found, Words)
    assert found.url == url
    rule = f'version: "1.0"\npermissions: {{network: {{allow: [{{host: "{url}"}}]}}}}'
    right = effective(parse(rule.encode()).policy, None, None, None)
    assert isinstance(decide(right, found.request), Allowed)


# --- laws -----------------------------------------------------------------------------------

TEXT = st.text(st.characters(), max_size=40) | st.sampled_from(
    [text for row in TABLE for text in (row.authority, row.path, row.method, row.scheme)]
).filter(lambda text: text is not None)
OPTIONAL = st.none() | TEXT
LIKELY = st.text("ab.:[]/%2e5cf;?#@\\ \r\n\0*x0129\u00e9", max_size=20)


@given(TEXT, OPTIONAL, OPTIONAL | LIKELY, OPTIONAL | LIKELY.map(lambda text: f"/{text}"))
@settings(max_examples=500, deadline=None)
def test_whatever_is_asked_is_read_or_refused_and_sent_as_it_was_judged(
    method: str, scheme: str | None, authority: str | None, path: str | None
) -> None:
    found = read(method, scheme, authority, path)
    if isinstance(found, Invalid):
        assert found.code in REFUSALS
        assert found.reason.isprintable()
        return
    assert found.request.path == found.target
    assert found.request.port == found.port
    assert found.request.host.strip("[]") == found.host
    # It fits into one request line, and one Host, whatever it was made of.
    line = f"{found.request.method} {found.target} {found.host}"
    assert line.isascii()
    assert line.isprintable()
    assert line.count(" ") == 2
    assert found.target.startswith("/")
    assert len(found.target) <= MAX_TARGET
    # What was read is read as the same.
    again = read(found.request.method, found.request.scheme, _authority(found), found.target)
    assert again == found
    assert isinstance(decide(RIGHTS, found.request), Allowed | Denied)


def _authority(found: Words) -> str:
    return f"{found.request.host}:{found.port}"


def test_a_reason_has_no_word_of_the_guest() -> None:
    reasons = {
        found.reason
        for row in TABLE
        if isinstance(found := read(row.method, row.scheme, row.authority, row.path), Invalid)
    }
    assert all(
        word not in reason for reason in reasons for word in ("example", "evil", "GET", "2a00")
    )
    assert len(reasons) >= 9


@pytest.mark.parametrize(
    "asked",
    [
        HttpRequested("M" * MAX_METHOD, "s" * MAX_METHOD, "a" * MAX_AUTHORITY, "/"),
        HttpRequested("GET", None, "a." * (MAX_AUTHORITY // 2), "/" + "%2" * (MAX_TARGET // 2)),
        HttpRequested("GET", None, "v.example", "/" + "%25" * (MAX_TARGET // 3)),
        HttpRequested("GET", None, "v.example", "/" + "\u00e9" * (MAX_TARGET - 1)),
        HttpRequested("GET", None, "v.example", "/v1" + "/a;" * (MAX_TARGET // 3 - 1)),
        HttpRequested("GET", None, "v.example", "/v1/" + "/" * (MAX_TARGET - 4)),
        HttpRequested("GET", None, "[" + ":" * (MAX_AUTHORITY - 1), "/"),
        HttpRequested("GET", None, "\u0301" * MAX_AUTHORITY, "/"),
        HttpRequested("GET", None, "1" * MAX_AUTHORITY, "/"),
    ],
    ids=lambda asked: ascii(asked)[:60],
)
def test_the_longest_words_are_read_and_decided_in_little_time(asked: HttpRequested) -> None:
    began = time.process_time()
    found = words(asked)
    if isinstance(found, Words):
        decide(RIGHTS, found.request)
    assert time.process_time() - began < 0.5


def test_what_a_frame_may_hold_is_what_is_read() -> None:
    assert request_words.MAX_METHOD < MAX_METHOD
    found = words(HttpRequested("GET", None, "api.example", "?a"))
    assert found == read("GET", None, "api.example", "?a")
