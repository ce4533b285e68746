"""Rules read from their nodes; `rule_from_words` makes the same of what came by other ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, assert_never

from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy import cidr, environment, http_rule, nodes, storage_uri
from wassette_supervisor.policy import host as hosts
from wassette_supervisor.policy.document import (
    Access,
    EnvironmentRule,
    NetworkRule,
    Rule,
    StorageRule,
)
from wassette_supervisor.policy.nodes import placed, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wassette_supervisor.policy.strict_yaml import Node

Section = Literal["storage", "network", "environment-variable"]
Kind = Literal["allow", "deny"]

_ACCESS: dict[str, Access] = {"read": "read", "write": "write"}
_NETWORK_HINTS = {"defaults": "name each host; no list of hosts is built in"}
_ENVIRONMENT_HINTS = {"secret": "write value_from: {secret: NAME}"}
_ONLY_HOSTS = "write them on a rule with host"


def rule_from_words(section: Section, value: str, access: Iterable[str] = ()) -> Rule:
    """An allow rule as a command or a tool names it.

    Args:
        section: What it grants.
        value: The URI, the host or the key.
        access: Of storage: read, write or both.

    Raises:
        PolicyError: It says nothing that could be granted.
    """
    match section:
        case "storage":
            storage_uri.parse(value)
            return StorageRule(value, _access(access))
        case "network":
            return NetworkRule(host=hosts.parse(value).text)
        case "environment-variable":
            return EnvironmentRule(environment.key(value))
        case _:
            assert_never(section)


def _access(words: Iterable[str]) -> tuple[Access, ...]:
    found: set[Access] = set()
    for word in words:
        if word not in _ACCESS:
            raise PolicyError(f"access {nodes.shortened(word)!r} is none", "write read or write")
        found.add(_ACCESS[word])
    if not found:
        raise PolicyError("the storage rule has no access", "write read, write or both")
    return tuple(sorted(found))


def storage_rule(node: Node, kind: Kind) -> StorageRule:
    values = nodes.fields(node, "a storage rule", ("uri", "access", "description"))
    for key in ("uri", "access"):
        _require(node, values, key, "a storage rule")
    uri = nodes.word(values["uri"], "uri")
    with placed(values["uri"].at):
        storage_uri.parse(uri, deny=kind == "deny")
    words = nodes.words(values["access"], "access")
    for word, at in words:
        with placed(at):
            _access([word])
    return StorageRule(uri, _access(word for word, _ in words), nodes.description(values))


def environment_rule(node: Node, *, may_set: bool) -> EnvironmentRule:
    """`may_set`: the rule may say where the value comes from, not only name the variable."""
    known = ("key", "value", "value_from", "description")
    values = nodes.fields(node, "an environment rule", known, _ENVIRONMENT_HINTS)
    _require(node, values, "key", "an environment rule")
    with placed(values["key"].at):
        key = environment.key(nodes.word(values["key"], "key"))
    for setting in ("value", "value_from"):
        if setting in values and not may_set:
            refuse(values[setting].at, *_only_limits(setting))
    if {"value", "value_from"} <= values.keys():
        refuse(values["value_from"].at, "both value and value_from", "write one of them")
    return EnvironmentRule(key, _value(values), _secret(values), nodes.description(values))


def _value(values: dict[str, Node]) -> str | None:
    if "value" not in values:
        return None
    with placed(values["value"].at):
        return environment.value(nodes.text(values["value"], "value"))


def _secret(values: dict[str, Node]) -> str | None:
    if "value_from" not in values:
        return None
    node = values["value_from"]
    source = nodes.fields(node, "value_from", ("secret",))
    _require(node, source, "secret", "value_from")
    with placed(source["secret"].at):
        return environment.secret(nodes.word(source["secret"], "secret"))


def network_rule(node: Node, kind: Kind, *, may_set: bool) -> NetworkRule:
    """`may_set`: the rule may have an inject."""
    known = ("host", "cidr", "methods", "paths", "inject", "description")
    values = nodes.fields(node, "a network rule", known, _NETWORK_HINTS)
    if ("host" in values) == ("cidr" in values):
        refuse(node.at, "a network rule has to name one target", "write either host or cidr")
    for key in ("methods", "paths", "inject"):
        if key in values and kind == "deny":
            instead = "remove it: a deny rule refuses all requests to its host"
            refuse(values[key].at, f"a deny rule with {key}", instead)
        if key in values and "cidr" in values:
            refuse(values[key].at, f"a cidr rule with {key}", _ONLY_HOSTS)
    if "inject" in values and not may_set:
        refuse(values["inject"].at, *_only_limits("inject"))
    described = nodes.description(values)
    if "cidr" in values:
        with placed(values["cidr"].at):
            text = str(cidr.parse(nodes.word(values["cidr"], "cidr")))
        return NetworkRule(cidr=text, description=described)
    return _host_rule(values, described)


def _host_rule(values: dict[str, Node], described: str | None) -> NetworkRule:
    with placed(values["host"].at):
        host = hosts.parse(nodes.word(values["host"], "host"))
    inject = {}
    if "inject" in values:
        inject = _inject(values["inject"])
        with placed(values["inject"].at):
            check_inject_host(host)
    return NetworkRule(
        host=host.text,
        methods=_checked_words(values, "methods"),
        paths=_checked_words(values, "paths"),
        inject=inject,
        description=described,
    )


def check_inject_host(host: hosts.Host) -> None:
    """Refuse a host to which a secret could go unseen, or that isn't one host.

    Raises:
        PolicyError: It is such a host.
    """
    if host.wildcard or (host.scheme != "https" and not hosts.is_loopback(host)):
        what = f"inject on the host {host.text!r}, which is not one host with https"
        raise PolicyError(what, f"write one name, as https://{host.name or 'api.example.com'}")


_CHECKS = {"methods": http_rule.method, "paths": http_rule.path}


def _checked_words(values: dict[str, Node], key: str) -> tuple[str, ...]:
    if key not in values:
        return ()
    found = []
    for word, at in nodes.words(values[key], key):
        with placed(at):
            found.append(_CHECKS[key](word))
    return tuple(sorted(found))


def _inject(node: Node) -> dict[str, str]:
    values = nodes.fields(node, "inject", ("headers",))
    _require(node, values, "headers", "inject")
    headers = values["headers"]
    found: dict[str, str] = {}
    for name, value in nodes.mapping(headers, "headers").items():
        with placed(value.at):
            lowered, checked = http_rule.header(name, nodes.word(value, "the header"))
            if lowered in found:
                raise PolicyError(f"the header {name!r} twice", "keep one of them")
        found[lowered] = checked
    if not found:
        refuse(headers.at, "headers is empty", "name at least one, or leave inject out")
    return dict(sorted(found.items()))


def _require(node: Node, values: dict[str, Node], key: str, what: str) -> None:
    if key not in values:
        refuse(node.at, f"{what} without {key}", f"add {key}")


def _only_limits(key: str) -> tuple[str, str]:
    return f"{key} where rules only limit others", "write it in the policy's own permissions"
