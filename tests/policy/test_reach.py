"""What the judge of addresses is told of the rules, for one request."""

from __future__ import annotations

import pytest

from wassette_supervisor.policy.address import ranges, refusal
from wassette_supervisor.policy.decision import Allowed, decide
from wassette_supervisor.policy.effective import (
    Effective,
    any_host_rule,
    effective,
    has_network,
    injected_secrets,
)
from wassette_supervisor.policy.parsing import parse, parse_ceiling
from wassette_supervisor.policy.reach import address_rules
from wassette_supervisor.policy.request_words import Words, read


def network(allow: str, deny: str = "") -> str:
    return f"network: {{allow: [{allow}], deny: [{deny}]}}"


def rights(policy: str, *, tool: str | None = None, ceiling: str | None = None) -> Effective:
    section = f"\ntools: {{t: {{permissions: {{{tool}}}}}}}" if tool is not None else ""
    text = f"version: '1.0'\npermissions: {{{policy}}}{section}"
    above = f"version: '1.0'\npermissions: {{{ceiling}}}"
    return effective(
        parse(text.encode()).policy,
        "t",
        None if ceiling is None else parse_ceiling(above.encode()).policy,
        None,
    )


def asked(url: str, method: str = "GET") -> Words:
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    found = read(method, scheme, authority, f"/{path}")
    assert isinstance(found, Words)
    return found


def lifted(right: Effective, url: str) -> list[list[str]]:
    words = asked(url)
    assert isinstance(decide(right, words.request), Allowed)
    return address_rules(right, words).lifted


def denied(right: Effective, url: str) -> list[str]:
    return address_rules(right, asked(url)).denied


LOOPBACK = ["127.0.0.0/8", "::1/128"]


@pytest.mark.parametrize(
    ("allow", "url", "expected"),
    [
        pytest.param("{host: a.example}", "https://a.example", [], id="a name lifts nothing"),
        pytest.param(
            "{host: a.example}, {cidr: 10.0.0.0/8}", "https://a.example", ["10.0.0.0/8"], id="range"
        ),
        pytest.param("{host: localhost}", "http://localhost", LOOPBACK, id="localhost"),
        pytest.param(
            "{host: localhost}, {host: a.example}", "http://a.example", [], id="not for another"
        ),
        pytest.param("{host: '127.0.0.1:81'}", "http://127.0.0.1:81", ["127.0.0.1/32"], id="IPv4"),
        pytest.param("{host: '[fd00::1]'}", "http://[fd00::1]", ["fd00::1/128"], id="IPv6"),
        pytest.param(
            "{host: '[::ffff:10.0.0.1]'}", "http://10.0.0.1", ["10.0.0.1/32"], id="mapped"
        ),
        pytest.param(
            "{host: 'http://localhost'}, {host: localhost, methods: [PUT]}",
            "http://localhost",
            LOOPBACK,
            id="once, by the rules that match",
        ),
        pytest.param(
            "{host: 10.0.0.1, paths: [/a]}, {cidr: 10.0.0.0/24}, {cidr: 10.0.0.0/24}",
            "http://10.0.0.1/b",
            ["10.0.0.0/24"],
            id="by none whose path is another",
        ),
        pytest.param("{host: '*'}", "http://a.example", [], id="every host lifts nothing"),
    ],
)
def test_what_is_lifted_is_what_the_rules_name(allow: str, url: str, expected: list[str]) -> None:
    assert lifted(rights(network(allow)), url) == [expected]


def test_each_layer_lifts_for_itself() -> None:
    own = network("{host: a.example}, {host: localhost}, {cidr: 10.0.0.0/8}")
    right = rights(
        own,
        tool=network("{host: a.example}, {host: localhost}"),
        ceiling=network("{host: '*.example'}, {host: localhost}, {cidr: 10.1.0.0/16}"),
    )
    assert lifted(right, "http://a.example") == [["10.0.0.0/8"], [], ["10.1.0.0/16"]]
    assert lifted(right, "http://localhost") == [
        ["127.0.0.0/8", "::1/128", "10.0.0.0/8"],
        LOOPBACK,
        ["127.0.0.0/8", "::1/128", "10.1.0.0/16"],
    ]


DENY = (
    "{cidr: 10.1.0.0/16}, {host: '[2a00::1]'}, {host: 'http://10.0.0.1'}, {host: '10.0.0.2:81'},"
    " {host: '*.b.example'}, {host: c.example}, {host: '*.d.example:9'}"
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example", {"10.1.0.0/16", "2a00::1/128"}),
        ("https://a.example:99", {"10.1.0.0/16", "2a00::1/128"}),
        ("http://a.example", {"10.1.0.0/16", "2a00::1/128", "10.0.0.1/32"}),
        ("http://a.example:81", {"10.1.0.0/16", "2a00::1/128", "10.0.0.1/32", "10.0.0.2/32"}),
        ("https://a.example:81", {"10.1.0.0/16", "2a00::1/128", "10.0.0.2/32"}),
    ],
)
def test_what_is_denied_at_a_port_is_denied_by_whatever_name_it_is_reached(
    url: str, expected: set[str]
) -> None:
    found = denied(rights(network("", DENY)), url)
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_what_is_denied_is_that_of_all_layers_together() -> None:
    right = rights(
        network("{host: a.example}", "{cidr: 10.1.0.0/16}"),
        tool=network("{host: a.example}", "{cidr: 10.2.0.0/16}"),
        ceiling=network("{host: '*'}", "{cidr: 10.3.0.0/16}, {cidr: 10.1.0.0/16}"),
    )
    assert denied(right, "http://a.example") == ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"]


def test_who_denies_localhost_denies_loopback_by_every_name() -> None:
    right = rights(network("{host: a.example}, {cidr: 127.0.0.0/8}", "{host: localhost}"))
    assert denied(right, "http://a.example") == LOOPBACK


@pytest.mark.parametrize(
    ("url", "address", "reason"),
    [
        ("http://localhost", "127.0.0.1", None),
        ("http://localhost", "127.1.2.3", None),
        ("http://localhost", "::1", None),
        ("http://localhost", "10.0.0.1", "it is a private address"),
        ("http://127.0.0.1", "127.0.0.1", None),
        ("http://127.0.0.1", "127.0.0.2", "it is a loopback address"),
        ("http://a.example", "127.0.0.1", "it is a loopback address"),
        ("http://a.example", "10.9.0.1", None),
        ("http://a.example", "::ffff:10.9.0.1", None),
        ("http://a.example", "10.9.1.1", "a rule denies it"),
        ("http://a.example", "64:ff9b::10.9.1.1", "a rule denies it"),
        ("http://a.example", "10.8.0.1", "it is a private address"),
        ("http://a.example", "93.184.216.34", None),
        ("http://[64:ff9b::7f00:1]", "64:ff9b::7f00:1", "it is a loopback address, as 127.0.0.1"),
    ],
)
def test_an_address_is_judged_by_the_rules_of_its_request(
    url: str, address: str, reason: str | None
) -> None:
    allow = (
        "{host: localhost}, {host: 127.0.0.1}, {host: a.example}, {cidr: 10.9.0.0/16},"
        " {host: '[64:ff9b::7f00:1]'}"
    )
    rules = address_rules(rights(network(allow, "{cidr: 10.9.1.0/24}")), asked(url))
    found = refusal(address, ranges(rules.denied), [ranges(layer) for layer in rules.lifted])
    assert found == reason or (found or "").startswith(reason or "?")


# --- of a call ------------------------------------------------------------------------------


def test_a_call_has_a_network_where_each_layer_allows_some_of_it() -> None:
    host, ranges_ = network("{host: a.example}"), network("{cidr: 10.0.0.0/8}")
    assert has_network(rights(host))
    assert has_network(rights(host, tool=ranges_, ceiling=host))
    for right in (rights(""), rights(host, tool=""), rights(host, ceiling=network("", DENY))):
        assert not has_network(right)
    assert not has_network(effective(None, None, None, None))


@pytest.mark.parametrize(
    ("allow", "number"),
    [
        ("{host: '*.a.example'}, {host: '*'}", 2),
        ("{host: 'https://*:8443'}", 1),
        ("{host: '*.example'}, {cidr: 0.0.0.0/0}", None),
    ],
)
def test_a_rule_for_every_host_is_found_in_the_policy_alone(allow: str, number: int | None) -> None:
    found = any_host_rule(rights(network(allow)))
    assert (found and found.number) == number
    every = network("{host: '*'}")
    assert any_host_rule(rights(network("{host: a.example}"), tool=every, ceiling=every)) is None
    assert any_host_rule(rights(network("", "{host: '*'}"))) is None


def test_the_secrets_of_headers_are_those_of_the_allow_rules() -> None:
    headers = "{x-a: '${secret:A}:${secret:B}', x-b: plain}"
    right = rights(network(f"{{host: 'https://a.example', inject: {{headers: {headers}}}}}"))
    assert injected_secrets(right) == {"A", "B"}
    assert injected_secrets(rights("")) == frozenset()
