"""Exact mode: when it is needed, which folders a guest sees then, and that their rules decide."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.strategies import CEILINGS, POLICIES, WORKSPACE
from wassette_protocol.capabilities import Reach
from wassette_protocol.patterns import Pattern, segment_matches
from wassette_supervisor.policy.decision import Allowed, Denied, StorageRequest, decide
from wassette_supervisor.policy.directories import anchors
from wassette_supervisor.policy.effective import Effective, Path, effective
from wassette_supervisor.policy.exact import (
    ExactDirectory,
    Kind,
    allows,
    everything,
    exact_directories,
    why_exact,
)
from wassette_supervisor.policy.parsing import parse, parse_ceiling
from wassette_supervisor.policy.shielded import SHIELDS

if TYPE_CHECKING:
    from wassette_protocol.file_rules import FileRules
    from wassette_supervisor.policy.document import Access, Policy

ACCESSES: list[Access] = ["read", "write"]


def rights(*rules: str, ceiling: str | None = None, tool: str | None = None) -> Effective:
    """Of rules as `fs:///a read,write`, with `-` before one that denies."""
    sections = f"\ntools: {{t: {{permissions: {{{tool}}}}}}}" if tool is not None else ""
    text = f"version: '1.0'\npermissions: {{{storage(*rules)}}}{sections}"
    above = None
    if ceiling is not None:
        above = parse_ceiling(f"version: '1.0'\npermissions: {{{ceiling}}}".encode()).policy
    return effective(parse(text.encode()).policy, "t", above, WORKSPACE)


def storage(*rules: str) -> str:
    lists: dict[str, list[str]] = {"allow": [], "deny": []}
    for rule in rules:
        uri, access = rule.removeprefix("-").split()
        kind = "deny" if rule.startswith("-") else "allow"
        lists[kind].append(f"{{uri: '{uri}', access: [{access}]}}")
    return f"storage: {{allow: [{', '.join(lists['allow'])}], deny: [{', '.join(lists['deny'])}]}}"


def path_of(text: str) -> Path:
    return tuple(text.encode().split(b"/")[1:]) if text != "/" else ()


def kinds(right: Effective, *files: str, missing: tuple[str, ...] = ()) -> dict[Path, Kind]:
    """All anchors are there as folders, but for these."""
    found: dict[Path, Kind] = {anchor.path: "directory" for anchor in anchors(right)}
    found |= {path_of(file): "file" for file in files}
    return {path: kind for path, kind in found.items() if path not in map(path_of, missing)}


def given_to(
    right: Effective, *files: str, missing: tuple[str, ...] = ()
) -> dict[str, ExactDirectory]:
    found = exact_directories(right, anchors(right), kinds(right, *files, missing=missing))
    assert len({each.guest_path for each in found}) == len(found)
    return {each.guest_path: each for each in found}


def can(directory: ExactDirectory, *below: str) -> list[str]:
    """What is allowed of paths below it, `r`, `w`, `rw` or `-`."""
    letters = [
        "".join(a[0] for a in ACCESSES if allows(directory.rules, path_of(f"/{path}"), a))
        for path in below
    ]
    return [each or "-" for each in letters]


def shown(directory: ExactDirectory) -> list[str]:
    return [
        f"{path} {'r' if reach.read else '-'}{'w' if reach.write else '-'}"
        for path, reach in directory.places
    ]


# --- when -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "why"),
    [
        pytest.param(rights("fs:///a read"), None, id="a folder to read"),
        pytest.param(rights("fs:///a read", "fs:///b read"), None, id="two"),
        pytest.param(rights("fs:///a read", "fs:///a/b read"), None, id="in each other"),
        pytest.param(rights("fs://state read,write"), None, id="the component's own"),
        pytest.param(rights(), None, id="nothing"),
        pytest.param(
            rights("fs:///a read,write"), "/a may be written to", id="a folder to write to"
        ),
        pytest.param(
            rights("fs:///a read,write", ceiling=storage("fs:///a read")),
            None,
            id="write that the ceiling takes",
        ),
        pytest.param(
            rights("fs:///a read", "-fs:///b read"), "rule 2 of the policy denies", id="deny"
        ),
        pytest.param(
            rights("fs:///a read", ceiling=storage("fs:/// read", "-fs:///**/.env read")),
            "rule 2 of the operator's ceiling denies",
            id="deny of the ceiling",
        ),
        pytest.param(rights("fs:///a/* read"), "rule 1 of the policy is a pattern", id="glob"),
        pytest.param(
            rights("fs:///a write"), "/a is written to without being read", id="write without read"
        ),
        pytest.param(rights("fs:///a read", "fs:///a write"), "/a may be written", id="union"),
        pytest.param(
            rights("fs:///a read,write", "fs:///a/b read,write", "fs:///a/b/c read"),
            "/a may be written",
            id="the same in each other",
        ),
        pytest.param(
            rights("fs:///a read", "fs:///a/b read,write"),
            "/a/b lies in /a and has another access",
            id="more access within",
        ),
        pytest.param(
            rights("fs:///a read", ceiling="resources: {limits: {storage: {files: 1}}}, "
                   + storage("fs:/// read")),
            "the operator's ceiling limits what is stored",
            id="limit",
        ),
    ],
)  # fmt: skip
def test_each_path_is_judged_where_the_kernel_alone_could_not_keep_the_rules(
    right: Effective, why: str | None
) -> None:
    found = why_exact(right, anchors(right), kinds(right), plain_writes=False)
    assert found is None if why is None else found and found.startswith(why)


def test_a_single_file_is_judged_and_so_is_a_write_that_the_operator_did_not_give_up() -> None:
    one, write = rights("fs:///a read"), rights("fs:///a read,write")
    assert (
        why_exact(one, anchors(one), kinds(one, "/a"), plain_writes=True) == "/a is a single file"
    )
    assert why_exact(write, anchors(write), kinds(write), plain_writes=True) is None
    denied = rights("fs:///a read,write", "-fs:///a/b write")
    assert why_exact(denied, anchors(denied), kinds(denied), plain_writes=True) is not None


def test_each_path_is_judged_where_each_open_is_recorded() -> None:
    for right in (rights("fs:///a read"), rights("fs:///a read,write"), rights()):
        why = why_exact(right, anchors(right), kinds(right), plain_writes=True, audit_files=True)
        assert why == "--audit-files"


# --- what a guest sees ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        pytest.param(rights("fs:///a/b/*.csv read"), {"/a/b": ["/a/b r-"]}, id="glob"),
        pytest.param(rights("fs://a/**/x read"), {"a": ["/w/a r-"]}, id="of the workspace"),
        pytest.param(
            rights("fs:///a/**/x read", "fs:///a/b write"),
            {"/a": ["/a r-", "/a/b rw"]},
            id="nested",
        ),
        pytest.param(
            rights("fs:///w/a read", "fs://a/*/b read,write"),
            {"/w/a": ["/w/a rw"], "a": ["/w/a rw"]},
            id="under two names",
        ),
        pytest.param(
            rights("fs:///a read,write", ceiling=storage("fs:///a/b/* read", "fs:///c read")),
            {"/a/b": ["/a/b r-"]},
            id="no more than the ceiling",
        ),
        pytest.param(
            rights("fs:///a read", ceiling=storage("fs:///a/b read", "-fs:///a/b read")),
            {},
            id="all denied",
        ),
        pytest.param(rights("fs:///a/* read", ceiling=storage("fs:///a/b/c read")), {}, id="none"),
    ],
)
def test_a_guest_sees_the_outermost_folders_in_which_something_is_allowed(
    right: Effective, expected: dict[str, list[str]]
) -> None:
    assert {name: shown(each) for name, each in given_to(right).items()} == expected


def test_a_single_file_is_seen_as_its_folder_of_which_nothing_else_is_given() -> None:
    right = rights("fs://a/x.md read,write", "fs:///b/y read", "fs://z read")
    found = given_to(right, "/w/a/x.md", "/b/y", "/w/z")
    assert {name: shown(each) for name, each in found.items()} == {
        ".": ["/w --", "/w/a/x.md rw", "/w/z r-"],
        "/b": ["/b --", "/b/y r-"],
    }
    assert can(found["."], "a/x.md", "a/x.md/below", "a", "a/y", "z") == ["rw", "-", "-", "-", "r"]
    assert found["."].writable
    assert not found["/b"].writable


def test_a_rule_that_names_nothing_now_grants_nothing() -> None:
    right = rights("fs:///a read", "fs:///a/b read,write", "fs:///c read", "-fs:///a/d read")
    [only] = given_to(right, missing=("/a/b", "/c")).values()
    assert shown(only) == ["/a r-"]
    assert can(only, "", "b", "d") == ["r", "r", "-"]


def test_a_pattern_that_begins_at_a_file_grants_nothing() -> None:
    assert given_to(rights("fs:///a/*/b read"), "/a") == {}


def test_the_folder_itself_may_be_meant_by_a_pattern_that_reaches_no_deeper() -> None:
    right = rights("fs:///w/* read", "fs://a/**/x write")
    assert can(given_to(right)["a"], "", "b", "x") == ["r", "-", "w"]


def test_what_nobody_writes_to_under_a_grant_of_more_is_kept_unless_the_policy_names_it() -> None:
    hooks = ["p/.git/hooks/a", "p/.git/hooks", "p/.envrc", "p/.git", "p/.git/x", ".git/config"]
    [only] = given_to(rights("fs:///a read,write")).values()
    assert can(only, *hooks) == ["r", "r", "r", "rw", "rw", "r"]
    [only] = given_to(rights("fs:///a read,write", "fs:///a/*/.git/hooks write")).values()
    assert can(only, *hooks) == ["rw", "rw", "r", "rw", "rw", "r"]
    [only] = given_to(rights("fs:///a read,write", "fs:///a/*/.git/hooks read")).values()
    assert can(only, *hooks) == ["r", "r", "r", "rw", "rw", "r"]
    [only] = given_to(
        rights("fs:///a read,write", ceiling=storage("fs:///a/**/.envrc read,write"))
    ).values()
    assert can(only, "p/.envrc") == ["r"]
    [only] = given_to(rights("fs:///a/.claude read,write")).values()
    assert can(only, "x", ".envrc") == ["rw", "r"]
    [only] = given_to(rights("fs:///a/.git read,write")).values()
    assert can(only, "x", "hooks", "config") == ["rw", "r", "r"]
    [only] = given_to(rights("fs:///a read,write", "fs:///a/.envrc write"), missing=("/a/.envrc",)
                      ).values()  # fmt: skip
    assert can(only, ".envrc") == ["r"]


def test_each_name_that_is_kept_is_one_path() -> None:
    names = [b"/".join(shield.segments) for shield in SHIELDS]
    assert len(set(names)) == len(names)
    assert all(b"*" not in name and b"" not in name.split(b"/") for name in names)
    assert {b".git/hooks", b".git/config", b".gitmodules", b".bashrc", b".mcp.json"} < set(names)


def test_a_folder_that_is_judged_for_the_others_sake_is_given_whole() -> None:
    for write in (False, True):
        rules = everything(write=write)
        for path in ((), (b"a",), (b".git", b"hooks")):
            assert allows(rules, path, "read")
            assert allows(rules, path, "write") is write


# --- the law: rules decide as the policy does -----------------------------------------------


def slowly(pattern: Pattern, path: Path, entered: int | None = None) -> bool:
    """Whether a path matches, by trying everything."""
    if entered is None:
        return any(slowly(pattern, path, place) for place in pattern.entered)
    if entered == len(pattern.segments):
        return not path or pattern.below
    segment = pattern.segments[entered]
    if segment == b"**" and entered >= pattern.literal:
        return slowly(pattern, path, entered + 1) or (
            bool(path) and slowly(pattern, path[1:], entered)
        )
    if not path:
        return False
    same = segment == path[0] if entered < pattern.literal else segment_matches(segment, path[0])
    return same and slowly(pattern, path[1:], entered + 1)


def reference(rules: FileRules, path: Path, access: Access) -> bool:
    for layer in rules.layers:
        saying = [[c for c in some if getattr(c, access)] for some in (layer.allow, layer.deny)]
        allowing, denying = ([c for c in some if slowly(c.pattern, path)] for some in saying)
        if denying or not allowing:
            return False
    if access == "write":
        for shield in rules.shielded:
            if slowly(shield.pattern, path) and not any(slowly(n, path) for n in shield.named):
                return False
    return True


_NAMES = [b"a", b"b", b"ab", b"acb", b".git", b"hooks", b".envrc"]
_PATHS = [
    (*root, *path)
    for root in ((), (b"w",))
    for path in [
        *product(_NAMES),
        *product(_NAMES, _NAMES),
        *product((b"a", b"b"), (b"a", b".git"), _NAMES),
    ]
]


@given(POLICIES, st.none() | CEILINGS)
@settings(max_examples=60, deadline=None)
def test_the_rules_of_a_folder_decide_as_the_policy_does(
    policy: Policy, ceiling: Policy | None
) -> None:
    check(effective(policy, "fetch", ceiling, WORKSPACE))


_SHIELDED_URIS = st.sampled_from(
    [
        "fs:///a",
        "fs://a",
        "fs:///a/.git",
        "fs:///a/**/.git/hooks",
        "fs://a/.envrc",
        "fs:///*/.git/*",
        "fs:///**/hooks",
        "fs:///w/a/*/.git/hooks/b",
    ]
)


_ACCESS = st.sampled_from(["read", "write", "read,write"])


@given(st.lists(st.builds("{} {}".format, _SHIELDED_URIS, _ACCESS), max_size=4))
@settings(max_examples=60, deadline=None)
def test_so_do_they_for_what_nobody_writes_to(rules: list[str]) -> None:
    check(rights(*rules, "-fs://a/b write"))


def check(right: Effective) -> None:
    found = exact_directories(right, anchors(right), kinds(right))
    for path, access in product(_PATHS, ACCESSES):
        decided = decide(right, StorageRequest("/" + b"/".join(path).decode(), access))
        around = [each for each in found if is_below(path, path_of(each.host_path))]
        assert around or isinstance(decided, Denied)
        for each in around:
            below = path[len(path_of(each.host_path)) :]
            allowed = reference(each.rules, below, access)
            assert allowed is isinstance(decided, Allowed)
            assert allowed is allows(each.rules, below, access)
            assert not allowed or is_reached(each, path, access)


def is_below(path: Path, folder: Path) -> bool:
    return path[: len(folder)] == folder


def is_reached(directory: ExactDirectory, path: Path, access: Access) -> bool:
    """Whether the kernel opens a path far enough."""
    return any(
        is_below(path, path_of(place)) and getattr(reach, access)
        for place, reach in directory.places
    )


def test_the_kernel_opens_no_more_than_one_place_that_needs_it() -> None:
    [only] = given_to(rights("fs:///a read", "fs:///a/b write", "fs:///a/b/c read,write")).values()
    assert only.places == (
        ("/a", Reach(read=True, write=False)),
        ("/a/b", Reach(read=True, write=True)),
    )
