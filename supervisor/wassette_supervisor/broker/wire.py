"""A stream of bytes to a peer, with a bound on what waits on either side.

On asyncio itself: what comes is handed on in the pieces in which the socket gave it, not copied,
and the end of a peer is noticed while nobody reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

# One buffer for all: what came is taken out before anybody else's comes. Malloc has room for a
# piece of this size at hand; a larger one is mapped anew each time, which halves the speed.
_PIECE = memoryview(bytearray(127 * 1024))
_MOST_HELD = 256 * 1024
_MOST_UNSENT = 256 * 1024
_BUFFER = 1 << 20  # of the socket; the kernel may give less
_LOOK_SECONDS = 1.0
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 4 << 20


class Wire(asyncio.BufferedProtocol):
    """Errors of a peer that is gone are ConnectionError, whichever way they showed."""

    def __init__(self) -> None:
        self.ended = False  # nothing more comes
        self.reset = False  # and the peer didn't say so
        self.on_end: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._socket: socket.socket | None = None
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._to_sink: Callable[[bytes], None] | None = None
        self._reading = True
        self._writing = True
        self._lost = False
        self._reader: asyncio.Future[None] | None = None
        self._writers: set[asyncio.Future[None]] = set()
        self._discarded = 0
        self._limit: asyncio.TimerHandle | None = None

    # --- what asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_MOST_UNSENT)

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return _PIECE

    def buffer_updated(self, nbytes: int) -> None:
        self._came(bytes(_PIECE[:nbytes]))

    def _came(self, data: bytes) -> None:
        if self._to_sink is not None:
            self._to_sink(data)
            return
        self._chunks.append(data)
        self._held += len(data)
        if self._held >= _MOST_HELD:
            self.pause()
        self._wake_reader()

    def eof_received(self) -> bool:
        tls = self._transport.get_extra_info("ssl_object")
        if tls is not None:
            self.reset = not self._is_end_said(tls)
        self._end()
        # The other direction may go on; in TLS it never does.
        return tls is None

    def _is_end_said(self, tls: ssl.SSLObject) -> bool:
        """Whether the peer ended TLS itself, and not whoever stands between (RFC 9112, 9.8).

        What asyncio has not read is read first: at the end it asks once, for one piece, and what
        was held back while nobody read may be more.
        """
        try:
            while data := tls.read(len(_PIECE)):
                self._came(data)
        except ssl.SSLError:
            return False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self.reset = self.reset or exc is not None or not self.ended
        if self._limit is not None:
            self._limit.cancel()
        self._end()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._writing = False

    def resume_writing(self) -> None:
        self._writing = True
        for waiter in self._writers:
            if not waiter.done():
                waiter.set_result(None)

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            self._wake_reader()
            if self.on_end is not None:
                self.on_end()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # --- reading ---

    @property
    def protocol(self) -> str | None:
        """What was agreed on within TLS (RFC 7301)."""
        tls = self._transport.get_extra_info("ssl_object")
        return None if tls is None else cast("str | None", tls.selected_alpn_protocol())

    def pause(self) -> None:
        if self._reading and not self.ended:
            self._reading = False
            self._transport.pause_reading()
            if self._socket is not None and self._socket.family == socket.AF_UNIX:
                self._loop.call_later(_LOOK_SECONDS, self._look)

    def resume(self) -> None:
        if not self._reading and not self.ended:
            self._reading = True
            self._transport.resume_reading()

    def _look(self) -> None:
        """Notice that a peer has gone while nothing is read of what it said."""
        if self._reading or self.ended or self._socket is None:
            return
        try:
            self._socket.send(b"")  # tells of an end as any send does, and sends nothing
        except OSError:
            self._end()
        else:
            self._loop.call_later(_LOOK_SECONDS, self._look)

    def take(self) -> bytes | None:
        """A piece that has come; None if there is none, for now or for good."""
        if not self._chunks:
            return None
        chunk = self._chunks.popleft()
        self._held -= len(chunk)
        if not self._chunks:
            self.resume()
        return chunk

    async def wait(self) -> None:
        """Until a piece has come, or the end."""
        if self._chunks or self.ended:
            return
        waiter = self._reader = self._loop.create_future()
        try:
            await waiter
        finally:
            if self._reader is waiter:
                self._reader = None

    def deliver(self, sink: Callable[[bytes], None]) -> None:
        """Have every piece brought from now on, and those that wait."""
        self._to_sink = sink
        while self._chunks:
            sink(self._chunks.popleft())
        self._held = 0
        self.resume()

    def is_quiet(self) -> bool:
        """Whether the peer has said nothing, not even that it ended; asks the kernel."""
        if self.ended or self._chunks or self._transport.is_closing():
            return False
        if self._socket is None:
            return True
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    # --- writing ---

    def write(self, *pieces: bytes) -> None:
        """Send without waiting.

        Raises:
            ConnectionResetError: The connection is gone.
        """
        if self._lost or self._transport.is_closing():
            raise ConnectionResetError
        self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    async def drain(self) -> None:
        """Until no more waits to be sent than may.

        Raises:
            ConnectionResetError: The connection is gone.
        """
        while not self._writing and not self._lost:
            waiter = self._loop.create_future()
            self._writers.add(waiter)
            try:
                await waiter
            finally:
                self._writers.discard(waiter)
        if self._lost:
            raise ConnectionResetError

    @property
    def unsent(self) -> int:
        return self._transport.get_write_buffer_size()

    # --- ending ---

    def linger(self, *, says_end: bool = True) -> None:
        """End after what was written, and take for a moment what the peer still sends.

        An end with unread bytes is a reset, with which a peer may lose what it has not read. One
        that still sends may take an end for the loss of what it was answered: it is not told.
        """
        if self._lost:
            return
        self._limit = self._loop.call_later(_LINGER_SECONDS, self.abort)
        self.on_end = self._transport.close
        if self.ended:
            self._transport.close()
            return
        self.deliver(self._discard)
        if says_end:
            with contextlib.suppress(OSError):
                self._transport.write_eof()

    def _discard(self, data: bytes) -> None:
        self._discarded += len(data)
        if self._discarded > _LINGER_BYTES:
            self.abort()

    def abort(self) -> None:
        self.on_end = None
        self._transport.abort()


async def adopt(
    connection: socket.socket, tls: ssl.SSLContext | None = None, host: str | None = None
) -> Wire:
    """Take a connected socket over, by TLS if there is a context; the socket is the wire's then.

    Raises:
        OSError: The handshake failed, or the peer was gone.
    """
    with contextlib.suppress(OSError):
        if connection.family == socket.AF_UNIX:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    loop = asyncio.get_running_loop()
    _, wire = await loop.create_connection(
        Wire, sock=connection, ssl=tls, server_hostname=host if tls else None
    )
    wire._socket = connection  # noqa: SLF001 - of this module
    return wire
