"""The orders of one worker, each to be taken once and told the end of once; no I/O."""

from __future__ import annotations

from wassette_protocol.broker_frames import ABORTED, UNUSED, Order, RequestEnded
from wassette_protocol.codec import PeerViolation

MOST = 1024  # that wait at once; a worker asks for each by a message and waits for the answer
_TOO_MANY = "connection-limit-reached"


class Orders:
    def __init__(self) -> None:
        self.ever = 0
        self._waiting: dict[str, Order] = {}
        self._taken: set[str] = set()

    def add(self, order: Order) -> RequestEnded | None:
        """Have it wait for its worker; what there is to tell if it can't.

        Raises:
            PeerViolation: One of this id is there already.
        """
        if order.id in self._waiting or order.id in self._taken:
            raise PeerViolation("two orders of one id")
        if len(self._waiting) >= MOST:
            return RequestEnded(order.id, _TOO_MANY)
        self._waiting[order.id] = order
        self.ever += 1
        return None

    def take(self, identifier: str) -> Order | None:
        """The order of this id, for the first who asks."""
        order = self._waiting.pop(identifier, None)
        if order is not None:
            self._taken.add(identifier)
        return order

    def end(self, identifier: str) -> bool:
        """Whether its end is to be told: it was taken, and has not ended before."""
        if identifier not in self._taken:
            return False
        self._taken.remove(identifier)
        return True

    def rest(self) -> list[RequestEnded]:
        """What there is to tell of those that have not ended, when nothing is under way."""
        told = [RequestEnded(identifier, UNUSED) for identifier in self._waiting]
        told += [RequestEnded(identifier, ABORTED) for identifier in sorted(self._taken)]
        self._waiting.clear()
        self._taken.clear()
        return told
