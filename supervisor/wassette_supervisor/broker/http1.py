"""HTTP/1.1 towards the world, on h11."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import h11

from wassette_supervisor.broker import codes, headers
from wassette_supervisor.broker.answers import (
    IDEMPOTENT,
    MAX_HEADERS,
    MAX_INFORMATIONAL,
    Answer,
)
from wassette_supervisor.broker.codes import HTTP_FAULT, INCOMPLETE, TERMINATED, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wassette_supervisor.broker.answers import Head
    from wassette_supervisor.broker.headers import Headers
    from wassette_supervisor.broker.wire import Wire

# Without a proposal of ours h11 only knows that 101 is wrong.
_SWITCHED = re.compile(rb"(?:\A|\n)HTTP/1\.[01] 101\b")


class Http1:
    """A connection, and the one request at a time that it has."""

    def __init__(self, wire: Wire, address: str, give_back: Callable[[Http1], None]) -> None:
        self.address = address
        self.version = ""
        self.trailers: Headers = []
        self._wire = wire
        self._give_back = give_back
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=headers.MAX_BYTES)
        self._heads = b""  # what came before the answer's head was whole
        self._used = False  # for a request before this one
        self._idempotent = False
        self._has_answer = False
        self._ended = False  # the server says no more
        self._whole = False  # the answer was
        self._keep = True  # it says where the answer ends

    def is_fresh(self) -> bool:
        """Whether it can have another request."""
        return self._wire.is_quiet()

    def when_stale(self, call: Callable[[], None] | None) -> None:
        """Tell if the server ends it, or says something that nobody asked for."""
        self._wire.on_end = call

    def abort(self) -> None:
        self._wire.abort()

    # --- the request ---

    def start(self, head: Head) -> None:
        self._has_answer, self._whole, self._heads, self.trailers = False, False, b"", []
        self._idempotent = head.method in IDEMPOTENT
        said = [(b"host", head.authority), *head.headers]
        if head.length is not None:
            said.append((b"content-length", b"%d" % head.length))
        elif head.has_body:
            said.append((b"transfer-encoding", b"chunked"))
        pieces = self._said(h11.Request, method=head.method, target=head.target, headers=said)
        if not head.has_body:
            pieces += self._said(h11.EndOfMessage)
        self._write(pieces)

    async def send(self, piece: bytes) -> None:
        # A server that answers early and goes, goes with a reset: what it said is read before that.
        if not self._wire.is_quiet():
            await asyncio.sleep(0)
        self._write(self._said(h11.Data, data=piece))
        try:
            await self._wire.drain()
        except ConnectionError:
            raise RequestError(TERMINATED) from None

    async def end(self, trailers: Headers) -> None:
        self._write(self._said(h11.EndOfMessage, headers=trailers))

    def _said(self, event: Callable[..., h11.Event], **said: object) -> list[bytes]:
        try:
            return self._h11.send_with_data_passthrough(event(**said)) or []
        except h11.LocalProtocolError:
            # Its text has the header, which may be a secret.
            raise RequestError(HTTP_FAULT) from None

    def _write(self, pieces: list[bytes]) -> None:
        try:
            self._wire.write(*pieces)
        except ConnectionError:
            raise RequestError(TERMINATED, untouched=self._used) from None

    # --- the answer ---

    async def answer(self) -> Answer:
        for _ in range(MAX_INFORMATIONAL + 1):
            while (event := self._event()) is h11.NEED_DATA:
                if not self._feed():
                    await self._wire.wait()
            if isinstance(event, h11.Response):
                return self._answered(event)
        raise RequestError(HTTP_FAULT)

    def _answered(self, event: h11.Response) -> Answer:
        self._has_answer, self._heads = True, b""
        self.version = f"HTTP/{event.http_version.decode('ascii')}"
        said = list(event.headers)
        if headers.is_too_large(said, MAX_HEADERS):
            raise RequestError("HTTP-response-header-section-size")
        try:
            length = headers.content_length(said)
        except ValueError:
            raise RequestError(HTTP_FAULT) from None
        if any(name == b"transfer-encoding" for name, _ in said):
            # Where two lengths are told, the next answer may begin at either (RFC 9112, 6.3).
            self._keep = length is None
            length = None
        return Answer(event.status_code, said, length)

    def take(self) -> bytes | None:
        while True:
            event = self._event()
            if event is h11.NEED_DATA:
                if not self._feed():
                    return None
            elif isinstance(event, h11.Data):
                # A bytearray that h11 has no more use for: not worth a copy.
                return event.data
            elif isinstance(event, h11.EndOfMessage):
                self.trailers = list(event.headers)
                if headers.is_too_large(self.trailers, MAX_HEADERS):
                    raise RequestError("HTTP-response-trailer-section-size")
                self._whole = True
                return b""
            else:
                raise RequestError(HTTP_FAULT)

    async def wait(self) -> None:
        await self._wire.wait()

    def _event(self) -> type[h11.NEED_DATA | h11.PAUSED] | h11.Event:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            raise RequestError(self._fault(error)) from None

    def _fault(self, error: h11.RemoteProtocolError) -> str:
        if self._has_answer and self._ended:
            return INCOMPLETE
        if not self._has_answer and _SWITCHED.search(self._heads):
            return "HTTP-upgrade-failed"
        return codes.of_answer(error)

    def _feed(self) -> bool:
        """Give h11 what has come; False if nothing has."""
        chunk = self._wire.take()
        if chunk is not None:
            if not self._has_answer:
                self._heads += chunk[: 2 * headers.MAX_BYTES]
            self._h11.receive_data(chunk)
            return True
        if not self._wire.ended:
            return False
        if not self._has_answer:
            raise RequestError(TERMINATED, untouched=self._is_stale())
        if self._wire.reset or self._ended:
            raise RequestError(INCOMPLETE)
        self._ended = True
        self._h11.receive_data(b"")
        return True

    def _is_stale(self) -> bool:
        """Whether it had most likely ended before the request, and that may be sent once more.

        A server that was sent all of a request may have acted on it all the same.
        """
        unfinished = self._h11.our_state is h11.SEND_BODY
        return self._used and not self._heads and (self._idempotent or unfinished)

    def close(self) -> None:
        if self._whole and self._keep and self._is_done() and self._wire.is_quiet():
            self._h11.start_next_cycle()
            self._used = True
            self._give_back(self)
        else:
            self._wire.abort()

    def _is_done(self) -> bool:
        ended = self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE
        return ended and not self._h11.trailing_data[0]
