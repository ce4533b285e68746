"""A policy file to what it says, strictly: unknown is refused, with its line and what to write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.policy import foreign, nodes, rules, strict_yaml
from wassette_supervisor.policy import host as hosts
from wassette_supervisor.policy.document import (
    Environment,
    Network,
    Permissions,
    Policy,
    Resources,
    Storage,
)
from wassette_supervisor.policy.injects import check_injects
from wassette_supervisor.policy.nodes import refuse
from wassette_supervisor.policy.numbering import Where
from wassette_supervisor.policy.resources import FOREIGN, RESOURCES, mebibytes

if TYPE_CHECKING:
    from wassette_supervisor.policy.document import EnvironmentRule, NetworkRule, StorageRule
    from wassette_supervisor.policy.rules import Kind
    from wassette_supervisor.policy.strict_yaml import Node, Position

VERSION = "1.0"
MAX_TOOLS = 256

_TOOL = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EXPANSIONS = ("$(", "${", "$HOME", "$PWD", "//~")


class Parsed(NamedTuple):
    """`positions` says where each rule stands in the file."""

    policy: Policy
    warnings: list[str]
    positions: dict[Where, Position]


def parse(text: bytes) -> Parsed:
    """Read a component's policy.

    Raises:
        PolicyError: It isn't one; says where, what and what to write instead.
    """
    return _Reading(ceiling=False).document(text)


def parse_ceiling(text: bytes) -> Parsed:
    """Read an operator's ceiling: it allows and limits, and sets nothing itself.

    Raises:
        PolicyError: It isn't one; says where, what and what to write instead.
    """
    return _Reading(ceiling=True).document(text)


class _Reading:
    def __init__(self, *, ceiling: bool) -> None:
        self._ceiling = ceiling
        self._tool: str | None = None
        self._warnings: list[str] = []
        self._positions: dict[Where, Position] = {}

    def document(self, text: bytes) -> Parsed:
        root = strict_yaml.load(text)
        known = ("version", "$schema", "description", "permissions", "tools")
        values = nodes.fields(root, "the policy", known)
        self._version(root, values)
        policy = Policy(
            schema=nodes.description(values, "$schema"),
            description=nodes.description(values),
            permissions=self._permissions(values.get("permissions")),
            tools=self._tools(values.get("tools")),
        )
        return Parsed(policy, self._warnings, self._positions)

    def _version(self, root: Node, values: dict[str, Node]) -> None:
        instead = f'write version: "{VERSION}"'
        if "version" not in values:
            refuse(root.at, "the policy has no version", instead)
        version = nodes.word(values["version"], "version")
        if version != VERSION:
            what = f"the version {nodes.shortened(version)!r} is not known"
            refuse(values["version"].at, what, instead)

    def _tools(self, node: Node | None) -> dict[str, Permissions]:
        if node is None:
            return {}
        if self._ceiling:
            refuse(node.at, "tools in a ceiling", "remove it: a ceiling holds for all tools")
        sections = nodes.mapping(node, "tools")
        if len(sections) > MAX_TOOLS:
            refuse(node.at, f"more than {MAX_TOOLS} tools", "no component has as many")
        found = {}
        for name, section in sections.items():
            if not _TOOL.fullmatch(name):
                refuse(section.at, f"{nodes.shortened(name)!r} is no tool's name", "correct it")
            self._tool = name
            values = nodes.fields(section, f"the tool {name}", ("permissions",))
            if "permissions" not in values:
                what = f"the tool {name} has no permissions"
                refuse(section.at, what, "write permissions, with what it may have of the above")
            found[name] = self._permissions(values["permissions"])
        self._tool = None
        return found

    # --- permissions ----------------------------------------------------------------------

    def _permissions(self, node: Node | None) -> Permissions:
        if node is None:
            return Permissions()
        known = ("storage", "network", "environment", "resources", *foreign.IGNORED)
        values = nodes.fields(node, "permissions", known)
        for section in foreign.IGNORED:
            if section in values:
                foreign.check_ignored(section, values[section])
                self._warn(values[section].at, f"{section} is ignored; it grants nothing here")
        return Permissions(
            storage=self._storage(values.get("storage")),
            network=self._network(values.get("network")),
            environment=self._environment(values.get("environment")),
            resources=self._resources(values.get("resources")),
        )

    @property
    def _may_set(self) -> bool:
        return self._tool is None and not self._ceiling

    def _lists(self, node: Node | None, section: str) -> dict[Kind, list[Node]]:
        lists: dict[Kind, list[Node]] = {"allow": [], "deny": []}
        if node is None:
            return lists
        kinds: list[Kind] = ["allow"] if section == "environment" else ["allow", "deny"]
        hints = {"deny": "remove it: what no rule allows is denied"}
        values = nodes.fields(node, section, kinds, hints)
        for kind in kinds:
            if kind in values:
                lists[kind] = nodes.items(values[kind], f"{section}.{kind}")
            for index, item in enumerate(lists[kind]):
                self._positions[Where(self._tool, section, kind, index)] = item.at
        return lists

    def _storage(self, node: Node | None) -> Storage:
        lists = self._lists(node, "storage")
        allow = tuple(self._storage_rule(item, "allow") for item in lists["allow"])
        deny = tuple(self._storage_rule(item, "deny") for item in lists["deny"])
        return Storage(allow, deny)

    def _storage_rule(self, node: Node, kind: Kind) -> StorageRule:
        rule = rules.storage_rule(node, kind)
        if any(sign in rule.uri for sign in _EXPANSIONS):
            shown = nodes.shortened(rule.uri)
            self._warn(node.at, f"nothing in {shown!r} is expanded: it is taken as a name")
        return rule

    def _network(self, node: Node | None) -> Network:
        lists = self._lists(node, "network")
        allow = tuple(self._network_rule(item, "allow") for item in lists["allow"])
        deny = tuple(self._network_rule(item, "deny") for item in lists["deny"])
        check_injects(allow, [item.at for item in lists["allow"]])
        return Network(allow, deny)

    def _network_rule(self, node: Node, kind: Kind) -> NetworkRule:
        rule = rules.network_rule(node, kind, may_set=self._may_set)
        if kind == "allow" and rule.host is not None:
            host = hosts.parse(rule.host)
            if host.name and hosts.is_public_suffix(host):
                self._warn(node.at, f"{rule.host} matches hosts of everybody under {host.name}")
        return rule

    def _environment(self, node: Node | None) -> Environment:
        found: dict[str, EnvironmentRule] = {}
        for item in self._lists(node, "environment")["allow"]:
            rule = rules.environment_rule(item, may_set=self._may_set)
            if rule.key in found:
                refuse(item.at, f"the variable {rule.key} a second time", "keep one rule of it")
            found[rule.key] = rule
        return Environment(tuple(found.values()))

    # --- limits ---------------------------------------------------------------------------

    def _resources(self, node: Node | None) -> Resources:
        if node is None:
            return Resources()
        values = nodes.fields(node, "resources", ("limits", "memory"), FOREIGN)
        limits: dict[str, Node] = {}
        if "limits" in values:
            limits = self._limits(values["limits"])
        if "memory" in values:  # policy-mcp's older place for it
            if "memory" in limits:
                refuse(values["memory"].at, "memory a second time", "keep that under limits")
            limits["memory"] = values["memory"]
        found = {}
        for name, value in limits.items():
            if not nodes.is_nothing(value):
                self._positions[Where(self._tool, "limits", "limit", name)] = value.at
                found[RESOURCES[name].field] = self._limit(name, value)
        return Resources(**found)

    def _limits(self, node: Node) -> dict[str, Node]:
        top = [name for name in RESOURCES if "." not in name]
        limits = nodes.fields(node, "limits", (*top, "storage"), FOREIGN)
        storage = limits.pop("storage", None)
        if storage is not None:
            files = nodes.fields(storage, "limits.storage", ("file", "files"))
            limits |= {f"storage.{name}": value for name, value in files.items()}
        return limits

    def _limit(self, name: str, node: Node) -> int:
        written = nodes.word(node, name)
        value = mebibytes(written) if name == "memory" else written
        if value != written:
            self._warn(node.at, f"memory {written} is taken as {value}; write it with its unit")
        try:
            return RESOURCES[name].parse(value)
        except ValueError as error:
            what = f"the limit {name} is {nodes.shortened(written)!r}"
            refuse(node.at, what, f"write {error}")

    def _warn(self, at: Position, text: str) -> None:
        self._warnings.append(f"line {at.line}: {text}")
