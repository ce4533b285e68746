"""Which injected headers go with a request must be plain from the rules: two may not compete."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy import host as hosts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wassette_supervisor.policy.document import NetworkRule
    from wassette_supervisor.policy.strict_yaml import Position


def check_injects(rules: Sequence[NetworkRule], at: Sequence[Position] | None) -> None:
    """Refuse two rules that could match one request with different headers.

    Paths are not compared: two patterns that look apart may still meet.

    Raises:
        PolicyError: There are two such rules.
    """
    setting = [(index, rule) for index, rule in enumerate(rules) if rule.inject]
    by_host: dict[tuple[str | None, str, int | None], list[tuple[int, NetworkRule]]] = {}
    for index, rule in setting:
        by_host.setdefault(_target(rule), []).append((index, rule))
    for same in by_host.values():
        for (_, first), (index, second) in combinations(same, 2):
            if first.inject != second.inject and _methods_meet(first, second):
                what = f"two rules for {second.host} inject different headers"
                instead = "write all headers in one rule, or rules for different methods"
                line, column = at[index] if at else (None, None)
                raise PolicyError(what, instead, line=line, column=column)


def _target(rule: NetworkRule) -> tuple[str | None, str, int | None]:
    host = hosts.parse(rule.host or "")
    # Loopback is the one host that may be without a scheme; then it meets both.
    return None if hosts.is_loopback(host) else host.scheme, host.name, _port(host)


def _port(host: hosts.Host) -> int | None:
    return None if hosts.is_loopback(host) else host.port or 443


def _methods_meet(first: NetworkRule, second: NetworkRule) -> bool:
    if not first.methods or not second.methods:
        return True
    return bool(set(first.methods).intersection(second.methods))
