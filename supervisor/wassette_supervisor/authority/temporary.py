"""What a person allowed for one call or for as long as this server runs; kept nowhere else."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy import edit

if TYPE_CHECKING:
    from collections.abc import Callable

    from wassette_protocol.frames import ComponentId, Digest
    from wassette_supervisor.policy.document import Policy, Rule
    from wassette_supervisor.store.record import Record

Scope = Literal["once", "session", "always"]

ONCE_S = 600.0


class Identity(NamedTuple):
    """What a component must still be: these bytes, loaded then, and narrowed by nobody since."""

    digest: Digest
    loaded: float
    narrowed: int

    @classmethod
    def of(cls, record: Record) -> Identity:
        return cls(record.digest, record.loaded, record.narrowed)


@dataclass(frozen=True)
class _Allowed:
    rule: Rule
    to: Identity
    until: float | None  # of one that holds for a single call


class Temporary:
    """Rules beside the policies. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._allowed: dict[ComponentId, list[_Allowed]] = {}

    def allow(self, record: Record, rule: Rule, scope: Literal["once", "session"]) -> None:
        until = self._clock() + ONCE_S if scope == "once" else None
        with self._lock:
            allowed = _Allowed(rule, Identity.of(record), until)
            self._allowed.setdefault(record.id, []).append(allowed)

    def rules(self, record: Record) -> list[Rule]:
        """What holds now for the component as it is."""
        return [each.rule for each in self._current(record)]

    def taken(self, record: Record) -> list[Rule]:
        """As `rules`, for a call that starts: what was allowed once is used up by it."""
        with self._lock:
            found = self._current(record)
            kept = [each for each in found if each.until is None]
            if kept:
                self._allowed[record.id] = kept
            else:
                self._allowed.pop(record.id, None)
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

    def renew(self, record: Record) -> None:
        """Keep what is left, after a revoke of this process narrowed the component."""
        with self._lock:
            kept = [
                replace(each, to=Identity.of(record)) for each in self._allowed.get(record.id, ())
            ]
            self._allowed[record.id] = kept

    def _current(self, record: Record) -> list[_Allowed]:
        now = self._clock()
        identity = Identity.of(record)
        return [
            each
            for each in self._allowed.get(record.id, ())
            if each.to == identity and (each.until is None or now < each.until)
        ]


def _stays(rule: Rule, revoked: Callable[[Policy], Policy]) -> bool:
    try:
        revoked(edit.grant(None, rule))
    except PolicyError:  # it is none of what is revoked
        return True
    return False
