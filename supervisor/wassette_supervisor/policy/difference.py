"""How two policies differ in what they grant, not in their words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from wassette_protocol.capabilities import Limits
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.policy.document import Permissions, Policy, Resources
from wassette_supervisor.policy.network_difference import network_changes
from wassette_supervisor.policy.numbering import rule_text
from wassette_supervisor.policy.resources import RESOURCES
from wassette_supervisor.policy.storage_difference import storage_changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wassette_supervisor.policy.document import EnvironmentRule


class RightChange(NamedTuple):
    """A right that is granted now (+) or no longer (-)."""

    sign: Literal["+", "-"]
    text: str  # one line


class _Pair(NamedTuple):
    old: Permissions
    new: Permissions


def difference(old: Policy | None, new: Policy | None) -> list[RightChange]:
    """What is granted now and was not before, and the other way round; empty if nothing.

    Where the rules are too entangled to be compared, each that came or went is named.
    """
    before, after = old or Policy(), new or Policy()
    whole = _Pair(before.permissions, after.permissions)
    changes = list(_of_permissions(whole, None))
    for tool in sorted(before.tools.keys() | after.tools.keys()):
        prefix = f"tool {tool}: "
        found = _of_tool(whole, before.tools.get(tool), after.tools.get(tool))
        changes.extend(RightChange(sign, prefix + text) for sign, text in found)
    return changes


def _of_tool(
    whole: _Pair, old: Permissions | None, new: Permissions | None
) -> Iterator[RightChange]:
    """What a tool's section changes of what the component has both before and after."""
    if old is not None and new is not None:
        yield from _of_permissions(_Pair(old, new), whole)
        return
    section = old or new or Permissions()
    # Without a section a tool has all: what does the section take from that?
    if list(_rights(_Pair(section, whole.old), whole)):
        sign: Literal["+", "-"] = "+" if new is None else "-"
        text = "all that the component has" if new is None else "what its section doesn't name"
        yield RightChange(sign, text)
    resources = (section.resources, Resources())
    before, after = resources if new is None else reversed(resources)
    yield from _limits(before, after, defaults=None)


def _of_permissions(pair: _Pair, within: _Pair | None) -> Iterator[RightChange]:
    yield from _rights(pair, within)
    defaults = Limits() if within is None else None
    yield from _limits(pair.old.resources, pair.new.resources, defaults)


def _rights(pair: _Pair, within: _Pair | None) -> Iterator[RightChange]:
    storage = within and (within.old.storage, within.new.storage)
    for gained, text in storage_changes(pair.old.storage, pair.new.storage, storage):
        yield RightChange("+" if gained else "-", text)
    network = within and (within.old.network, within.new.network)
    for gained, text in network_changes(pair.old.network, pair.new.network, network):
        yield RightChange("+" if gained else "-", text)
    yield from _environment(pair, within)


def _environment(pair: _Pair, within: _Pair | None) -> Iterator[RightChange]:
    old, new = _variables(pair.old), _variables(pair.new)
    if within is not None:  # a section only names keys, of those that the component has
        both = _variables(within.old).keys() & _variables(within.new).keys()
        old = {key: f"variable {key}" for key in old.keys() & both}
        new = {key: f"variable {key}" for key in new.keys() & both}
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) == new.get(key):
            continue
        if key in old:
            yield RightChange("-", old[key])
        if key in new:
            yield RightChange("+", new[key])


def _variables(permissions: Permissions) -> dict[str, str]:
    rules: tuple[EnvironmentRule, ...] = permissions.environment.allow
    return {rule.key: f"variable {rule_text(rule)}" for rule in rules}


def _limits(old: Resources, new: Resources, defaults: Limits | None) -> Iterator[RightChange]:
    """`defaults`: what counts where nothing is set; None: nothing is limited there."""
    for name, limit in RESOURCES.items():
        before, after = getattr(old, limit.field), getattr(new, limit.field)
        if before == after:
            continue
        default = getattr(defaults, LIMITS[name].field) if defaults and name in LIMITS else None
        fewer = _is_fewer(before, after, default)
        was, now = ("unset" if value is None else limit.text(value) for value in (before, after))
        yield RightChange("-" if fewer else "+", f"limit {name} {now}, was {was}")


def _is_fewer(before: int | None, after: int | None, default: int | None) -> bool:
    first = before if before is not None else default
    last = after if after is not None else default
    if last is None:
        return False
    # Equal: one is the default, and the server's may be another than ours; more is assumed.
    return first is None or last < first
