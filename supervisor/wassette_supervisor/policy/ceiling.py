"""What of a policy the operator's ceiling takes away, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_supervisor.limits import LIMITS
from wassette_supervisor.policy.directories import access_to, directories, host_path
from wassette_supervisor.policy.effective import CEILING, Effective, state
from wassette_supervisor.policy.enforceable import ENFORCED_LIMITS
from wassette_supervisor.policy.numbering import shown
from wassette_supervisor.policy.storage_uri import STATE_URI

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wassette_supervisor.policy.directories import GrantedDirectory
    from wassette_supervisor.policy.document import Access
    from wassette_supervisor.policy.effective import Layer

_BEYOND = "the operator's ceiling doesn't allow it"


def beyond(effective: Effective) -> list[str]:
    """What the other layers grant and the ceiling doesn't, in a line each.

    Raises:
        PolicyError: Two folders in each other would need different access.
    """
    ceiling = next((layer for layer in effective.others if layer.name == CEILING), None)
    if ceiling is None:
        return []
    without = Effective(effective.policy, tuple(x for x in effective.others if x is not ceiling))
    return [
        *_variables(without, ceiling),
        *dict.fromkeys(_directories(without, directories(effective))),
        *_state(state(without), state(effective)),
        *_limits(without, ceiling),
    ]


def _variables(without: Effective, ceiling: Layer) -> Iterator[str]:
    for key in without.policy.environment:
        if key not in ceiling.environment and all(
            key in layer.environment for layer in without.others
        ):
            yield f"variable {key}: {_BEYOND}"


def _directories(without: Effective, given: Sequence[GrantedDirectory]) -> Iterator[str]:
    for clause in without.policy.storage_allow:
        access, path = access_to(clause, without.layers), host_path(clause)
        name = f"directory {shown(path)}"
        around = next((each for each in given if _lies_in(path, each.host_path)), None)
        inside = [shown(each.host_path) for each in given if _lies_in(each.host_path, path)]
        if around is not None:
            if "write" in access and not around.writable:
                yield f"{name}: the operator's ceiling allows it to be read only"
        elif "read" in access and inside:
            yield f"{name}: the operator's ceiling allows only {', '.join(inside)} of it"
        elif "read" in access:
            yield f"{name}: {_BEYOND}"


def _state(without: frozenset[Access], given: frozenset[Access]) -> Iterator[str]:
    if without and not given:
        yield f"{STATE_URI}: {_BEYOND}"
    elif without != given:
        yield f"{STATE_URI}: the operator's ceiling allows it to be read only"


def _lies_in(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _limits(without: Effective, ceiling: Layer) -> Iterator[str]:
    for name in sorted(ENFORCED_LIMITS):
        most = getattr(ceiling.resources, name)
        own = getattr(without.policy.resources, name)
        if most is not None and own is not None and own > most:
            yield f"limit {name}: the operator's ceiling allows {LIMITS[name].text(most)} at most"
