"""What HTTP/1.1 and HTTP/2 have in common, as one request sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from wassette_supervisor.broker.headers import Headers

MAX_HEADERS = 96  # an engine's hyper takes 100, with those that we add
MAX_INFORMATIONAL = 32  # heads of 1xx before the answer

WITHOUT_BODY = frozenset({204, 304})  # RFC 9110, 6.4.1
# Done twice they change no more than done once (RFC 9110, 9.2.2).
IDEMPOTENT = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE"})


class Head(NamedTuple):
    """Of a request towards the world."""

    method: str
    scheme: str
    authority: bytes
    target: str
    headers: Headers
    has_body: bool
    length: int | None  # of the body, if it was said


class Answer(NamedTuple):
    status: int
    headers: Headers
    length: int | None  # of the body, if it was said; for HEAD of the one that isn't sent


class Stream(Protocol):
    """One request and its answer, on a connection that is there.

    Whatever raises, raises RequestError.
    """

    trailers: Headers  # of the answer, after its end
    version: str  # of HTTP; that of the answer, once it is there

    @property
    def address(self) -> str:
        """That was dialled."""

    def start(self, head: Head) -> None:
        """Send the head."""

    async def send(self, piece: bytes) -> None:
        """Send a piece of the body, when the world takes it."""

    async def end(self, trailers: Headers) -> None:
        """End the body."""

    async def answer(self) -> Answer:
        """Wait for the head of the answer; those of 1xx are dropped."""

    def take(self) -> bytes | None:
        """A piece of the answer's body: empty at its end, None if none has come."""

    async def wait(self) -> None:
        """Until there is something to take."""

    def close(self) -> None:
        """Have no more of it; what is whole can be used again."""
