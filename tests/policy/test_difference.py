"""Differences of policies: in rights and in both directions, whatever the words."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.strategies import CEILINGS, POLICIES, STORAGE, STORAGE_REQUESTS, allowed
from wassette_protocol.patterns import Pattern
from wassette_supervisor.policy import witnesses
from wassette_supervisor.policy.difference import difference
from wassette_supervisor.policy.document import Permissions, Policy, Storage
from wassette_supervisor.policy.normal import normalised
from wassette_supervisor.policy.parsing import parse


def policy(text: str) -> Policy:
    return parse(f"version: '1.0'\n{text}".encode()).policy


def shown(old: str, new: str) -> list[str]:
    found = difference(policy(old), policy(new))
    back = difference(policy(new), policy(old))
    assert len(back) == len(found)
    return [f"{change.sign} {change.text}" for change in found]


def storage(*rules: str, deny: str = "") -> str:
    listed = ", ".join(
        f"{{uri: '{uri}', access: [{access}]}}" for uri, access in (rule.split() for rule in rules)
    )
    return f"permissions: {{storage: {{allow: [{listed}], deny: [{deny}]}}}}"


def network(*rules: str, deny: str = "") -> str:
    return f"permissions: {{network: {{allow: [{', '.join(rules)}], deny: [{deny}]}}}}"


DENY = "{uri: 'fs://a/**/.env', access: [read, write]}"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param("", storage("fs://a read"), ["+ read fs://a"], id="first rule"),
        pytest.param(
            storage("fs://a read"), storage("fs://a read,write"), ["+ write fs://a"], id="write"
        ),
        pytest.param(
            storage("fs://a read", "fs:///b write"),
            storage("fs:///b/** write", "fs://a/ read"),
            [],
            id="moved and reworded",
        ),
        pytest.param(
            storage("fs://a read"), storage("fs://a read", "fs://a/b read"), [], id="below"
        ),
        pytest.param(
            storage("fs://a/* read", "fs://a/b/c read"),
            storage("fs://a/** read"),
            ["+ read fs://a"],
            id="wider",
        ),
        pytest.param(
            storage("fs:///a read"), storage("fs://a read"), ["- read fs:///a", "+ read fs://a"],
            id="another root",
        ),
        pytest.param(
            storage("fs://a read"),
            storage("fs://a read", deny=DENY),
            ["- read fs://a/**/.env, now denied"],
            id="a deny that takes",
        ),
        pytest.param(
            storage("fs://b read"), storage("fs://b read", deny=DENY), [], id="a deny of nothing"
        ),
        pytest.param(
            storage("fs://a read", deny=DENY),
            storage("fs://a read"),
            ["+ read fs://a/**/.env, no longer denied"],
            id="a deny that is gone",
        ),
        pytest.param(
            storage("fs://a/x read", "fs://a/y read"),
            storage("fs://a/* read"),
            ["+ read fs://a/*", "- read fs://a/x", "- read fs://a/y"],
            id="entries for folders",
        ),
        pytest.param(
            "", network("{host: a.test}"), ["+ requests to a.test"], id="first host"
        ),
        pytest.param(
            network("{host: a.test}"),
            network("{host: 'https://a.test'}", "{host: 'http://a.test:80'}"),
            [],
            id="one host in two rules",
        ),
        pytest.param(
            network("{host: '*.test'}"), network("{host: '*.test'}", "{host: a.test}"), [],
            id="host below",
        ),
        pytest.param(
            network("{host: a.test, methods: [GET, PUT]}"),
            network("{host: a.test, methods: [PUT]}", "{host: a.test, methods: [GET]}"),
            [],
            id="methods in two rules",
        ),
        pytest.param(
            network("{host: a.test, methods: [GET]}"),
            network("{host: a.test}"),
            ["+ requests to a.test"],
            id="all methods",
        ),
        pytest.param(
            network("{host: a.test, paths: [/a/**, /b]}"),
            network("{host: a.test, paths: [/b, /a/**]}", "{host: a.test, paths: [/a/x]}"),
            [],
            id="path below",
        ),
        pytest.param(
            network("{host: a.test, paths: ['/**']}"),
            network("{host: a.test}"),
            ["+ requests to a.test"],
            id="paths that are read in two ways",
        ),
        pytest.param(
            network("{cidr: 10.0.0.0/8}"),
            network("{cidr: 10.0.0.0/9}", "{cidr: 10.128.0.0/9}"),
            [],
            id="a range in two halves",
        ),
        pytest.param(
            network("{host: a.test}"),
            network("{host: a.test}", deny="{host: '*.test'}"),
            ["- requests to *.test, now denied"],
            id="a denied host",
        ),
        pytest.param(
            network("{host: 'https://a.test'}"),
            network("{host: 'https://a.test', inject: {headers: {x: '${secret:S}'}}}"),
            ["+ sends secret S as x: ${secret:S} to https://a.test"],
            id="a secret",
        ),
        pytest.param(
            "permissions: {environment: {allow: [{key: A}, {key: B}]}}",
            "permissions: {environment: {allow: [{key: B, value: x}, {key: C}]}}",
            [
                "- variable A, of the server",
                "- variable B, of the server",
                "+ variable B, with a value of its own",
                "+ variable C, of the server",
            ],
            id="variables",
        ),
        pytest.param(
            "permissions: {resources: {limits: {memory: 64Mi, fuel: 5}}}",
            "permissions: {resources: {limits: {memory: 1Gi, wall_time: 1s}}}",
            [
                "+ limit memory 1Gi, was 64Mi",
                "- limit wall_time 1s, was unset",
                "+ limit fuel unset, was 5",
            ],
            id="limits",
        ),
        pytest.param(
            storage("fs://a read"),
            storage("fs://a read") + "\ntools: {t: {permissions: {}}}",
            ["- tool t: what its section doesn't name"],
            id="a section that takes all",
        ),
        pytest.param(
            storage("fs://a read") + "\ntools: {t: {" + storage("fs://a/b read") + "}}",
            storage("fs://a read") + "\ntools: {t: {" + storage("fs://a read,write") + "}}",
            ["+ tool t: read fs://a"],
            id="a section that takes less",
        ),
        pytest.param(
            storage("fs://a read"),
            storage("fs://a read") + "\ntools: {t: {" + storage("fs://a read,write") + "}}",
            [],
            id="a section that takes nothing",
        ),
    ],
)  # fmt: skip
def test_the_difference_is_one_of_rights(old: str, new: str, expected: list[str]) -> None:
    assert shown(old, new) == expected


def test_words_without_rights_make_no_difference() -> None:
    assert not difference(None, policy("description: a"))
    assert not difference(None, None)
    assert not difference(None, Policy(permissions=Permissions()))


def test_rules_that_are_too_entangled_are_all_named() -> None:
    few = [f"fs://a/{name} read" for name in ("x*a*y", "y*b*x", "*c*d*")]
    assert shown(storage("fs://a read"), storage("fs://a read", *few)) == [
        "+ read fs://a/*c*d*",
        "+ read fs://a/x*a*y",
        "+ read fs://a/y*b*x",
    ]


def test_large_policies_are_compared_in_bounded_time() -> None:
    rules = [f"fs:///a{n}/b/**/c{n} read" for n in range(200)]
    hosts = [f"{{host: a{n}.test, methods: [GET, M{'X' * (n % 20)}]}}" for n in range(200)]
    began = time.process_time()
    assert shown(storage(*rules), storage(*rules[1:])) == ["- read fs:///a0/b/**/c0"]
    assert len(shown(network(*hosts), network(*hosts[1:]))) == 1
    assert time.process_time() - began < 20


# --- laws -----------------------------------------------------------------------------------

SEGMENTS = st.lists(st.sampled_from([b"a", b"b", b"a*", b"*b", b"*", b"**"]), max_size=3)
MACHINES = st.builds(Pattern, SEGMENTS.map(tuple), st.booleans())


@given(
    st.lists(MACHINES, max_size=3),
    st.lists(st.sampled_from([b"a", b"b", b"ab", b"aab", b"ac", b"cb", b"c"]), max_size=4),
)
def test_every_path_matches_in_one_of_the_ways_found(
    machines: list[Pattern], path: list[bytes]
) -> None:
    patterns = dict(enumerate(machines))
    try:
        found = witnesses.ways(patterns)
    except witnesses.TooManyError:
        return
    assert frozenset(key for key, machine in patterns.items() if machine.matches(path)) in found


@given(POLICIES)
@settings(deadline=None)
def test_a_policy_does_not_differ_from_itself_in_any_form(policy: Policy) -> None:
    assert difference(policy, policy) == []
    assert difference(policy, normalised(policy)) == []
    assert difference(normalised(policy), policy) == []


@given(STORAGE, STORAGE)
@settings(max_examples=100, deadline=None)
def test_storage_differs_just_where_a_path_is_decided_differently(
    old: Storage, new: Storage
) -> None:
    policies = [Policy(permissions=Permissions(storage=storage)) for storage in (old, new)]
    before, after = (allowed(policy, requests=STORAGE_REQUESTS) for policy in policies)
    signs = {change.sign for change in difference(*policies)}
    assert ("+" in signs) is bool(after - before)
    assert ("-" in signs) is bool(before - after)


@given(CEILINGS, CEILINGS)
@settings(max_examples=40, deadline=None)
def test_what_is_decided_differently_is_a_difference_with_its_sign(
    old: Policy, new: Policy
) -> None:
    before, after = allowed(old), allowed(new)
    signs = {change.sign for change in difference(old, new) if "limit " not in change.text}
    assert "+" in signs or after <= before
    assert "-" in signs or before <= after


@given(POLICIES, POLICIES)
@settings(max_examples=40, deadline=None)
def test_what_a_tool_is_decided_differently_is_a_difference(old: Policy, new: Policy) -> None:
    for tool in ("fetch", "1"):
        if allowed(old, tool=tool) != allowed(new, tool=tool):
            assert difference(old, new)
