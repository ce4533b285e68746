"""Rules have numbers and one line each; what this version doesn't enforce is named by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from policy.strategies import POLICIES
from wassette_supervisor.policy.enforceable import unenforced
from wassette_supervisor.policy.numbering import numbered
from wassette_supervisor.policy.parsing import parse

if TYPE_CHECKING:
    from wassette_supervisor.policy.document import Policy

RULES = b"""\
version: "1.0"
permissions:
  resources: {limits: {fuel: 5, memory: 64Mi, storage: {files: 2}, requests: 3}}
  environment: {allow: [{key: TZ}, {key: A, value: "x\\ny"}, {key: B, value_from: {secret: S}}]}
  network:
    deny: [{host: "*.bad.example"}]
    allow:
    - {host: a.example, methods: [GET], paths: [/v1/**]}
    - {host: "https://b.example", inject: {headers: {authorization: "${secret:T}", x: y}}}
    - {cidr: 10.0.0.0/8}
  storage:
    allow:
    - {uri: "fs://w/**", access: [write, read]}
    - {uri: "fs://\\u202ew", access: [read]}
    deny: [{uri: "fs://w/**/.env", access: [read]}]
tools:
  fetch: {permissions: {environment: {allow: [{key: TZ}]}}}
"""


def test_rules_are_numbered_in_one_order_whatever_that_of_the_file() -> None:
    policy = parse(RULES).policy
    assert [(rule.number, rule.text) for rule in numbered(policy)] == list(
        enumerate(
            [
                "allow read, write fs://w/**",
                r"allow read fs://\u202ew",
                "deny read fs://w/**/.env",
                "allow a.example; GET; /v1/**",
                (
                    "allow https://b.example; sends secret T as authorization; sends a text of "
                    "the policy as x"
                ),
                "allow addresses in 10.0.0.0/8",
                "deny *.bad.example",
                "allow TZ, of the server",
                r"allow A, with a value of its own",
                "allow B, with the secret S",
                "limit memory at most 64Mi",
                "limit fuel at most 5",
                "limit requests at most 3",
                "limit storage.files at most 2",
                "tool fetch: allow TZ, of the server",
            ],
            start=1,
        )
    )


def test_every_rule_has_a_position_in_the_file_it_came_from() -> None:
    parsed = parse(RULES)
    assert {rule.where for rule in numbered(parsed.policy)} == parsed.positions.keys()


@given(POLICIES)
@settings(deadline=None)
def test_a_rule_is_one_bounded_line(policy: Policy) -> None:
    rules = numbered(policy)
    assert [rule.number for rule in rules] == list(range(1, len(rules) + 1))
    assert all(rule.text.isprintable() and len(rule.text) < 1000 for rule in rules)


def test_what_this_version_does_not_enforce_is_named_with_a_reason() -> None:
    assert unenforced(parse(RULES).policy) == []
    own = b"fs://state, access: [write]"
    text = RULES.replace(b'"fs://w/**", access: [write, read]', own)
    found = {entry.rule.number: entry.reason for entry in unenforced(parse(text).policy)}
    assert found == {1: "fs://state is not granted without read"}


def hosts(kind: str, *rules: str) -> bytes:
    return f"version: '1.0'\npermissions: {{network: {{{kind}: [{', '.join(rules)}]}}}}".encode()


@pytest.mark.parametrize("kind", ["allow", "deny"])
def test_so_many_ranges_are_judged_for_one_request_and_no_more(kind: str) -> None:
    most = [f"{{cidr: 10.{n}.0.0/16}}" for n in range(62)] + ["{host: localhost}"]  # which is two
    names = [f"{{host: a{n}.example}}" for n in range(100)]
    assert unenforced(parse(hosts(kind, *names, *most)).policy) == []
    for more in ("{cidr: 'fd00::/8'}", "{host: 'https://10.1.2.3'}", "{host: '[fd00::1]:81'}"):
        found = unenforced(parse(hosts(kind, *most, *names, more)).policy)
        (reason,) = [(each.rule.number, each.reason) for each in found]
        assert reason == (164, "no more than 64 addresses and ranges are judged for one request")


def test_so_many_headers_are_injected_and_no_more() -> None:
    for count, least in ((32, 0), (33, 1)):
        headers = ", ".join(f"x-{n}: y" for n in range(count))
        rule = f"{{host: 'https://a.example', inject: {{headers: {{{headers}}}}}}}"
        found = unenforced(parse(hosts("allow", rule)).policy)
        assert [each.reason for each in found] == ["no more than 32 headers are injected"] * least


@pytest.mark.parametrize(
    ("kind", "rule", "reason"),
    [
        ("allow", "{uri: fs://a, access: [read]}", None),
        ("allow", "{uri: fs://a/*/**, access: [read, write]}", None),
        ("allow", "{uri: fs://a, access: [write]}", None),
        ("deny", "{uri: 'fs:///**/.env', access: [read]}", None),
        ("allow", "{uri: fs://state, access: [read]}", None),
        ("allow", "{uri: fs://state/**, access: [read, write]}", None),
        ("allow", "{uri: fs://state, access: [write]}", "fs://state is not granted without read"),
        ("deny", "{uri: fs://state, access: [write]}", None),
    ],
)
def test_all_of_files_is_granted_and_denied_but_the_own_folder_without_read(
    kind: str, rule: str, reason: str | None
) -> None:
    text = f'version: "1.0"\npermissions: {{storage: {{{kind}: [{rule}]}}}}'
    found = [entry.reason for entry in unenforced(parse(text.encode()).policy)]
    assert found == ([] if reason is None else [reason])
