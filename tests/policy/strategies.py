"""Small policies whose rules meet often, and all the requests that could tell them apart."""

from __future__ import annotations

from itertools import product
from typing import Literal, TypeVar

from hypothesis import strategies as st

from wassette_supervisor.policy.decision import (
    Allowed,
    EnvironmentRequest,
    NetworkRequest,
    Request,
    StateRequest,
    StorageRequest,
    decide,
)
from wassette_supervisor.policy.document import (
    Environment,
    EnvironmentRule,
    Network,
    NetworkRule,
    Permissions,
    Policy,
    Resources,
    Storage,
    StorageRule,
)
from wassette_supervisor.policy.effective import effective

WORKSPACE = "/w"

_Rule = TypeVar("_Rule")
_PORTS: list[tuple[Literal["http", "https"], int]] = [("http", 80), ("https", 443), ("https", 8443)]


def _subset(*words: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sets(st.sampled_from(words), min_size=1).map(lambda found: tuple(sorted(found)))


ACCESS = _subset("read", "write")
DESCRIPTIONS = st.none() | st.text(st.characters(codec="utf-8", categories=["L", "P", "Zs"]))

# --- storage --------------------------------------------------------------------------------

_SEGMENTS = st.sampled_from(["a", "b", "a", "*", "a*", "*b", "**"])
_LITERAL = st.sampled_from(["a", "b"])


def _uri(roots: tuple[str, ...]) -> st.SearchStrategy[str]:
    # In the workspace a rule begins with a name; absolute ones do here as well.
    parts = st.tuples(_LITERAL, st.lists(_SEGMENTS, max_size=1), st.sampled_from(["", "/", "/**"]))
    path = parts.map(lambda found: "/".join([found[0], *found[1]]) + found[2])
    return st.builds(str.__add__, st.sampled_from(roots), path)


STATE_URIS = st.sampled_from(["fs://state", "fs://state/", "fs://state/**"])
URIS = _uri(("fs://", "fs:///")) | STATE_URIS
_FOLDERS = st.lists(_LITERAL, min_size=1, max_size=3).map("/".join)
FOLDER_URIS = st.builds(str.__add__, st.sampled_from(["fs://", "fs:///w/", "fs:///"]), _FOLDERS)


def storage_rules(uris: st.SearchStrategy[str]) -> st.SearchStrategy[StorageRule]:
    return st.builds(StorageRule, uris, ACCESS, DESCRIPTIONS)


def _lists(rules: st.SearchStrategy[_Rule]) -> st.SearchStrategy[tuple[_Rule, ...]]:
    return st.lists(rules, max_size=3).map(tuple)


STORAGE = st.builds(Storage, _lists(storage_rules(URIS)), _lists(storage_rules(URIS)))

_NAMES = ["ab", "a", "b", "acb", "ac", "cb", "c"]
STORAGE_REQUESTS: list[Request] = [
    StorageRequest(f"{root}/{'/'.join(path)}", access)
    for root in (WORKSPACE, "")
    for path in [*product(_NAMES), *product(_NAMES, _NAMES), *product("ab", _NAMES, "c")]
    for access in ("read", "write")
]
STORAGE_REQUESTS += [StateRequest("read"), StateRequest("write")]

# --- network --------------------------------------------------------------------------------

_HOSTS = ["x.test", "https://x.test", "*.x.test", "a.x.test:8443", "*", "10.0.0.1", "http://y.test"]
_DENIED = st.builds(NetworkRule, host=st.sampled_from(_HOSTS))
_RANGES = st.builds(NetworkRule, cidr=st.sampled_from(["10.0.0.0/8", "10.0.0.1/32", "0.0.0.0/0"]))
_METHODS = st.just(()) | _subset("GET", "POST")
_PATHS = st.just(()) | _subset("/a", "/a/**", "/*", "/**")
HOST_RULES = st.builds(NetworkRule, host=st.sampled_from(_HOSTS), methods=_METHODS, paths=_PATHS)
NETWORK = st.builds(Network, _lists(HOST_RULES | _RANGES), _lists(_DENIED | _RANGES))

NETWORK_REQUESTS: list[Request] = [
    NetworkRequest(host, scheme, port, method, path)
    for host in ("x.test", "a.x.test", "b.x.test", "y.test", "10.0.0.1", "10.0.0.2", "1.1.1.1")
    for scheme, port in _PORTS
    for method in ("GET", "PUT")
    for path in ("/a", "/b", "/a/b", "/a/%2e%2e")
]

# --- the rest -------------------------------------------------------------------------------

_KEYS = ["A", "B", "C"]
_PLAIN = st.builds(EnvironmentRule, st.sampled_from(_KEYS))
_SET = st.builds(EnvironmentRule, st.sampled_from(_KEYS), st.text('ab\n"\\é', max_size=3))
_SECRET = st.builds(EnvironmentRule, st.sampled_from(_KEYS), secret=st.sampled_from(["S", "T"]))


def _environment(rules: st.SearchStrategy[EnvironmentRule]) -> st.SearchStrategy[Environment]:
    once = st.lists(rules, max_size=3, unique_by=lambda rule: rule.key)
    return once.map(tuple).map(Environment)


RESOURCES = st.builds(
    Resources,
    memory=st.none() | st.integers(1, 4096).map(lambda mib: mib << 20),
    wall_time=st.none() | st.integers(1, 3_600_000),
    fuel=st.none() | st.integers(1, 1 << 62),
    storage_files=st.none() | st.integers(1, 100),
)
PERMISSIONS = st.builds(
    Permissions, STORAGE, NETWORK, _environment(_PLAIN | _SET | _SECRET), RESOURCES
)
SECTIONS = st.builds(Permissions, STORAGE, NETWORK, _environment(_PLAIN), RESOURCES)
POLICIES = st.builds(
    Policy,
    description=DESCRIPTIONS,
    permissions=PERMISSIONS,
    tools=st.dictionaries(st.sampled_from(["fetch", "1"]), SECTIONS, max_size=1),
)
CEILINGS = st.builds(Policy, permissions=SECTIONS)

REQUESTS = [*STORAGE_REQUESTS, *NETWORK_REQUESTS, *map(EnvironmentRequest, _KEYS)]


def allowed(
    policy: Policy | None,
    *,
    tool: str | None = None,
    ceiling: Policy | None = None,
    requests: list[Request] = REQUESTS,
) -> set[Request]:
    """All requests that are allowed."""
    rights = effective(policy, tool, ceiling, WORKSPACE)
    return {request for request in requests if isinstance(decide(rights, request), Allowed)}
