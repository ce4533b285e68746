"""Requests of guests, as the pool sees them: decided by somebody else, and put in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from wassette_protocol.broker_frames import AddressRules, Destination, RequestEnded
    from wassette_protocol.frames import HttpRequested

DENIED = "HTTP-request-denied"
LOST = "broker-ended"  # of a request that the broker took with it


class Refusal(NamedTuple):
    """The guest gets this error, one of REFUSALS; with `final`, for all later ones too."""

    code: str = DENIED
    final: bool = False


class Decided(NamedTuple):
    """A request that may be made: what the broker is told, and who is told how it ended."""

    destination: Destination
    method: str
    target: str
    rules: AddressRules
    inject: tuple[tuple[str, str], ...]  # secrets among them
    ended: Callable[[RequestEnded], None]

    def __repr__(self) -> str:
        return f"Decided({self.destination!r}, {self.method})"


class Requests(Protocol):
    """Who decides the requests of one call."""

    @property
    def component(self) -> str:
        """Whose call it is: connections are used again for the same component alone."""
        ...

    async def asked(self, wanted: HttpRequested, under_way: int) -> Decided | Refusal:
        """Decide, and put it on record before anything goes out.

        Args:
            wanted: The guest's words, from its worker.
            under_way: How many of the call's requests are not over.

        Raises:
            AuditError: It can't be recorded; nothing may go out.
        """
        ...
