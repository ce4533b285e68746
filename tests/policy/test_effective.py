"""What a call is given at last: folders, variables and limits of all layers together."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.strategies import FOLDER_URIS, STATE_URIS, WORKSPACE, storage_rules
from wassette_protocol.capabilities import Limits
from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy.decision import Allowed, StateRequest, StorageRequest, decide
from wassette_supervisor.policy.directories import GrantedDirectory, anchors, directories
from wassette_supervisor.policy.document import (
    Access,
    EnvironmentRule,
    Permissions,
    Policy,
    Storage,
    StorageRule,
)
from wassette_supervisor.policy.effective import (
    Effective,
    Path,
    effective,
    environment,
    limits,
    state,
    storage_limits,
)
from wassette_supervisor.policy.exact import Kind, why_exact
from wassette_supervisor.policy.parsing import parse, parse_ceiling


def storage(*rules: str) -> str:
    listed = ", ".join(
        f"{{uri: '{uri}', access: [{access}]}}" for uri, access in (rule.split() for rule in rules)
    )
    return f"storage: {{allow: [{listed}]}}"


def rights(policy: str, tool: str | None = None, ceiling: str | None = None) -> Effective:
    tools = f"\ntools: {{t: {{permissions: {{{tool}}}}}}}" if tool is not None else ""
    text = f"version: '1.0'\npermissions: {{{policy}}}{tools}"
    above = f"version: '1.0'\npermissions: {{{ceiling}}}"
    return effective(
        parse(text.encode()).policy,
        "t",
        parse_ceiling(above.encode()).policy if ceiling is not None else None,
        WORKSPACE,
    )


def whole_folders(right: Effective) -> list[GrantedDirectory]:
    return directories(right, anchors(right))


# --- folders --------------------------------------------------------------------------------


def test_a_folder_of_the_workspace_has_its_name_and_an_absolute_one_its_path() -> None:
    assert whole_folders(rights(storage("fs://a/b/** read,write", "fs:///c/ read"))) == [
        GrantedDirectory("/c", "/c", writable=False),
        GrantedDirectory("a/b", "/w/a/b", writable=True),
    ]
    assert whole_folders(rights(storage("fs:/// read"))) == [
        GrantedDirectory("/", "/", writable=False)
    ]


@pytest.mark.parametrize(
    ("policy", "tool", "ceiling", "expected"),
    [
        pytest.param(
            ["fs:///a/b read,write"], None, ["fs:///a/** read"], ["/a/b r"], id="ceiling above"
        ),
        pytest.param(
            ["fs:///a read,write"], None, ["fs:///a/b read"], ["/a/b r"], id="ceiling below"
        ),
        pytest.param(["fs:///a read"], None, ["fs:///b read"], [], id="ceiling beside"),
        pytest.param(["fs:///a read"], None, [], [], id="ceiling that allows nothing"),
        pytest.param(
            ["fs:///a read,write"],
            ["fs:///a/b read,write"],
            ["fs:///a/b/c read", "fs:///a/d read"],
            ["/a/b/c r"],
            id="three layers",
        ),
        pytest.param(
            ["fs:///a read", "fs:///a/ read,write"], None, None, ["/a w"], id="union of one path"
        ),
        pytest.param(
            ["fs:///a read,write", "fs:///a/b read"], None, None, ["/a w"], id="redundant"
        ),
        pytest.param(
            ["fs:///a read", "fs:///ab read,write"], None, None, ["/a r", "/ab w"], id="beside"
        ),
        pytest.param(
            ["fs:///w/a read", "fs://a read"], None, None, ["/w/a r", "a r"], id="two names"
        ),
        pytest.param(
            ["fs:///a read,write"],
            None,
            ["fs:///a/b read", "fs:///a/b/c read,write", "fs:///a read,write"],
            ["/a w"],
            id="redundant in the ceiling",
        ),
        pytest.param(
            ["fs:///a read", "fs:///a/b read,write"],
            None,
            ["fs:/// read"],
            ["/a r"],
            id="made equal by the ceiling",
        ),
        pytest.param(
            ["fs://a read"], None, ["fs:///w/a/b read"], ["a/b r"], id="named as the policy does"
        ),
    ],
)
def test_folders_are_the_intersection_of_the_layers(
    policy: list[str], tool: list[str] | None, ceiling: list[str] | None, expected: list[str]
) -> None:
    section = storage(*tool) if tool is not None else None
    above = storage(*ceiling) if ceiling is not None else None
    found = whole_folders(rights(storage(*policy), section, above))
    shown = sorted(f"{entry.guest_path} {'w' if entry.writable else 'r'}" for entry in found)
    assert shown == expected


RULES = st.lists(
    storage_rules(FOLDER_URIS).map(lambda rule: StorageRule(rule.uri, ("read", *rule.access[1:]))),
    max_size=3,
)


@given(RULES, RULES, FOLDER_URIS, st.sampled_from(["read", "write"]))
@settings(max_examples=200, deadline=None)
def test_folders_give_what_is_decided_and_nothing_more(
    own: list[StorageRule], above: list[StorageRule], uri: str, access: Access
) -> None:
    policy, ceiling = (
        Policy(permissions=Permissions(Storage(tuple(rules)))) for rules in (own, above)
    )
    together = effective(policy, None, ceiling, WORKSPACE)
    path = uri.replace("fs:///", "/").replace("fs://", f"{WORKSPACE}/")
    kinds: dict[Path, Kind] = {anchor.path: "directory" for anchor in anchors(together)}
    why = why_exact(together, anchors(together), kinds, plain_writes=True)
    if why is not None:
        assert "has another access" in why
        return
    found = whole_folders(together)
    granted = any(
        f"{path}/".startswith(f"{entry.host_path}/") and (entry.writable or access == "read")
        for entry in found
    )
    decided = decide(together, StorageRequest(path, access), shield=False)
    assert granted is isinstance(decided, Allowed)
    assert len({entry.guest_path for entry in found}) == len(found)


# --- the component's own folder -------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "tool", "ceiling", "expected"),
    [
        pytest.param(["fs://state read,write"], None, None, "read write", id="the policy alone"),
        pytest.param(
            ["fs://state read", "fs://state/ write"], None, None, "read write", id="union"
        ),
        pytest.param(["fs://state read,write"], ["fs://state/** read"], None, "read", id="tool"),
        pytest.param(["fs://state read,write"], [], None, "", id="tool without it"),
        pytest.param(["fs://state read,write"], None, ["fs://state read"], "read", id="ceiling"),
        pytest.param(["fs://state read"], None, ["fs://state write"], "", id="nothing in common"),
        pytest.param(["fs://state write"], None, None, "", id="never without read"),
        pytest.param(["fs://state read"], None, ["fs:/// read,write"], "", id="no path means it"),
        pytest.param(
            ["fs:/// read,write"], None, ["fs://state read"], "", id="nor any of a policy"
        ),
        pytest.param(["fs:///state read"], None, None, "", id="an absolute path is none"),
    ],
)
def test_the_own_folder_is_given_as_all_layers_give_it(
    policy: list[str], tool: list[str] | None, ceiling: list[str] | None, expected: str
) -> None:
    section = storage(*tool) if tool is not None else None
    above = storage(*ceiling) if ceiling is not None else None
    found = state(rights(storage(*policy), section, above))
    assert found == frozenset(expected.split())


STATE_RULES = st.lists(storage_rules(STATE_URIS | FOLDER_URIS), max_size=3).map(tuple)
STATE_STORAGE = st.builds(Storage, STATE_RULES, STATE_RULES)


@given(STATE_STORAGE, STATE_STORAGE, st.none() | STATE_STORAGE)
@settings(max_examples=200, deadline=None)
def test_the_own_folder_gives_what_is_decided_and_nothing_more(
    own: Storage, above: Storage, section: Storage | None
) -> None:
    tools = {} if section is None else {"t": Permissions(section)}
    policy, ceiling = Policy(permissions=Permissions(own), tools=tools), Permissions(above)
    together = effective(policy, "t", Policy(permissions=ceiling), WORKSPACE)
    accesses: list[Access] = ["read", "write"]
    decided = {a for a in accesses if isinstance(decide(together, StateRequest(a)), Allowed)}
    assert state(together) == (decided if "read" in decided else set())


# --- variables ------------------------------------------------------------------------------


def test_a_variable_has_the_value_of_the_policy_where_all_layers_name_it() -> None:
    rules = (
        "environment: {allow: [{key: A, value: x}, {key: B}, {key: C, value_from: {secret: S}}]}"
    )
    only = "environment: {{allow: [{}]}}".format
    assert environment(rights(rules)) == [
        EnvironmentRule("A", "x"),
        EnvironmentRule("B"),
        EnvironmentRule("C", None, "S"),
    ]
    section, ceiling = only("{key: A}, {key: B}, {key: D}"), only("{key: C}, {key: A}")
    assert environment(rights(rules, section, ceiling)) == [EnvironmentRule("A", "x")]
    assert environment(rights(rules, "")) == []
    assert environment(effective(None, None, None, None)) == []


# --- limits ---------------------------------------------------------------------------------

DEFAULTS = Limits(fuel=100, memory=100 << 20, wall_time_ms=100)


@pytest.mark.parametrize(
    ("policy", "tool", "ceiling", "memory"),
    [
        (None, None, None, 100),
        ("50Mi", None, None, 50),
        ("200Mi", None, None, 200),
        ("200Mi", "150Mi", None, 150),
        ("200Mi", "150Mi", "120Mi", 120),
        (None, "150Mi", "120Mi", 100),
        (None, None, "50Mi", 50),
        ("200Mi", "300Mi", "300Mi", 200),
    ],
)
def test_a_limit_is_that_of_the_policy_and_lowered_by_the_others(
    policy: str | None, tool: str | None, ceiling: str | None, memory: int
) -> None:
    layers = [
        f"resources: {{limits: {{memory: {value}}}}}" if value else None
        for value in (policy, tool, ceiling)
    ]
    found = limits(rights(layers[0] or "", layers[1], layers[2]), DEFAULTS, {})
    assert found == msgspec.structs.replace(DEFAULTS, memory=memory << 20)


def test_all_limits_that_are_enforced_are_taken() -> None:
    text = "resources: {limits: {memory: 1Mi, wall_time: 2s, fuel: 3, output: 4Ki}}"
    found = limits(rights(text), DEFAULTS, {"memory": 1 << 20, "fuel": 3})
    assert found == Limits(fuel=3, memory=1 << 20, wall_time_ms=2000, output=4096)


def test_more_than_the_operators_maximum_is_refused_and_a_default_is_lowered_to_it() -> None:
    asked = rights("resources: {limits: {wall_time: 2s}}")
    with pytest.raises(PolicyError) as caught:
        limits(asked, DEFAULTS, {"wall_time": 1999})
    assert str(caught.value) == (
        "the limit wall_time of the policy is 2s; write at most 1999ms, which is the operator's "
        "maximum"
    )
    assert limits(rights(""), DEFAULTS, {"wall_time": 50}).wall_time_ms == 50


@pytest.mark.parametrize(
    ("policy", "tool", "ceiling", "expected"),
    [
        (None, None, None, (None, None)),
        ("{file: 2Ki, files: 7}", None, None, (2048, 7)),
        ("{file: 2Ki}", "{files: 5}", "{file: 1Ki, files: 6}", (1024, 5)),
        (None, None, "{file: 1Ki}", (1024, None)),
    ],
)
def test_what_may_be_stored_is_the_least_that_a_layer_allows(
    policy: str | None,
    tool: str | None,
    ceiling: str | None,
    expected: tuple[int | None, int | None],
) -> None:
    layers = [
        f"resources: {{limits: {{storage: {value}}}}}" if value else None
        for value in (policy, tool, ceiling)
    ]
    assert storage_limits(rights(layers[0] or "", layers[1], layers[2])) == expected
