"""What was asked, what waits for an answer and what was refused, while this server runs.

An answer counts once: it carries the nonce of its question, and a nonce is spent on first use.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from wassette_supervisor.consent.change import Keep, key
from wassette_supervisor.errors import SupervisorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wassette_supervisor.consent.change import Asked, Change

# Refused questions that are remembered; a model that makes up more of them is asked no more.
MAX_REFUSED = 1000
# Questions that nobody asked for, about files in a directory: after so many noes there are none.
MAX_UNWANTED = 5


class Held(Protocol):
    """What a question keeps open until it is answered."""

    def close(self) -> None: ...


_HeldT = TypeVar("_HeldT", bound=Held)


@dataclass(frozen=True)
class Waiting(Generic[_HeldT]):
    """A question that may still be answered."""

    asked: Asked
    before: frozenset[bytes]  # keys of what was allowed earlier in the same request
    held: _HeldT | None
    deadline: float
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class QuestionOpenError(SupervisorError):
    """A person is being asked something else."""

    def __init__(self) -> None:
        super().__init__(
            "a person is being asked already, about one change at a time; call again when that "
            "is answered"
        )


class Book(Generic[_HeldT]):
    """One server's questions."""

    def __init__(self, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._open: Waiting[_HeldT] | None = None
        self._refused: set[bytes] = set()
        self._unwanted = 0

    def was_refused(self, change: Change) -> bool:
        return key(change) in self._refused or len(self._refused) >= MAX_REFUSED

    def refuse(self, change: Change) -> None:
        if key(change) in self._refused:
            return
        self._refused.add(key(change))
        if isinstance(change, Keep) and change.local:
            self._unwanted += 1

    def may_offer(self, change: Change) -> bool:
        """Whether a person may be asked now what no model and no person asked for."""
        self.expire()
        free = self._open is None and self._unwanted < MAX_UNWANTED
        return free and not self.was_refused(change)

    def ask(
        self, asked: Asked, before: frozenset[bytes] = frozenset(), held: _HeldT | None = None
    ) -> Waiting[_HeldT]:
        """Open a question; what it holds is then the book's.

        Raises:
            QuestionOpenError: One is open, perhaps the same: nobody is asked twice at once.
        """
        self.expire()
        if self._open is not None:
            raise QuestionOpenError
        self._open = Waiting(asked, before, held, self._clock() + self._timeout_s)
        return self._open

    def spend(self, nonce: str) -> Waiting[_HeldT] | None:
        """The question that this nonce was given to: once, and only in time."""
        self.expire()
        waiting = self._open
        if waiting is None or not secrets.compare_digest(
            waiting.nonce.encode(), nonce.encode(errors="surrogatepass")
        ):
            return None
        self._open = None
        return waiting

    def expire(self) -> Asked | None:
        """A question that was not answered in time was refused; tells which one."""
        waiting = self._open
        if waiting is None or self._clock() < waiting.deadline:
            return None
        self.refuse(waiting.asked.change)
        self._close()
        return waiting.asked

    def withdraw(self, waiting: Waiting[_HeldT]) -> None:
        """Take back a question that was never put; what it held is its asker's again."""
        self._open = None if self._open is waiting else self._open

    def close(self) -> None:
        self._close()

    def _close(self) -> None:
        waiting, self._open = self._open, None
        if waiting is not None and waiting.held is not None:
            waiting.held.close()
