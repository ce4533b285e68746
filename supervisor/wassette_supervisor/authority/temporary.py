"""What a person allowed for one call or for as long as this server runs; kept nowhere else."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy import edit

if TYPE_CHECKING:
    from collections.abc import Callable

    from wassette_protocol.frames import ComponentId, Digest
    from wassette_supervisor.policy.document import Policy, Rule

Scope = Literal["once", "session", "always"]

ONCE_S = 600.0


@dataclass(frozen=True)
class _Allowed:
    rule: Rule
    digest: Digest  # of the component that it was allowed to
    until: float | None  # of one that holds for a single call


class Temporary:
    """Rules beside the policies. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._allowed: dict[ComponentId, list[_Allowed]] = {}

    def allow(
        self, component: ComponentId, digest: Digest, rule: Rule, scope: Literal["once", "session"]
    ) -> None:
        until = self._clock() + ONCE_S if scope == "once" else None
        with self._lock:
            self._allowed.setdefault(component, []).append(_Allowed(rule, digest, until))

    def rules(self, component: ComponentId, digest: Digest) -> list[Rule]:
        """What holds now for these bytes of the component."""
        return [each.rule for each in self._current(component, digest)]

    def taken(self, component: ComponentId, digest: Digest) -> list[Rule]:
        """As `rules`, for a call that starts: what was allowed once is used up by it."""
        with self._lock:
            found = self._current(component, digest)
            kept = [each for each in found if each.until is None]
            if kept:
                self._allowed[component] = kept
            else:
                self._allowed.pop(component, None)
        return [each.rule for each in found]

    def forget(self, component: ComponentId) -> bool:
        """Take all of it back; whether there was any."""
        with self._lock:
            return bool(self._allowed.pop(component, None))

    def withdraw(self, component: ComponentId, revoked: Callable[[Policy], Policy]) -> bool:
        """Take back what a revoke takes away; whether there was any of it."""
        with self._lock:
            earlier = self._allowed.get(component, [])
            kept = [each for each in earlier if _stays(each.rule, revoked)]
            self._allowed[component] = kept
        return len(kept) < len(earlier)

    def _current(self, component: ComponentId, digest: Digest) -> list[_Allowed]:
        now = self._clock()
        return [
            each
            for each in self._allowed.get(component, ())
            if each.digest == digest and (each.until is None or now < each.until)
        ]


def _stays(rule: Rule, revoked: Callable[[Policy], Policy]) -> bool:
    try:
        revoked(edit.grant(None, rule))
    except PolicyError:  # it is none of what is revoked
        return True
    return False
