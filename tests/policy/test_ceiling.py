"""What of a policy the ceiling takes away is told, all of it and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wassette_supervisor.policy.ceiling import beyond
from wassette_supervisor.policy.decision import Allowed, Request, StorageRequest, decide
from wassette_supervisor.policy.effective import Effective, effective, environment
from wassette_supervisor.policy.parsing import parse, parse_ceiling

PLACES = ("/a", "/a/b", "/a/b/c", "/d")


def storage(*rules: str) -> str:
    listed = ", ".join(
        f"{{uri: 'fs://{path}', access: [{access}]}}" for path, access in map(str.split, rules)
    )
    return f"storage: {{allow: [{listed}]}}"


def rights(policy: str, ceiling: str | None, tool: str | None = None) -> Effective:
    section = f"\ntools: {{t: {{permissions: {{{tool}}}}}}}" if tool is not None else ""
    text = f"version: '1.0'\npermissions: {{{policy}}}{section}"
    above = f"version: '1.0'\npermissions: {{{ceiling}}}"
    return effective(
        parse(text.encode()).policy,
        "t",
        None if ceiling is None else parse_ceiling(above.encode()).policy,
        None,
    )


NO = "the operator's ceiling doesn't allow it"
ROWS = [
    pytest.param(storage("/a read"), None, [], id="no ceiling"),
    pytest.param(storage("/a read"), storage("/a read,write"), [], id="within"),
    pytest.param(storage("/a/b read"), storage("/a read"), [], id="within one above"),
    pytest.param(storage("/a read"), storage("/d read"), [f"files /a: {NO}"], id="beside"),
    pytest.param(
        storage("/a read,write"),
        storage("/a read"),
        ["files /a: the operator's ceiling allows it to be read only"],
        id="less access",
    ),
    pytest.param(
        storage("/a/b read,write"),
        storage("/a read"),
        ["files /a/b: the operator's ceiling allows it to be read only"],
        id="less access to one above",
    ),
    pytest.param(storage("state read"), storage("state read,write"), [], id="own within"),
    pytest.param(
        storage("state read,write"),
        storage("state read"),
        ["fs://state: the operator's ceiling allows it to be read only"],
        id="own less access",
    ),
    pytest.param(storage("state read"), storage("/ read"), [f"fs://state: {NO}"], id="own beside"),
    pytest.param(
        storage("/a read"),
        storage("/a/b read", "/a/c read"),
        ["files /a: the operator's ceiling allows only /a/b, /a/c of it"],
        id="parts",
    ),
    pytest.param(storage("/a/*.md read"), storage("/a read"), [], id="pattern within"),
    pytest.param(
        storage("/a/*.md read"), storage("/d read"), [f"files /a/*.md: {NO}"], id="pattern beside"
    ),
    pytest.param(
        storage("/a/*/** read"),
        storage("/a/b read"),
        ["files /a/*/**: the operator's ceiling allows only /a/b of it"],
        id="part of a pattern",
    ),
    pytest.param(
        storage("/a read"),
        storage("/a/**/x read"),
        ["files /a: the operator's ceiling allows only a part of it"],
        id="pattern of the ceiling",
    ),
    pytest.param(
        storage("/a read"),
        storage("/a read").replace("}]}", "}], deny: [{uri: 'fs:///**/.env', access: [read]}]}"),
        ["files /a: the operator's ceiling allows only a part of it"],
        id="deny of the ceiling",
    ),
    pytest.param(
        storage("/a read") + ", resources: {limits: {storage: {file: 2Ki, files: 3}}}",
        storage("/a read") + ", resources: {limits: {storage: {file: 1Ki, files: 3}}}",
        ["limit storage.file: the operator's ceiling allows 1Ki at most"],
        id="limit on files",
    ),
    pytest.param(
        "environment: {allow: [{key: A}, {key: B}]}",
        "environment: {allow: [{key: B}]}",
        [f"variable A: {NO}"],
        id="variable",
    ),
    pytest.param(
        "resources: {limits: {memory: 2Mi, fuel: 5}}",
        "resources: {limits: {memory: 1Mi, fuel: 5}}",
        ["limit memory: the operator's ceiling allows 1Mi at most"],
        id="limit",
    ),
]


@pytest.mark.parametrize(("policy", "ceiling", "told"), ROWS)
def test_what_the_ceiling_takes_is_told(policy: str, ceiling: str | None, told: list[str]) -> None:
    assert beyond(rights(policy, ceiling)) == told


def test_what_the_section_of_a_tool_takes_is_no_matter_of_the_ceiling() -> None:
    policy = f"{storage('/a read')}, environment: {{allow: [{{key: A}}]}}"
    assert beyond(rights(policy, "", tool="")) == []


_RULES = st.lists(
    st.tuples(st.sampled_from(PLACES), st.sampled_from(["read", "read,write"])), max_size=3
)
_KEYS = st.sets(st.sampled_from("ABC"))


def _written(rules: list[tuple[str, str]], keys: set[str]) -> str:
    named = ", ".join(f"{{key: {key}}}" for key in sorted(keys))
    return f"{storage(*map(' '.join, rules))}, environment: {{allow: [{named}]}}"


@given(_RULES, _KEYS, _RULES, _KEYS)
def test_something_is_told_exactly_if_the_ceiling_takes_something(
    rules: list[tuple[str, str]], keys: set[str], above: list[tuple[str, str]], ceiling: set[str]
) -> None:
    policy = _written(dict(rules).items(), keys)  # type: ignore[arg-type]  # one access a place
    without, within = rights(policy, None), rights(policy, _written(above, ceiling))
    both = ((path, access) for path in (*PLACES, "/a/x") for access in ("read", "write"))
    requests: list[Request] = [StorageRequest(path, access) for path, access in both]  # type: ignore[arg-type]  # these two words

    def allows(right: Effective) -> list[bool]:
        return [isinstance(decide(right, each), Allowed) for each in requests]

    whole = allows(without), environment(without)
    left = allows(within), environment(within)
    assert (beyond(within) == []) == (whole == left)
