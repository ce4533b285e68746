"""Decisions: the matrix of allow and deny, the three layers, and the laws that hold for all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.strategies import (
    CEILINGS,
    HOST_RULES,
    POLICIES,
    STORAGE_REQUESTS,
    URIS,
    WORKSPACE,
    allowed,
    storage_rules,
)
from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy.decision import (
    Allowed,
    Denied,
    EnvironmentRequest,
    NetworkRequest,
    Request,
    StorageRequest,
    decide,
)
from wassette_supervisor.policy.document import (
    Access,
    NetworkRule,
    Permissions,
    Policy,
    Storage,
    StorageRule,
)
from wassette_supervisor.policy.effective import effective
from wassette_supervisor.policy.normal import normalised
from wassette_supervisor.policy.parsing import parse, parse_ceiling

if TYPE_CHECKING:
    from wassette_supervisor.policy.decision import Decision


def policy(permissions: str) -> Policy:
    return parse(f'version: "1.0"\npermissions: {{{permissions}}}'.encode()).policy


def decision(permissions: str, request: Request) -> Decision:
    return decide(effective(policy(permissions), None, None, WORKSPACE), request)


STORAGE = """storage: {
  allow: [{uri: fs://desk, access: [read, write]}, {uri: "fs:///data/*.csv", access: [read]},
          {uri: "fs:///logs/**/x", access: [write]}],
  deny: [{uri: "fs://desk/**/.env", access: [read, write]}, {uri: "fs://desk/ro", access: [write]}]
}"""


@pytest.mark.parametrize(
    ("path", "access", "rule"),
    [
        ("/w/desk", "read", 1),
        ("/w/desk/a/b", "write", 1),
        ("/w/desk/.envrc", "read", 1),
        ("/w/desk/ro/a", "read", 1),
        ("/data/a.csv", "read", 2),
        ("/data/.csv", "read", 2),
        ("/logs/x", "write", 3),
        ("/logs/a/b/x/c", "write", 3),
        (b"/w/desk/\xff", "read", 1),
        ("/w/desk/\udcff", "read", 1),
    ],
)
def test_a_path_is_allowed_by_a_rule(path: str | bytes, access: Access, rule: int) -> None:
    found = decision(STORAGE, StorageRequest(path, access))
    assert isinstance(found, Allowed)
    assert found.rule.number == rule


@pytest.mark.parametrize(
    ("path", "access", "rule"),
    [
        ("/w/desk/.env", "read", 4),
        ("/w/desk/a/.env", "write", 4),
        ("/w/desk/.env/below", "read", 4),
        ("/w/desk/ro", "write", 5),
        ("/w/desk/ro/a", "write", 5),
        ("/w", "read", None),
        ("/w/desktop", "read", None),
        ("/w/WORK", "read", None),
        ("/desk", "read", None),
        ("/data", "read", None),
        ("/data/a.csv/b", "read", None),
        ("/data/a.csv", "write", None),
        ("/logs/a/x", "read", None),
        ("/w/desk/../secret", "read", None),
        ("/w/desk/./a", "read", None),
        ("/w/desk//a", "read", None),
        ("/w/desk/", "read", None),
        ("w/desk/a", "read", None),
        ("/w/desk/a\0", "read", None),
        ("", "read", None),
        ("/w/desk/\ud800", "read", None),
    ],
    ids=ascii,
)
def test_a_path_is_denied_by_a_rule_or_by_none(path: str, access: Access, rule: int | None) -> None:
    found = decision(STORAGE, StorageRequest(path, access))
    assert isinstance(found, Denied)
    assert (found.rule and found.rule.number) == rule


NETWORK = """network: {
  allow: [{host: api.example}, {host: "https://*.cdn.example:8443", methods: [GET]},
          {host: "https://v.example", paths: ["/v1/**", /exact]}, {cidr: 10.0.0.0/8},
          {host: localhost:8080}, {host: "https://b\\xfccher.example"}, {host: "*.example"}],
  deny: [{host: "*.evil.example"}, {cidr: 10.1.0.0/16}, {host: "[::1]"}]
}"""


@pytest.mark.parametrize(
    ("request_", "rule"),
    [
        (NetworkRequest("api.example"), 1),
        (NetworkRequest("API.Example."), 1),
        (NetworkRequest("api.example", "http"), 1),
        (NetworkRequest("api.example", method="get"), 1),
        (NetworkRequest("a.b.cdn.example", port=8443), 2),
        (NetworkRequest("v.example", path="/v1/a/b?q=/../"), 3),
        (NetworkRequest("v.example", path="/v1"), 3),
        (NetworkRequest("v.example", path="/exact"), 3),
        (NetworkRequest("v.example", path="/v2"), 7),
        (NetworkRequest("v.example", path="/v1/%2e%2e/a"), 7),
        (NetworkRequest("10.2.3.4", "http"), 4),
        (NetworkRequest("[::ffff:10.2.3.4]"), 4),
        (NetworkRequest("localhost", "http", 8080), 5),
        (NetworkRequest("xn--bcher-kva.example"), 6),
        (NetworkRequest("bücher.example"), 6),
    ],
)
def test_a_request_is_allowed_by_a_rule(request_: NetworkRequest, rule: int) -> None:
    found = decision(NETWORK, request_)
    assert isinstance(found, Allowed)
    assert found.rule.number == rule


@pytest.mark.parametrize(
    ("request_", "rule"),
    [
        (NetworkRequest("x.evil.example"), 8),
        (NetworkRequest("x.evil.example", "http", 99), 8),
        (NetworkRequest("10.1.2.3"), 9),
        (NetworkRequest("[::ffff:10.1.2.3]"), 9),
        (NetworkRequest("[0::1]"), 10),
        (NetworkRequest("example"), None),
        (NetworkRequest("api.example", port=8443), None),
        (NetworkRequest("api.example", "http", 443), None),
        (NetworkRequest("api.example", method="CONNECT"), None),
        (NetworkRequest("api.example", method="TRACE"), None),
        (NetworkRequest("api.example", path="*"), None),
        (NetworkRequest("api.example", path="/#x"), None),
        (NetworkRequest("x.cdn.example", port=8443, method="HEAD"), None),
        (NetworkRequest("x.cdn.example", "http", 8443), None),
        (NetworkRequest("10.2.3.4", port=22), None),
        (NetworkRequest("0x0a020304"), None),
        (NetworkRequest("10.2.772"), None),
        (NetworkRequest("11.0.0.1"), None),
        (NetworkRequest("localhost"), None),
        (NetworkRequest("user@api.example"), None),
        (NetworkRequest("api.example:443"), None),
        (NetworkRequest("api.example/"), None),
        (NetworkRequest("*.example"), None),
        (NetworkRequest("*"), None),
        (NetworkRequest(""), None),
        (NetworkRequest("\ud800"), None),
        (msgspec.structs.replace(NetworkRequest("api.example"), scheme="ftp"), None),
    ],
    ids=repr,
)
def test_a_request_is_denied_by_a_rule_or_by_none(
    request_: NetworkRequest, rule: int | None
) -> None:
    found = decision(NETWORK, request_)
    assert isinstance(found, Denied)
    assert (found.rule and found.rule.number) == rule


@pytest.mark.parametrize(
    "path", ["/v1/../a", "/v1/%2e%2e/a", "/v1/.%2E", "/v1/a%2fb", "/v1/a%5Cb", "/v1/a\\b", "/v1/."]
)
def test_a_path_that_servers_read_differently_matches_no_rule_with_paths(path: str) -> None:
    rule = "network: {allow: [{host: a.example, paths: [/**]}]}"
    assert isinstance(decision(rule, NetworkRequest("a.example", path="/v1/a")), Allowed)
    assert isinstance(decision(rule, NetworkRequest("a.example", path=path)), Denied)


def test_a_variable_is_allowed_by_its_name_alone() -> None:
    found = decision("environment: {allow: [{key: A}]}", EnvironmentRequest("A"))
    assert isinstance(found, Allowed)
    for key in ("B", "a", "A*", "", "A\0"):
        found = decision("environment: {allow: [{key: A}]}", EnvironmentRequest(key))
        assert found == Denied("no rule of the policy allows this variable")


def test_a_denial_names_the_layer_and_no_word_of_the_request() -> None:
    granted = parse(
        b"version: '1.0'\npermissions: {storage: {allow: [{uri: fs:///a, access: [read]}]}}\n"
        b"tools: {t: {permissions: {storage: {allow: [{uri: fs:///a/b, access: [read]}]}}}}"
    ).policy
    ceiling = parse_ceiling(
        b"version: '1.0'\npermissions: {storage: {allow: [{uri: fs:///, access: [read]}],"
        b" deny: [{uri: 'fs:///**/c', access: [read]}]}}"
    ).policy

    def reason(path: str, tool: str | None) -> str | None:
        found = decide(effective(granted, tool, ceiling, None), StorageRequest(path, "read"))
        return found.reason if isinstance(found, Denied) else None

    assert reason("/a/x", None) is None
    assert reason("/a/b/x", "t") is None
    assert reason("/a/x", "unknown tool") is None
    assert reason("/b", None) == "no rule of the policy allows to read there"
    assert reason("/a/x", "t") == (
        "no rule of the policy's section for the tool t allows to read there"
    )
    assert reason("/a/c", None) == "rule 2 of the operator's ceiling denies it"


def test_without_a_policy_nothing_is_allowed() -> None:
    assert not allowed(None)
    assert not allowed(Policy())


def test_a_rule_below_the_workspace_needs_one() -> None:
    granted = policy(STORAGE)
    with pytest.raises(PolicyError, match=r"rule 1 \(allow read, write fs://desk\) is below the"):
        effective(granted, None, None, None)
    with pytest.raises(PolicyError, match="no canonical absolute path"):
        effective(granted, None, None, "relative")


def test_a_workspace_with_a_star_in_its_name_is_that_folder_alone() -> None:
    rights = effective(policy(STORAGE), None, None, "/w*")
    assert isinstance(decide(rights, StorageRequest("/w*/desk/a", "read")), Allowed)
    assert isinstance(decide(rights, StorageRequest("/wide/desk/a", "read")), Denied)


def test_the_time_of_a_decision_does_not_explode() -> None:
    pattern = "/".join(["**", "*a*a*a*b"] * 50)
    rules = ", ".join(f"{{uri: 'fs:///{n}/{pattern}', access: [read]}}" for n in range(20))
    rights = effective(policy(f"storage: {{allow: [{rules}]}}"), None, None, None)
    began = time.process_time()
    decide(rights, StorageRequest("/1/" + "/".join(["aaaaaaa"] * 500), "read"))
    assert time.process_time() - began < 5


# --- laws -----------------------------------------------------------------------------------


def with_storage(policy: Policy, storage: Storage) -> Policy:
    permissions = msgspec.structs.replace(policy.permissions, storage=storage)
    return msgspec.structs.replace(policy, permissions=permissions)


@given(POLICIES, storage_rules(URIS))
@settings(max_examples=50, deadline=None)
def test_what_a_rule_denies_is_denied_whatever_else_is_allowed(
    policy: Policy, rule: StorageRule
) -> None:
    before = policy.permissions.storage
    denied = with_storage(policy, Storage((*before.allow, rule), (*before.deny, rule)))
    alone = with_storage(Policy(), Storage((rule,), ()))
    still = allowed(denied, requests=STORAGE_REQUESTS)
    assert not still & allowed(alone, requests=STORAGE_REQUESTS)
    assert still <= allowed(policy, requests=STORAGE_REQUESTS)


@given(POLICIES, storage_rules(URIS), HOST_RULES)
@settings(max_examples=30, deadline=None)
def test_a_further_allow_never_allows_less(
    policy: Policy, storage: StorageRule, host: NetworkRule
) -> None:
    before = policy.permissions
    after = msgspec.structs.replace(
        before,
        storage=Storage((*before.storage.allow, storage), before.storage.deny),
        network=msgspec.structs.replace(before.network, allow=(*before.network.allow, host)),
    )
    assert allowed(policy) <= allowed(msgspec.structs.replace(policy, permissions=after))


@given(POLICIES, CEILINGS, st.sampled_from([None, "fetch", "1"]))
@settings(max_examples=50, deadline=None)
def test_tool_and_ceiling_only_lower_and_are_the_intersection(
    policy: Policy, ceiling: Policy, tool: str | None
) -> None:
    section = policy.tools.get(tool or "")
    found = allowed(policy, tool=tool, ceiling=ceiling)
    whole = allowed(policy) & allowed(ceiling)
    assert found == (whole & allowed(Policy(permissions=section)) if section else whole)


def reversed_permissions(permissions: Permissions) -> Permissions:
    storage, network = permissions.storage, permissions.network
    return msgspec.structs.replace(
        permissions,
        storage=Storage(storage.allow[::-1], storage.deny[::-1]),
        network=msgspec.structs.replace(
            network, allow=network.allow[::-1], deny=network.deny[::-1]
        ),
    )


@given(POLICIES)
@settings(max_examples=50, deadline=None)
def test_order_and_form_of_the_rules_change_no_decision(policy: Policy) -> None:
    turned = msgspec.structs.replace(policy, permissions=reversed_permissions(policy.permissions))
    once = normalised(policy)
    assert normalised(turned) == once
    assert normalised(once) == once
    assert allowed(policy) == allowed(turned) == allowed(once)


@given(POLICIES, st.text(max_size=20), st.text(max_size=20), st.integers(-1, 70_000))
@settings(max_examples=50, deadline=None)
def test_every_request_is_decided(policy: Policy, text: str, other: str, port: int) -> None:
    rights = effective(policy, None, None, WORKSPACE)
    for request in (
        StorageRequest(text, "read"),
        StorageRequest(text.encode("utf-8", "surrogatepass"), "write"),
        NetworkRequest(text, port=port, method=other, path=other),
        EnvironmentRequest(text),
    ):
        assert isinstance(decide(rights, request), Allowed | Denied)
