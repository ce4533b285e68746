"""What of a policy the ceiling takes away is told, all of it and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.strategies import NETWORK, NETWORK_REQUESTS, allowed
from wassette_supervisor.policy.ceiling import beyond
from wassette_supervisor.policy.decision import Allowed, Request, StorageRequest, decide
from wassette_supervisor.policy.document import Network, Permissions, Policy
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


def network(allow: str, deny: str = "") -> str:
    return f"network: {{allow: [{allow}], deny: [{deny}]}}"


PART = "the operator's ceiling allows only a part of it"
# What the policy allows; what the ceiling allows, and denies; what is told.
HOSTS = [
    ("{host: a.example}", "{host: a.example}", "", None),
    ("{host: a.example}", "{host: '*.example'}", "", None),
    ("{host: a.example}", "{host: '*'}", "", None),
    ("{host: 'https://a.example'}", "{host: a.example}", "", None),
    ("{host: '*.b.example'}", "{host: '*.example'}", "", None),
    ("{host: 'https://a.example:81'}", "{host: 'a.example:81'}", "", None),
    ("{host: a.example, methods: [GET]}", "{host: a.example, methods: [GET, PUT]}", "", None),
    ("{host: a.example, paths: [/a/b]}", "{host: a.example, paths: [/a/**]}", "", None),
    ("{host: a.example}", "{host: a.example}", "{host: b.example}", None),
    ("{host: a.example}", "{host: a.example}", "{host: 'a.example:81'}", None),
    ("{cidr: 10.1.0.0/16}", "{cidr: 10.0.0.0/8}", "", None),
    ("{host: 10.1.0.1}", "{cidr: 10.0.0.0/8}", "", None),
    ("{host: 'https://10.1.0.1:443'}", "{cidr: 10.0.0.0/8}", "", None),
    ("{cidr: 10.1.0.0/16}", "{cidr: 10.0.0.0/8}", "{cidr: 11.0.0.0/8}", None),
    ("{host: a.example}", "", "", NO),
    ("{host: a.example}", "{host: b.example}", "", NO),
    ("{host: a.example}", "{host: '*.a.example'}", "", NO),
    ("{host: 'a.example:81'}", "{host: a.example}", "", NO),
    ("{host: 'http://a.example'}", "{host: 'https://a.example'}", "", NO),
    ("{host: '*.a.example'}", "{host: '*.b.example'}", "", NO),
    ("{host: a.example, methods: [PUT]}", "{host: a.example, methods: [GET]}", "", NO),
    ("{host: localhost}", "{host: '*'}", "", NO),
    ("{host: 10.0.0.1}", "{host: '*'}", "", NO),
    ("{host: a.example}", "{cidr: 0.0.0.0/0}", "", NO),
    ("{cidr: 10.0.0.0/8}", "{host: '*'}", "", NO),
    ("{cidr: 10.0.0.0/8}", "{cidr: 11.0.0.0/8}", "", NO),
    ("{cidr: 10.0.0.0/8}", "{cidr: 'fd00::/8'}", "", NO),
    ("{host: a.example}", "{host: 'https://a.example'}", "", PART),
    ("{host: '*'}", "{host: a.example}", "", PART),
    ("{host: '*.example'}", "{host: '*.a.example'}", "", PART),
    ("{host: a.example}", "{host: a.example, methods: [GET]}", "", PART),
    ("{host: a.example, methods: [GET, PUT]}", "{host: a.example, methods: [GET]}", "", PART),
    ("{host: a.example}", "{host: a.example, paths: [/a]}", "", PART),
    ("{host: a.example, paths: [/a, /b]}", "{host: a.example, paths: [/a]}", "", PART),
    ("{host: '10.0.0.1:81'}", "{host: '10.0.0.1:81'}", "{cidr: 10.0.0.0/8}", PART),
    ("{cidr: 10.0.0.0/8}", "{cidr: 10.1.0.0/16}", "", PART),
    ("{cidr: 10.0.0.0/8}", "{host: 10.0.0.1}", "", PART),
    ("{cidr: 10.0.0.0/8}", "{cidr: 10.0.0.0/8}", "{host: 10.0.0.1}", PART),
    ("{host: a.example}", "{host: a.example}", "{host: a.example}", PART),
    ("{host: '*.example'}", "{host: '*.example'}", "{host: a.example}", PART),
    ("{host: a.example}", "{host: a.example}", "{host: 'http://*'}", PART),
]


@pytest.mark.parametrize(("allow", "above", "denied", "told"), HOSTS)
def test_what_the_ceiling_takes_of_requests_is_told(
    allow: str, above: str, denied: str, told: str | None
) -> None:
    right = rights(network(allow), network(above, denied))
    (rule, _), *_ = right.policy.network_allow
    expected = [] if told is None else [f"requests to {rule.text.removeprefix('allow ')}: {told}"]
    assert beyond(right) == expected


@given(NETWORK, NETWORK)
@settings(max_examples=300, deadline=None)
def test_of_a_rule_that_is_told_to_give_nothing_or_all_it_is_so(
    own: Network, above: Network
) -> None:
    alone = Policy(permissions=Permissions(network=Network(own.allow[:1])))
    ceiling = Policy(permissions=Permissions(network=above))
    right = effective(alone, None, ceiling, None)
    told = beyond(right)
    both = allowed(alone, ceiling=ceiling, requests=NETWORK_REQUESTS)
    if not told:
        assert both == allowed(alone, requests=NETWORK_REQUESTS)
    elif told[0].endswith(NO):
        assert not both


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
