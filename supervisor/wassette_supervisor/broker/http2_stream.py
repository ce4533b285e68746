"""One request over HTTP/2."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import TYPE_CHECKING

from h2 import events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

from wassette_supervisor.broker import headers
from wassette_supervisor.broker.answers import (
    IDEMPOTENT,
    MAX_HEADERS,
    MAX_INFORMATIONAL,
    WITHOUT_BODY,
    Answer,
)
from wassette_supervisor.broker.codes import HTTP_FAULT, INCOMPLETE, TERMINATED, RequestError

if TYPE_CHECKING:
    from wassette_supervisor.broker.answers import Head
    from wassette_supervisor.broker.headers import Headers
    from wassette_supervisor.broker.http2 import Http2

# Pieces are kept together up to this size: windows count bytes, and each piece takes more than its
# own.
_SMALL = 8 * 1024
# h2 doesn't look at them. There is no 101 in HTTP/2 (RFC 9113, 8.6).
_STATUS = re.compile(rb"[2-9][0-9]{2}")
_INFORMATIONAL = re.compile(rb"1(?!01)[0-9]{2}")


class Http2Stream:
    version = "HTTP/2"

    def __init__(self, connection: Http2) -> None:
        self.id = 0
        self.trailers: Headers = []
        self._connection = connection
        self._h2 = connection.h2
        self._heard = connection.heard
        self._answer: Answer | None = None
        self._pieces: deque[tuple[bytes, int]] = deque()  # with what it took of the windows
        self._informational = 0
        self._bodiless = False  # the answer can have no body, whether its end is told or not
        self._ended = False  # the answer is whole
        self._done = False  # so is the request
        self._idempotent = False
        self._closed = False  # nothing more can be sent
        self._error: RequestError | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    @property
    def address(self) -> str:
        return self._connection.address

    # --- the request ---

    def start(self, head: Head) -> None:
        said: Headers = [
            (b":method", head.method.encode()),
            (b":scheme", head.scheme.encode()),
            (b":authority", head.authority),
            (b":path", head.target.encode()),
            *head.headers,
        ]
        if head.length is not None:
            said.append((b"content-length", b"%d" % head.length))
        try:
            self.id = self._h2.get_next_available_stream_id()
        except ProtocolError:
            self._connection.leave()  # all numbers are used up
            raise RequestError(TERMINATED, untouched=True) from None
        self._heard = self._connection.heard
        self._connection.streams[self.id] = self
        self._done = not head.has_body
        self._idempotent = head.method in IDEMPOTENT
        self._bodiless = head.method == "HEAD"
        try:
            self._h2.send_headers(self.id, said, end_stream=self._done)
        except (ProtocolError, ValueError):
            # Its text may have a header, and that a secret. What was numbered is not used again.
            self._connection.leave()
            raise RequestError(HTTP_FAULT) from None
        self._connection.flush()

    async def send(self, piece: bytes) -> None:
        rest = memoryview(piece)
        try:
            while rest:
                rest = await self._send_some(rest)
            await self._connection.wire.drain()
        except (ProtocolError, ConnectionError):
            raise RequestError(TERMINATED) from None

    async def _send_some(self, rest: memoryview) -> memoryview:
        """Send what the server's windows let through, and wait where that is nothing."""
        while rest and not self._closed:
            room = self._h2.local_flow_control_window(self.id)
            size = min(room, self._h2.max_outbound_frame_size, len(rest))
            if size <= 0:
                break
            self._h2.send_data(self.id, bytes(rest[:size]))
            rest = rest[size:]
            self._connection.moved()
        self._connection.flush()
        if self._closed:
            raise RequestError(TERMINATED)
        if rest:
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer
        return rest

    async def end(self, trailers: Headers) -> None:
        if self._closed:
            raise RequestError(TERMINATED)
        try:
            if trailers:
                self._h2.send_headers(self.id, trailers, end_stream=True)
            else:
                self._h2.end_stream(self.id)
        except (ProtocolError, ValueError):
            raise RequestError(HTTP_FAULT) from None
        self._done = True
        self._connection.flush()

    # --- the answer ---

    async def answer(self) -> Answer:
        while self._answer is None:
            if self._error is not None:
                raise self._error
            await self.wait()
        return self._answer

    def take(self) -> bytes | None:
        if self._bodiless:
            return b""
        if self._pieces:
            piece, size = self._pieces.popleft()
            self._give_back(size)
            return piece
        if self._error is not None:
            raise self._error
        return b"" if self._ended else None

    async def wait(self) -> None:
        if self._pieces or self._ended or self._error is not None:
            return
        self._reader = asyncio.get_running_loop().create_future()
        await self._reader

    def _give_back(self, size: int) -> None:
        """Let the server send as much more."""
        try:
            self._h2.acknowledge_received_data(size, self.id)
        except ProtocolError:
            return  # the connection is at its end
        self._connection.flush()

    def close(self) -> None:
        if not self.id:
            return
        if size := sum(size for _, size in self._pieces):
            self._give_back(size)
            self._pieces.clear()
        if not (self._ended and self._done) and not self._closed:
            try:
                self._h2.reset_stream(self.id, ErrorCodes.CANCEL)
            except ProtocolError:
                self._connection.leave()
            self._connection.flush()
        self._connection.forget(self)

    # --- what the connection says ---

    def happened(self, event: events.Event) -> None:
        if isinstance(event, events.DataReceived):
            self._data(event)
        elif isinstance(event, events.ResponseReceived):
            self._answered(event.headers or [])
        elif isinstance(event, events.InformationalResponseReceived):
            self._informed(event.headers or [])
        elif isinstance(event, events.TrailersReceived):
            self._trailed(event.headers or [])
        elif isinstance(event, events.StreamEnded):
            self._ended = True
        elif isinstance(event, events.StreamReset):
            self._was_reset(event)
        self._wake()

    def _data(self, event: events.DataReceived) -> None:
        data, size = event.data, event.flow_controlled_length or 0
        if data and self._pieces and len(self._pieces[-1][0]) + len(data) <= _SMALL:
            before, taken = self._pieces.pop()
            self._pieces.append((before + data, taken + size))
        elif data:
            self._pieces.append((data, size))
        elif size:
            self._give_back(size)  # nothing but padding

    def _answered(self, said: Headers) -> None:
        status = _status(said)
        plain = [(bytes(name), bytes(value)) for name, value in said if name[:1] != b":"]
        if headers.is_too_large(plain, MAX_HEADERS):
            self.fail(RequestError("HTTP-response-header-section-size"))
            return
        try:
            length = headers.content_length(plain)
        except ValueError:
            self.fail(RequestError(HTTP_FAULT))
            return
        if _STATUS.fullmatch(status):
            self._answer = Answer(int(status), plain, length)
            self._bodiless = self._bodiless or self._answer.status in WITHOUT_BODY
        else:
            self.fail(RequestError(HTTP_FAULT))

    def _informed(self, said: Headers) -> None:
        self._informational += 1
        known = _INFORMATIONAL.fullmatch(_status(said))
        if not known or self._informational > MAX_INFORMATIONAL:
            self.fail(RequestError(HTTP_FAULT))

    def _trailed(self, said: Headers) -> None:
        if headers.is_too_large(said, MAX_HEADERS):
            self.fail(RequestError("HTTP-response-trailer-section-size"))
        self.trailers = [(bytes(name), bytes(value)) for name, value in said]

    def _was_reset(self, event: events.StreamReset) -> None:
        self._closed = True
        if not self._ended:  # else it only doesn't want the rest of the request
            refused = event.error_code == ErrorCodes.REFUSED_STREAM
            code = HTTP_FAULT if event.error_code == ErrorCodes.PROTOCOL_ERROR else TERMINATED
            self.fail(RequestError(code, untouched=refused))
        self.widened()

    def lost(self) -> None:
        """The connection ended."""
        if not self._ended:
            # It had ended before, if nothing came of it since an earlier request. That is a guess:
            # a server that was sent all of a request may have acted on it all the same.
            stale = self.id > 1 and self._heard == self._connection.heard
            harmless = self._idempotent or not self._done
            self.fail(RequestError(TERMINATED, untouched=stale and harmless))
        self._closed = True
        self.widened()

    def fail(self, error: RequestError) -> None:
        """No more of this stream; what came before is still taken."""
        if self._error is None:
            self._error = RequestError(INCOMPLETE) if self._answer and _is_end(error) else error
        self._closed = True
        self._wake()
        self.widened()

    def widened(self) -> None:
        """There may be room to send."""
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _status(said: Headers) -> bytes:
    return next((bytes(value) for name, value in said if name == b":status"), b"")


def _is_end(error: RequestError) -> bool:
    return error.code == TERMINATED
