"""Grants and revocations as changes of a policy, made without touching what they don't mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, assert_never

import msgspec

from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy import cidr, storage_uri
from wassette_supervisor.policy import host as hosts
from wassette_supervisor.policy.document import (
    EnvironmentRule,
    NetworkRule,
    Permissions,
    Policy,
    Rule,
    StorageRule,
)
from wassette_supervisor.policy.numbering import LimitRule, Numbered, numbered, shown
from wassette_supervisor.policy.resources import RESOURCES

if TYPE_CHECKING:
    from wassette_supervisor.policy.numbering import Where
    from wassette_supervisor.policy.rules import Section

_TYPES: dict[Section, type[Rule]] = {
    "storage": StorageRule,
    "network": NetworkRule,
    "environment-variable": EnvironmentRule,
}


def reset() -> Policy:
    """A policy that grants nothing."""
    return Policy()


def grant(policy: Policy | None, rule: Rule) -> Policy:
    """Allow a component something more; a rule that is there already changes nothing.

    Raises:
        PolicyError: The variable is granted already, with another value.
    """
    before = policy or Policy()
    permissions = before.permissions
    match rule:
        case StorageRule():
            storage = permissions.storage
            allowed = _with_storage(storage.allow, rule)
            changed = _replace(permissions, storage=_replace(storage, allow=allowed))
        case NetworkRule():
            network = permissions.network
            allow = network.allow if _has(network.allow, rule) else (*network.allow, rule)
            changed = _replace(permissions, network=_replace(network, allow=allow))
        case EnvironmentRule():
            variables = permissions.environment
            allowing = _with_variable(variables.allow, rule)
            changed = _replace(permissions, environment=_replace(variables, allow=allowing))
        case _:
            assert_never(rule)
    return _replace(before, permissions=changed)


def limit(policy: Policy | None, name: str, value: int | None) -> Policy:
    """Set a limit of the component's calls, by its name in `RESOURCES`; None takes it out."""
    before = policy or Policy()
    resources = _replace(before.permissions.resources, **{RESOURCES[name].field: value})
    return _replace(before, permissions=_replace(before.permissions, resources=resources))


def _with_storage(rules: tuple[StorageRule, ...], rule: StorageRule) -> tuple[StorageRule, ...]:
    uri = storage_uri.parse(rule.uri)
    for index, there in enumerate(rules):
        if storage_uri.parse(there.uri) == uri:
            access = tuple(sorted({*there.access, *rule.access}))
            return (*rules[:index], _replace(there, access=access), *rules[index + 1 :])
    return (*rules, rule)


def _with_variable(
    rules: tuple[EnvironmentRule, ...], rule: EnvironmentRule
) -> tuple[EnvironmentRule, ...]:
    for there in rules:
        if there.key != rule.key:
            continue
        asks_for_another = rule.value is not None or rule.secret is not None
        if asks_for_another and (there.value, there.secret) != (rule.value, rule.secret):
            what = f"the variable {rule.key} is granted with another value"
            raise PolicyError(what, "revoke that first")
        return rules
    return (*rules, rule)


def _has(rules: tuple[NetworkRule, ...], rule: NetworkRule) -> bool:
    bare = _replace(rule, description=None)
    return any(_replace(there, description=None) == bare for there in rules)


# --- revoking -------------------------------------------------------------------------------


def revoke(policy: Policy | None, which: int | str, section: Section | None = None) -> Policy:
    """Take a rule away.

    A number takes that rule, of any kind. A URI, host, range or key takes the allow rules of the
    component for just that; it must be gone afterwards, so it is refused while another rule
    still allows it.

    Args:
        policy: What there is.
        which: The number of a rule, or what an allow rule names.
        section: Where to look for the latter; None: everywhere.

    Raises:
        PolicyError: There is no such rule, or taking it would not be enough; says which there
            are.
    """
    before = policy or Policy()
    rules = numbered(before)
    if isinstance(which, int):
        chosen = [rule for rule in rules if rule.number == which]
        if not chosen:
            raise PolicyError(f"there is no rule {which}", _there_are(rules))
    else:
        chosen = _named(rules, which, section)
    for rule in reversed(chosen):  # the last first, so that the others keep their places
        before = _without(before, rule)
    return before


def _named(rules: list[Numbered], name: str, section: Section | None) -> list[Numbered]:
    wanted = tuple(_TYPES.values()) if section is None else (_TYPES[section],)
    candidates = [
        rule for rule in rules if isinstance(rule.rule, wanted) and rule.where.tool is None
    ]
    allowing = [rule for rule in candidates if rule.kind == "allow"]
    chosen = [rule for rule in allowing if _names(rule.rule, name)]
    if len({rule.section for rule in chosen}) > 1:
        what = f"{shown(name)!r} is the name of several things"
        raise PolicyError(what, f"revoke by number; {_there_are(chosen)}")
    others = [rule for rule in allowing if rule not in chosen and _covers(rule.rule, name)]
    if others:
        what = f"{shown(name)!r} is allowed by a wider rule too"
        raise PolicyError(what, f"revoke by number; {_there_are([*chosen, *others])}")
    if not chosen:
        raise PolicyError(f"nothing allows just {shown(name)!r}", _there_are(candidates))
    return chosen


def _names(rule: Rule | LimitRule, name: str) -> bool:
    try:
        match rule:
            case StorageRule(uri=uri):
                return storage_uri.parse(uri) == storage_uri.parse(name)
            case NetworkRule(host=str(host)):
                return hosts.parse(host).text == hosts.parse(name).text
            case NetworkRule(cidr=str(text)):
                return text == str(cidr.parse(name))
            case EnvironmentRule(key=key):
                return key == name
    except PolicyError:  # it is a name of something else
        pass
    return False


def _covers(rule: Rule | LimitRule, name: str) -> bool:
    try:
        match rule:
            case StorageRule(uri=uri):
                wide, narrow = storage_uri.parse(uri), storage_uri.parse(name)
                return wide.root == narrow.root and (
                    wide.pattern.covers(narrow.pattern)
                    or wide.pattern.matches(narrow.pattern.segments)  # at least the entry itself
                )
            case NetworkRule(host=str(host)):
                return hosts.parse(host).covers(hosts.parse(name))
    except PolicyError:  # it is a name of something else
        pass
    return False


def _there_are(rules: list[Numbered]) -> str:
    if not rules:
        return "there is no rule to revoke"
    named = [f"{rule.number} ({rule.text})" for rule in rules[:5]]
    more = f" and {len(rules) - 5} more" if len(rules) > 5 else ""
    return f"there is rule {', '.join(named)}{more}"


def _without(policy: Policy, rule: Numbered) -> Policy:
    tool = rule.where.tool
    if tool is None:
        return _replace(policy, permissions=_less(policy.permissions, rule.where))
    section = _less(policy.tools[tool], rule.where)
    return _replace(policy, tools={**policy.tools, tool: section})


def _less(permissions: Permissions, where: Where) -> Permissions:
    if where.section == "limits":
        field = RESOURCES[str(where.which)].field
        return _replace(permissions, resources=_replace(permissions.resources, **{field: None}))
    section = getattr(permissions, where.section)
    rules = getattr(section, where.kind)
    kept = tuple(rule for index, rule in enumerate(rules) if index != where.which)
    return _replace(permissions, **{where.section: _replace(section, **{where.kind: kept})})


_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def _replace(struct: _Struct, **changes: object) -> _Struct:
    return msgspec.structs.replace(struct, **changes)
