"""HTTP/1.1 towards a guest: one request on a connection that the doorbell answered.

What comes is a worker's word, which may have been broken out of: bounded, and only headers and body
of it are used. What goes is framed here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import h11

from wassette_protocol.broker_frames import ABORTED
from wassette_protocol.http_errors import ERROR_CODES, OWN_HEADER, OWN_STATUS
from wassette_supervisor.broker import codes, headers, wire
from wassette_supervisor.broker.codes import HTTP_FAULT, RequestError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    from wassette_supervisor.broker.headers import Headers

_MAX_HEADERS = 256
# What is said of one answer waits together until so much of it is there.
_MOST_GATHERED = 64 * 1024
_TARGET = re.compile(rb"/([0-9a-f]{32})")


class Request(NamedTuple):
    """What is used of a request's head."""

    id: str
    method: str
    headers: Headers
    has_body: bool
    length: int | None  # of the body, if it was said


class Guest:
    def __init__(self, connection: wire.Wire) -> None:
        self.wire = connection
        self.answered = False  # the head of an answer was sent
        self.trailers: Headers = []  # of the request, after its body
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=headers.MAX_BYTES)
        self._still_sends = False
        self._gathered: list[bytes] = []
        self._size = 0

    @classmethod
    async def adopt(cls, connection: socket.socket) -> Guest:
        """Take our end of its connection over.

        Raises:
            OSError: It is gone.
        """
        return cls(await wire.adopt(connection))

    # --- the request ---

    async def head(self) -> Request:
        """Wait for the head.

        Raises:
            RequestError: It is none that an engine of ours sends.
        """
        event = await self._next()
        if not isinstance(event, h11.Request) or event.http_version != b"1.1":
            raise RequestError(HTTP_FAULT)
        target = _TARGET.fullmatch(event.target)
        if target is None:
            raise RequestError("HTTP-request-denied")
        said = list(event.headers)
        if headers.is_too_large(said, _MAX_HEADERS):
            raise RequestError("HTTP-request-header-section-size")
        has_body, length = _framing(said)
        self._still_sends = has_body
        return Request(
            target[1].decode("ascii"), event.method.decode("ascii"), said, has_body, length
        )

    async def body(self) -> bytes:
        """A piece of the body; empty after the last one, however often that is asked.

        Raises:
            RequestError: What came is no body, or the guest is gone.
        """
        if not self._still_sends:
            return b""
        if self._h11.they_are_waiting_for_100_continue:
            self._say(h11.InformationalResponse, status_code=100, headers=[])
            self.flush()
        event = await self._next()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        if isinstance(event, h11.EndOfMessage):
            self._still_sends = False
            self.trailers = list(event.headers)
            if headers.is_too_large(self.trailers, _MAX_HEADERS):
                raise RequestError("HTTP-request-trailer-section-size")
            return b""
        raise RequestError(HTTP_FAULT)

    async def _next(self) -> type[h11.NEED_DATA | h11.PAUSED] | h11.Event:
        try:
            while (event := self._h11.next_event()) is h11.NEED_DATA:
                await self.wire.wait()
                chunk = self.wire.take()
                if chunk is None:
                    raise RequestError(ABORTED)
                self._h11.receive_data(chunk)
        except h11.RemoteProtocolError as error:
            raise RequestError(codes.of_request(error)) from None
        return event

    # --- the answer ---

    def answer(self, status: int, said: Headers, length: int | None, *, has_body: bool) -> None:
        """Say the head; a body without a length is chunked."""
        framing: Headers = [(b"connection", b"close")]
        if length is not None:
            framing.append((b"content-length", b"%d" % length))
        elif has_body:
            framing.append((b"transfer-encoding", b"chunked"))
        self._say(h11.Response, status_code=status, headers=[*said, *framing])
        self.answered = True

    async def data(self, piece: bytes) -> None:
        """Say a piece of the body, and wait while too much waits for the guest."""
        self._say(h11.Data, data=piece)
        if self._size >= _MOST_GATHERED:
            await self.push()

    def end(self, trailers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._say(h11.EndOfMessage, headers=list(trailers))
        self.flush()

    def flush(self) -> None:
        """Send what was said so far, which is little.

        Raises:
            RequestError: The guest is gone.
        """
        if self._gathered:
            gathered, self._gathered, self._size = self._gathered, [], 0
            try:
                self.wire.write(*gathered)
            except ConnectionError:
                raise RequestError(ABORTED) from None

    async def push(self) -> None:
        """Send what was said so far, and wait while too much waits for the guest."""
        self.flush()
        try:
            await self.wire.drain()
        except ConnectionError:
            raise RequestError(ABORTED) from None

    def _say(self, event: Callable[..., h11.Event], **said: object) -> None:
        try:
            # HTTP/2 has names and values that no event can even be made of.
            pieces = self._h11.send_with_data_passthrough(event(**said)) or []
        except h11.LocalProtocolError:
            # What the world said can't be said in HTTP/1.1. Its words stay out of the error.
            raise RequestError(HTTP_FAULT) from None
        self._gathered += pieces
        self._size += sum(map(len, pieces))

    def fail(self, code: str) -> None:
        """Tell an error: in place of an answer, else by an answer that never ends."""
        if self.answered or code not in ERROR_CODES:
            self.break_off()
            return
        number = ERROR_CODES.index(code)
        text = (
            f"HTTP/1.1 {OWN_STATUS} \r\n{OWN_HEADER}: {number}\r\ncontent-length: 0\r\n"
            "connection: close\r\n\r\n"
        )
        self._gathered = [text.encode()]
        try:
            self.flush()
        except RequestError:
            return
        self.leave()

    def leave(self) -> None:
        """End after a whole answer; a guest that still sends is listened to for a moment."""
        self.wire.linger(says_end=not self._still_sends)

    def break_off(self) -> None:
        """End without an end of the message; what was said before still goes."""
        if self.answered:
            try:
                self.flush()
            except RequestError:
                return
            self.wire.linger()
        else:
            self.wire.abort()


def _framing(said: Headers) -> tuple[bool, int | None]:
    """Whether there is a body, and how long it is said to be.

    Two framings at once are an attempt to have two servers read two requests (RFC 9112, 6.1).
    """
    coded = any(name == b"transfer-encoding" for name, _ in said)
    try:
        length = headers.content_length(said)
    except ValueError:
        raise RequestError(HTTP_FAULT) from None
    if coded and length is not None:
        raise RequestError(HTTP_FAULT)
    return coded or bool(length), length
