"""What of a policy the operator's ceiling takes away, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_supervisor.policy.directories import host_path, text
from wassette_supervisor.policy.effective import CEILING, Effective, state
from wassette_supervisor.policy.enforceable import ENFORCED_LIMITS, STORAGE_LIMITS
from wassette_supervisor.policy.network_ceiling import allowed_of
from wassette_supervisor.policy.numbering import rule_text, shown
from wassette_supervisor.policy.resources import RESOURCES
from wassette_supervisor.policy.storage_uri import STATE_URI

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wassette_supervisor.policy.document import Access
    from wassette_supervisor.policy.effective import Layer, StorageClause
    from wassette_supervisor.policy.network_ceiling import Much

_BEYOND = "the operator's ceiling doesn't allow it"


def beyond(effective: Effective) -> list[str]:
    """What the other layers grant and the ceiling doesn't, in a line each.

    Of patterns that meet others it may tell what is taken where nothing is.
    """
    ceiling = next((layer for layer in effective.others if layer.name == CEILING), None)
    if ceiling is None:
        return []
    without = Effective(effective.policy, tuple(x for x in effective.others if x is not ceiling))
    return [
        *_variables(without, ceiling),
        *dict.fromkeys(_files(without, ceiling)),
        *dict.fromkeys(_hosts(without, ceiling)),
        *_state(state(without), state(effective)),
        *_limits(without, ceiling),
    ]


def _variables(without: Effective, ceiling: Layer) -> Iterator[str]:
    for key in without.policy.environment:
        if key not in ceiling.environment and all(
            key in layer.environment for layer in without.others
        ):
            yield f"variable {key}: {_BEYOND}"


def _files(without: Effective, ceiling: Layer) -> Iterator[str]:
    for clause in without.policy.storage_allow:
        # What a tool's section takes is no matter of the ceiling.
        given = {
            access: _of(ceiling, clause, access)
            for access in clause.access
            if all(_of(layer, clause, access) == "all" for layer in without.others)
        }
        amounts = set(given.values())
        if amounts <= {"all"}:
            continue
        why = f"the operator's ceiling allows only {_inside(ceiling, clause)} of it"
        if amounts == {"nothing"}:
            why = _BEYOND
        elif given.get("read") == "all" and given.get("write") == "nothing":
            why = "the operator's ceiling allows it to be read only"
        yield f"files {_name(clause)}: {why}"


def _hosts(without: Effective, ceiling: Layer) -> Iterator[str]:
    for rule, clause in without.policy.network_allow:
        if any(allowed_of(layer, clause) != "all" for layer in without.others):
            continue
        much = allowed_of(ceiling, clause)
        if much != "all":
            why = (
                _BEYOND if much == "nothing" else "the operator's ceiling allows only a part of it"
            )
            yield f"requests to {rule_text(rule.rule)}: {why}"


def _of(layer: Layer, clause: StorageClause, access: Access) -> Much:
    """How much of what a rule means a layer allows."""
    denying = [each for each in layer.storage_deny if access in each.access]
    allowing = [each for each in layer.storage_allow if access in each.access]
    if any(each.whole.covers(clause.whole) for each in denying):
        return "nothing"
    if any(each.whole.covers(clause.whole) for each in allowing):
        return "some" if any(_meets(each, clause) for each in denying) else "all"
    return "some" if any(_meets(each, clause) for each in allowing) else "nothing"


def _meets(one: StorageClause, other: StorageClause) -> bool:
    """Whether something may be meant by both."""
    deeper = max(one.anchor, other.anchor, key=len)
    begin = all(deeper[: len(each.anchor)] == each.anchor for each in (one, other))
    return begin and one.touches(deeper) and other.touches(deeper)


def _inside(ceiling: Layer, clause: StorageClause) -> str:
    """What the ceiling names of it, if that is folders within it and no more."""
    found = [each for each in ceiling.storage_allow if _meets(each, clause)]
    is_plain = not any(each.has_glob or each.anchor == clause.anchor for each in found)
    if ceiling.storage_deny or not is_plain:
        return "a part"
    return ", ".join(dict.fromkeys(text(each.anchor) for each in found))


def _name(clause: StorageClause) -> str:
    below = "/**" if clause.has_glob and clause.whole.below else ""
    return shown(host_path(clause.whole.segments) + below)


def _state(without: frozenset[Access], given: frozenset[Access]) -> Iterator[str]:
    if without and not given:
        yield f"{STATE_URI}: {_BEYOND}"
    elif without != given:
        yield f"{STATE_URI}: the operator's ceiling allows it to be read only"


def _limits(without: Effective, ceiling: Layer) -> Iterator[str]:
    for name in sorted(ENFORCED_LIMITS | STORAGE_LIMITS):
        limit = RESOURCES[name]
        most = getattr(ceiling.resources, limit.field)
        own = getattr(without.policy.resources, limit.field)
        if most is not None and own is not None and own > most:
            yield f"limit {name}: the operator's ceiling allows {limit.text(most)} at most"
