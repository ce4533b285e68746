"""Grants and revocations: just what was said, twice is once, and what is left is shown."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from policy.strategies import POLICIES, WORKSPACE, allowed
from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy.decision import Request, StorageRequest
from wassette_supervisor.policy.document import (
    EnvironmentRule,
    NetworkRule,
    Policy,
    Rule,
    StorageRule,
)
from wassette_supervisor.policy.edit import grant, reset, revoke
from wassette_supervisor.policy.numbering import numbered
from wassette_supervisor.policy.parsing import parse
from wassette_supervisor.policy.rules import Section, rule_from_words
from wassette_supervisor.policy.text import to_yaml

POLICY = parse(b"""\
version: "1.0"
description: kept
permissions:
  storage:
    allow:
    - {uri: "fs://wood/**", access: [read], description: also kept}
    - {uri: "fs:///data", access: [read]}
    deny: [{uri: "fs://wood/x", access: [write]}]
  network:
    allow: [{host: "*.x.test"}, {host: y.test, methods: [GET]}, {host: y.test, methods: [PUT]},
            {cidr: 10.0.0.0/8}, {host: shared}]
  environment: {allow: [{key: A, value: x}, {key: shared}]}
  resources: {limits: {memory: 64Mi, storage: {files: 3}}}
tools:
  t: {permissions: {storage: {allow: [{uri: "fs://wood", access: [read]}]}}}
""").policy


def texts(policy: Policy) -> list[str]:
    return [rule.text for rule in numbered(policy)]


def refusal(policy: Policy | None, which: int | str, section: Section | None = None) -> str:
    with pytest.raises(PolicyError) as caught:
        revoke(policy, which, section)
    return str(caught.value)


@pytest.mark.parametrize(
    ("section", "value", "access", "rule"),
    [
        ("storage", "fs://a", ["write", "read"], StorageRule("fs://a", ("read", "write"))),
        ("storage", "fs://a", ["read", "read"], StorageRule("fs://a", ("read",))),
        ("network", "HTTPS://A.test:443", [], NetworkRule("https://a.test")),
        ("environment-variable", "A", [], EnvironmentRule("A")),
    ],
)
def test_words_become_the_rule_that_a_file_would_have(
    section: Section, value: str, access: list[str], rule: Rule
) -> None:
    assert rule_from_words(section, value, access) == rule


@pytest.mark.parametrize(
    ("section", "value", "access", "message"),
    [
        ("storage", "fs://a", [], "the storage rule has no access; write read, write or both"),
        ("storage", "fs://a", ["all"], "access 'all' is none; write read or write"),
        ("storage", "/a", ["read"], "the storage URI '/a' doesn't begin with fs://; write fs:///a"),
        ("storage", "fs://a/../b", ["read"], "the storage URI 'fs://a/../b' has a segment '..'; "),
        ("network", "a.test/x", [], "the host 'a.test/x' has a path; write the host alone, and"),
        ("environment-variable", "A*", [], "the variable 'A*' is a pattern; name each variable"),
    ],
)
def test_words_that_say_nothing_exact_are_refused_as_in_a_file(
    section: Section, value: str, access: list[str], message: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        rule_from_words(section, value, access)
    assert str(caught.value).startswith(message)
    assert caught.value.line is None


def test_a_grant_for_the_same_folder_adds_its_access_to_the_rule_that_is_there() -> None:
    granted = grant(POLICY, StorageRule("fs://wood/", ("write",)))
    assert granted.permissions.storage.allow == (
        StorageRule("fs://wood/**", ("read", "write"), "also kept"),
        StorageRule("fs:///data", ("read",)),
    )
    assert granted.description == "kept"


def test_a_grant_to_a_component_without_a_policy_makes_one() -> None:
    granted = grant(None, EnvironmentRule("A"))
    assert texts(granted) == ["allow A, of the server"]
    assert parse(to_yaml(granted)).policy == granted


@pytest.mark.parametrize(
    "rule",
    [
        StorageRule("fs:///data/**", ("read",)),
        NetworkRule("*.x.test"),
        NetworkRule("y.test", methods=("GET",)),
        EnvironmentRule("A"),
        EnvironmentRule("A", "x"),
        EnvironmentRule("shared"),
    ],
)
def test_a_grant_of_what_is_granted_changes_nothing(rule: Rule) -> None:
    assert grant(POLICY, rule) == POLICY


def test_a_grant_does_not_change_a_value_behind_ones_back() -> None:
    for rule in (EnvironmentRule("A", "y"), EnvironmentRule("A", None, "S")):
        with pytest.raises(PolicyError, match="A is granted with another value; revoke that first"):
            grant(POLICY, rule)


@pytest.mark.parametrize(
    ("which", "section", "gone"),
    [
        ("fs://wood", None, {"allow read fs://wood/**"}),
        ("fs:///data/", "storage", {"allow read fs:///data"}),
        ("y.test", None, {"allow y.test; GET", "allow y.test; PUT"}),
        ("10.0.0.0/8", "network", {"allow addresses in 10.0.0.0/8"}),
        ("A", None, {"allow A, with a value of its own"}),
        ("shared", "environment-variable", {"allow shared, of the server"}),
        ("shared", "network", {"allow shared"}),
        (3, None, {"deny write fs://wood/x"}),
        (5, None, {"allow y.test; GET"}),
        (11, None, {"limit memory at most 64Mi"}),
        (12, None, {"limit storage.files at most 3"}),
        (13, None, {"tool t: allow read fs://wood"}),
    ],
)
def test_a_revoke_takes_just_what_it_names(
    which: int | str, section: Section | None, gone: set[str]
) -> None:
    assert set(texts(POLICY)) - set(texts(revoke(POLICY, which, section))) == gone


@pytest.mark.parametrize(
    ("which", "section", "message"),
    [
        (0, None, "there is no rule 0; there is rule 1 (allow read fs://wood/**), 2 (allow read "),
        (14, None, "there is no rule 14; there is rule 1 ("),
        (-1, None, "there is no rule -1; there is rule 1 ("),
        ("B", "environment-variable", "nothing allows just 'B'; there is rule 9 (allow A, with a"),
        ("A", "network", "nothing allows just 'A'; there is rule 4 (allow *.x.test), 5 ("),
        ("fs://other", None, "nothing allows just 'fs://other'; there is rule 1 ("),
        (
            "fs://wood/x",
            None,
            "'fs://wood/x' is allowed by a wider rule too; revoke by number; there is rule 1 (all",
        ),
        (
            "https://a.x.test",
            None,
            "'https://a.x.test' is allowed by a wider rule too; revoke by number; there is rule 4",
        ),
        ("shared", None, "'shared' is the name of several things; revoke by number; there is rul"),
        ("x\ny", None, r"nothing allows just 'x\\ny'; there is rule 1 ("),
    ],
)
def test_a_revoke_of_what_is_not_there_names_what_is(
    which: int | str, section: Section | None, message: str
) -> None:
    found = refusal(POLICY, which, section)
    assert found.startswith(message)
    assert len(found) < 700
    assert "\n" not in found


def test_a_revoke_that_would_not_be_enough_names_both_rules() -> None:
    granted = grant(POLICY, rule_from_words("storage", "fs://wood/a", ["read"]))
    assert "3 (allow read fs://wood/a)" in refusal(granted, "fs://wood/a")
    assert revoke(granted, 3) == POLICY


def test_there_is_nothing_to_revoke_of_nothing() -> None:
    assert refusal(None, 1) == "there is no rule 1; there is no rule to revoke"
    assert refusal(None, "A") == "nothing allows just 'A'; there is no rule to revoke"


def test_a_reset_policy_grants_nothing() -> None:
    assert texts(reset()) == []
    assert parse(to_yaml(reset())).policy == reset()


# --- laws -----------------------------------------------------------------------------------

WORDS: st.SearchStrategy[tuple[Section, str]] = st.sampled_from(
    [
        ("storage", "fs://a"),
        ("storage", "fs:///b/a*"),
        ("network", "x.test"),
        ("network", "https://*.x.test"),
        ("environment-variable", "C"),
    ]
)


@given(POLICIES, WORDS, st.sampled_from([["read"], ["read", "write"]]))
@settings(max_examples=50, deadline=None)
def test_a_grant_allows_no_less_and_revoking_it_gives_back_the_rights_before(
    policy: Policy, words: tuple[Section, str], access: list[str]
) -> None:
    section, value = words
    rule = rule_from_words(section, value, access)
    granted = grant(policy, rule)
    assert grant(granted, rule) == granted
    assert allowed(policy) <= allowed(granted)
    assume(len(numbered(granted)) > len(numbered(policy)))  # else it was there already
    number = next(
        found.number
        for found in numbered(granted)
        if found.where.tool is None and found.kind == "allow" and found.rule == rule
        and found.where.which == len(getattr(granted.permissions, found.section).allow) - 1
    )  # fmt: skip
    assert revoke(granted, number) == policy


@given(POLICIES, st.data())
@settings(deadline=None)
def test_a_folder_revoked_by_its_name_is_not_allowed_any_more(
    policy: Policy, data: st.DataObject
) -> None:
    folder = data.draw(st.sampled_from(["fs://a", "fs://a/b", "fs:///b"]))
    granted = grant(policy, rule_from_words("storage", folder, ["read", "write"]))
    path = folder.replace("fs:///", "/").replace("fs://", f"{WORKSPACE}/")
    requests: list[Request] = [StorageRequest(path, "read"), StorageRequest(path, "write")]
    try:
        after = revoke(granted, folder, "storage")
    except PolicyError as error:
        assert "wider rule" in error.what  # noqa: PT017 - the other outcome is below
    else:
        assert not allowed(after, requests=requests)
