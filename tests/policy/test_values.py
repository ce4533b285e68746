"""What a URI, a host, a path, a header, a range, a variable and a pattern may be."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wassette_protocol.patterns import Pattern, segment_matches
from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy import cidr, environment, http_rule, storage_uri
from wassette_supervisor.policy import host as hosts

# --- storage URIs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("fs://workspace", "fs://workspace"),
        ("fs://workspace/", "fs://workspace"),
        ("fs://workspace/**", "fs://workspace"),
        ("fs://workspace/**/**", "fs://workspace"),
        ("fs:///tmp/x/**", "fs:///tmp/x"),
        ("fs:///", "fs:///**"),
        ("fs:///**", "fs:///**"),
        ("fs://a/*", "fs://a/*"),
        ("fs://a/*/", "fs://a/*"),
        ("fs://a/*/**", "fs://a/*/**"),
        ("fs://a/**/**/b", "fs://a/**/b"),
        ("fs://state/", "fs://state"),
        ("fs://state/**", "fs://state"),
        ("fs:///state/x", "fs:///state/x"),
        ("fs://a/ä b]}", "fs://a/ä b]}"),
    ],
)
def test_uris_that_mean_the_same_have_one_form(written: str, same: str) -> None:
    uri = storage_uri.parse(written)
    assert uri.text == same
    assert storage_uri.parse(uri.text) == uri


@pytest.mark.parametrize(
    ("uri", "instead"),
    [
        ("", "write fs://PATH"),
        ("/data", "write fs:///data"),
        ("tmp", "write fs://PATH"),
        ("file:///tmp", "write fs://PATH"),
        ("FS://tmp", "write fs://PATH"),
        ("fs://", "write fs://PATH"),
        ("fs:////tmp", "write one / only"),
        ("fs://a//b", "write one / only"),
        ("fs://a/..", "write the path that it leads to"),
        ("fs:///../a", "write the path that it leads to"),
        ("fs://./a", "write the path that it leads to"),
        ("fs://a/.", "write the path that it leads to"),
        ("fs://a/***", "write * within a segment"),
        ("fs://a/b**", "write * within a segment"),
        ("fs://a/?", "use * and ** only"),
        ("fs://a/[b]", "use * and ** only"),
        ("fs://a/{b,c}", "use * and ** only"),
        ("fs://**", "begin it with a name"),
        ("fs://*", "begin it with a name"),
        ("fs://*/a", "begin it with a name"),
        ("fs://state/x", "write fs://state"),
        ("fs://state/*", "write fs://state"),
        ("fs://state/**/x", "write fs://state"),
        ("fs://a\0b", "remove it"),
        ("fs://a\nb", "remove it"),
        ("fs://" + "a" * 5000, "grant a folder above"),
    ],
)
def test_a_uri_that_says_nothing_exact_is_refused(uri: str, instead: str) -> None:
    with pytest.raises(PolicyError) as caught:
        storage_uri.parse(uri)
    assert instead in caught.value.instead
    assert len(str(caught.value)) < 700


def test_a_deny_reaches_below_what_it_names_and_may_begin_with_a_pattern() -> None:
    assert storage_uri.parse("fs://**/.env", deny=True).text == "fs://**/.env"
    below = storage_uri.parse("fs://a/*", deny=True)
    assert below == storage_uri.parse("fs://a/*/**", deny=True)
    assert below.pattern.matches([b"a", b"x", b"y"])
    assert not storage_uri.parse("fs://a/*").pattern.matches([b"a", b"x", b"y"])


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("/", ()),
        ("/a/b", (b"a", b"b")),
        (b"/\xff", (b"\xff",)),
        ("/\udcff", (b"\xff",)),
        *[(path, None) for path in ("", "a", "//", "/a/", "/a//b", "/a/../b", "/./a", "/a\0")],
        ("/\ud800", None),
    ],
)
def test_only_a_canonical_path_has_segments(
    path: str | bytes, segments: tuple[bytes, ...] | None
) -> None:
    assert storage_uri.canonical_path(path) == segments


# --- patterns -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a", "a", True),
        ("a", "a/b", False),
        ("a", "A", False),
        ("*", ".hidden", True),
        ("*", "", False),
        ("a*b", "ab", True),
        ("a*b", "a/b", False),
        ("ab*ba", "aba", False),
        ("*a*a*", "aa", True),
        ("*a*a*", "a", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "a/x/b/c", False),
        ("**/b", "b", True),
        ("**/b/**/b", "b", False),
        ("**/b/**/b", "x/b/b", True),
    ],
)
def test_a_pattern_matches_whole_segments(pattern: str, path: str, *, expected: bool) -> None:
    segments = tuple(path.encode().split(b"/")) if path else ()
    exact = Pattern(tuple(pattern.encode().split(b"/")), below=False)
    assert exact.matches(segments) is expected


def test_a_pattern_with_what_is_below_matches_that_too() -> None:
    pattern = Pattern((b"a", b"*"), below=True)
    assert not pattern.matches([b"a"])
    assert all(pattern.matches([b"a", b"x", *rest]) for rest in ([], [b"y"], [b"y", b"z"]))


SEGMENTS = st.text("ab*", max_size=6)


@given(SEGMENTS, st.text("ab", max_size=8))
def test_a_segment_is_matched_as_the_library_does(pattern: str, text: str) -> None:
    assert segment_matches(pattern.encode(), text.encode()) == fnmatchcase(text, pattern)


PATTERNS = st.builds(
    Pattern,
    st.lists(st.sampled_from([b"a", b"b", b"*", b"a*", b"**"]), max_size=4).map(tuple),
    st.booleans(),
)
PATHS = st.lists(st.sampled_from([b"a", b"b", b"ab", b"c"]), max_size=6)


@given(PATTERNS, PATTERNS, PATHS)
def test_what_is_covered_matches_nothing_more(
    wide: Pattern, narrow: Pattern, path: list[bytes]
) -> None:
    if wide.covers(narrow) and narrow.matches(path):
        assert wide.matches(path)


def test_a_name_with_a_star_in_it_covers_no_pattern_that_is_written_alike() -> None:
    name, glob = Pattern((b"a*",), below=True, literal=1), Pattern((b"a*",), below=True)
    assert not name.covers(glob)
    assert glob.covers(name)
    assert name.covers(name)
    anything, stars = Pattern((b"**",), below=True), Pattern((b"**",), below=True, literal=1)
    assert not stars.covers(anything)
    assert anything.covers(stars)


def test_a_pattern_made_to_be_slow_is_not() -> None:
    pattern = Pattern((b"**", b"*a*a*a*a*a*a*b") * 60, below=False)
    began = time.process_time()
    assert not pattern.matches([b"a" * 100] * 400)
    assert time.process_time() - began < 5


# --- hosts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("API.Example.com", "api.example.com"),
        ("api.example.com.", "api.example.com"),
        ("api.example.com:8443", "api.example.com:8443"),
        ("api.example.com:443", "api.example.com:443"),
        ("https://api.example.com:443", "https://api.example.com"),
        ("HTTPS://api.example.com/", "https://api.example.com"),
        ("http://api.example.com:443", "http://api.example.com:443"),
        ("*.example.com", "*.example.com"),
        ("https://*.example.com:8443", "https://*.example.com:8443"),
        ("*", "*"),
        ("http://*", "http://*"),
        ("localhost:8080", "localhost:8080"),
        ("_dmarc.example.com", "_dmarc.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("xn--fa-hia.de", "xn--fa-hia.de"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("[::1]", "[::1]"),
        ("[0:0::1]:8080", "[::1]:8080"),
        ("[2001:DB8::1]", "[2001:db8::1]"),
        ("[::ffff:10.0.0.1]", "10.0.0.1"),
    ],
)
def test_hosts_that_mean_the_same_have_one_form(written: str, same: str) -> None:
    host = hosts.parse(written)
    assert host.text == same
    assert hosts.parse(host.text) == host or host.port == 443


@pytest.mark.parametrize(
    "host",
    [
        "", " ", "a b", "ftp://a.example", "://a", "user@a.example", "https://u:p@a.example",
        "a.example/x", "https://a.example/x", "https://a.example?x", "a.example#x", "a\\b",
        "a:b:c", "::1", "a.example:", "a.example:0", "a.example:65536", "a.example:080",
        "a.example:٣", "[::1", "[::1]x", "[fe80::1%eth0]", "[127.0.0.1]", "[x]", "*.*.example",
        "a*.example", "a.*", "*.127.0.0.1", "*.[::1]", "*.", ".", "a..b", ".a", "-a.example",
        "a-.example", "a" * 64 + ".example", ".".join(["a" * 60] * 5),
        "127.1", "0x7f.1", "2130706433", "017700000001", "127.0.0.01", "1.2.3.4.5", "a.0x1", "a.1",
        "faß.de", "ΣΑΣ.gr", "σας.gr", "a\u200db.example", "\uff41.example", "a。b",
        "a\u0301.example",
        "\u0301a.example", "☃.example", "אa.example",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_host_that_could_be_read_in_two_ways_is_refused(host: str) -> None:
    with pytest.raises(PolicyError, match="host") as caught:
        hosts.parse(host)
    assert caught.value.instead


def test_a_host_of_any_length_is_refused_at_once() -> None:
    # Python's own conversion of a long label takes a time that grows with its square.
    began = time.process_time()
    for host in ("ü" * 200_000, "a." * 100_000, "[" + "1:" * 100_000):
        with pytest.raises(PolicyError):
            hosts.parse(host)
        with pytest.raises(PolicyError):
            hosts.normal_name(host)
    assert time.process_time() - began < 5


MATCHES = [
    ("a.example", "http a.example 80", True),
    ("a.example", "https a.example 443", True),
    ("a.example", "http a.example 443", False),
    ("a.example", "https a.example 8443", False),
    ("a.example:8443", "http a.example 8443", True),
    ("a.example:8443", "https a.example 443", False),
    ("https://a.example", "https a.example 443", True),
    ("https://a.example", "http a.example 80", False),
    ("*.a.example", "https x.a.example 443", True),
    ("*.a.example", "https x.y.a.example 443", True),
    ("*.a.example", "https a.example 443", False),
    ("*.a.example", "https xa.example 443", False),
    ("*", "https a.example 443", True),
    ("*", "http 10.0.0.1 80", False),
    ("*", "http localhost 80", False),
    ("*", "http x.localhost 80", False),
    ("localhost", "http localhost 80", True),
    ("10.0.0.1", "http 10.0.0.1 80", True),
]


@pytest.mark.parametrize(("rule", "request_", "expected"), MATCHES)
def test_an_allowed_host_is_just_that_host(rule: str, request_: str, *, expected: bool) -> None:
    scheme, name, port = request_.split()
    assert hosts.parse(rule).matches(scheme, name, int(port), deny=False) is expected


@pytest.mark.parametrize(
    ("rule", "request_", "expected"),
    [
        *[row for row in MATCHES if row[2]],
        ("a.example", "https a.example 8443", True),
        ("https://a.example", "https a.example 8443", True),
        ("https://a.example", "http a.example 80", False),
        ("a.example:1", "http a.example 2", False),
        ("*.a.example", "https a.example 443", False),
        ("*", "http 10.0.0.1 99", True),
        ("*", "http localhost 80", True),
    ],
)
def test_a_denied_host_is_denied_on_all_ports(rule: str, request_: str, *, expected: bool) -> None:
    scheme, name, port = request_.split()
    assert hosts.parse(rule).matches(scheme, name, int(port), deny=True) is expected


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("a.example", "https://a.example", True),
        ("https://a.example", "a.example", False),
        ("a.example", "a.example:8443", False),
        ("a.example:443", "https://a.example", True),
        ("*.example", "a.example", True),
        ("*.example", "*.a.example", True),
        ("*.a.example", "*.example", False),
        ("*", "*.example", True),
        ("*", "10.0.0.1", False),
        ("*.example", "example", False),
    ],
)
def test_a_host_covers_what_it_allows_all_of(wide: str, narrow: str, *, expected: bool) -> None:
    assert hosts.parse(wide).covers(hosts.parse(narrow)) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("*.com", True), ("*.co.uk", True), ("*.example.com", False), ("com", False)],
)
def test_a_wildcard_of_everybody_is_known(host: str, *, expected: bool) -> None:
    assert hosts.is_public_suffix(hosts.parse(host)) is expected


# --- requests, ranges, variables ------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/v1/**", "/a/*.json", "/%20x", "/**/a", "/a/", "/a:b@c"])
def test_a_path_of_a_url_is_taken(path: str) -> None:
    assert http_rule.path(path) == path


@pytest.mark.parametrize(
    "path",
    ["", "a", "/a?b", "/a#b", "/a b", "/ä", "/%2", "/a/../b", "/./a", "/%2e%2E/a", "/a%2fb", "/%5C",
     "/a\\b", "/a**", "/***", "/" + "a" * 3000, "/a\n"],
)  # fmt: skip
def test_a_path_that_servers_could_read_differently_is_refused(path: str) -> None:
    with pytest.raises(PolicyError):
        http_rule.path(path)


@pytest.mark.parametrize(
    ("method", "instead"),
    [("get", "write GET"), ("CONNECT", "remove it"), ("TRACE", "remove it"), ("", "write GET"),
     ("G T", "write GET"), ("*", "write GET"), ("X" * 99, "write GET")],
)  # fmt: skip
def test_a_method_is_upper_case_and_not_a_dangerous_one(method: str, instead: str) -> None:
    assert http_rule.method("M-SEARCH") == "M-SEARCH"
    with pytest.raises(PolicyError) as caught:
        http_rule.method(method)
    assert instead in caught.value.instead


@pytest.mark.parametrize(
    ("name", "value"),
    [("Host", "x"), ("te", "x"), ("X-Forwarded-For", "x"), ("a b", "x"), ("a", "x\r\ny: z"),
     ("a", "ä"), ("a", "${secret:}"), ("a", "${env:X}"), ("a", "${secret:A${secret:B}}"), ("", "x"),
     ("a", "x" * 5000)],
)  # fmt: skip
def test_a_header_that_can_not_be_injected_is_refused(name: str, value: str) -> None:
    with pytest.raises(PolicyError):
        http_rule.header(name, value)


def test_a_header_names_its_secrets() -> None:
    name, value = http_rule.header("Authorization", "Bearer ${secret:A} ${secret:B_2}")
    assert name == "authorization"
    assert http_rule.secrets(value) == ["A", "B_2"]


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "10.0.0/8", "x/8", "::/129",
     "10.0.0.0/٨", "fe80::%1/64", "10.0.0.0/-1", "10.0.0.0/8/8",
     "::ffff:10.0.0.0/104"],
)  # fmt: skip
def test_a_range_that_is_not_exact_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        cidr.parse(text)


def test_a_range_has_the_addresses_of_its_version_in_it() -> None:
    assert str(cidr.parse("FD00::/8")) == "fd00::/8"
    assert cidr.contains("10.0.0.0/8", "10.255.255.255")
    assert not cidr.contains("10.0.0.0/8", "11.0.0.0")
    assert not cidr.contains("0.0.0.0/0", "::1")


@pytest.mark.parametrize("key", ["", "1A", "A-B", "A*", "*", "Ä", "A=B", "A\n", "A" * 300])
def test_a_variable_has_a_plain_name(key: str) -> None:
    assert environment.key("_A1") == "_A1"
    for check in (environment.key, environment.secret):
        with pytest.raises(PolicyError):
            check(key)


def test_a_value_may_have_lines_but_no_nul() -> None:
    assert environment.value("a\nb") == "a\nb"
    for value in ("a\0b", "a" * 40_000):
        with pytest.raises(PolicyError):
            environment.value(value)
