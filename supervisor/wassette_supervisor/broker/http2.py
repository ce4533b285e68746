"""HTTP/2 towards the world, on h2: a connection, and the streams of its requests."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from h2 import events
from h2.config import H2Configuration
from h2.connection import (
    ConnectionInputs,
    ConnectionState,
    H2Connection,
    H2ConnectionStateMachine,
)
from h2.exceptions import DenialOfServiceError, ProtocolError
from h2.settings import SettingCodes, Settings

from wassette_supervisor.broker import headers
from wassette_supervisor.broker.codes import HTTP_FAULT, TERMINATED, RequestError
from wassette_supervisor.broker.http2_stream import Http2Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from wassette_supervisor.broker.wire import Wire

# What one stream, and all of a connection, may send ahead of what guests took.
_STREAM_WINDOW = 1 << 20
_CONNECTION_WINDOW = 8 << 20
_MOST_STREAMS = 128
# Frames are read in pieces of this size, so that a flood of small ones holds up nobody else.
_PIECE = 32 * 1024
# Frames that bring no request further, beyond those that do.
_MOST_NOISE = 1000
_NOISE_WITHOUT_STREAM = 10
_MOST_UNSENT = 4 << 20  # answers to them that the server doesn't take
_TABLE = 4096  # of our compressor, however much the server offers

# The size of frames stays the least that there is: h2 unpacks a head of 64 of them at once.
_SETTINGS: Final = {
    SettingCodes.ENABLE_PUSH: 0,
    SettingCodes.INITIAL_WINDOW_SIZE: _STREAM_WINDOW,
    SettingCodes.MAX_HEADER_LIST_SIZE: headers.MAX_BYTES,
}
_PROGRESS = (events.ResponseReceived, events.TrailersReceived, events.StreamEnded)


_CLOSING = (ConnectionState.CLIENT_OPEN, ConnectionInputs.RECV_GOAWAY)


class _Machine(H2ConnectionStateMachine):
    """After GOAWAY the streams that the server took go on (RFC 9113, 6.8), which h2 refuses."""

    def __init__(self) -> None:
        super().__init__()
        self._transitions = {**self._transitions, _CLOSING: (None, ConnectionState.CLIENT_OPEN)}


class Http2:
    """A connection; `changed` is told when it is ready, or a stream ended, or itself."""

    def __init__(self, wire: Wire, address: str, changed: Callable[[Http2], None]) -> None:
        self.address = address
        self.wire = wire
        self.heard = 0  # pieces
        self.streams: dict[int, Http2Stream] = {}
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._changed = changed
        self._leaving = False  # takes no more streams
        self.is_ready = False  # the server has told how many it takes
        self._backlog: deque[bytes] = deque()
        self._noise = 0
        self.h2.state_machine = _Machine()
        self.h2.local_settings = Settings(client=True, initial_values=_SETTINGS)
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(_CONNECTION_WINDOW - 65_535)
        self.flush()
        wire.on_end = self._ended
        wire.deliver(self._received)

    # --- for the pool ---

    @property
    def has_room(self) -> bool:
        most = min(_MOST_STREAMS, self.h2.remote_settings.max_concurrent_streams)
        return not self._leaving and len(self.streams) < most

    @property
    def is_over(self) -> bool:
        return self._leaving and not self.streams

    def stream(self) -> Http2Stream:
        return Http2Stream(self)

    def abort(self) -> None:
        self._leaving = True
        self.wire.abort()

    # --- for its streams ---

    def forget(self, stream: Http2Stream) -> None:
        self.streams.pop(stream.id, None)
        if self._leaving and not self.streams:
            self.wire.abort()
        self._changed(self)

    def flush(self) -> None:
        """Send what h2 has to say; a connection that is gone tells so by itself."""
        said = self.h2.data_to_send()
        if said:
            with suppress(ConnectionError):
                self.wire.write(said)

    def moved(self) -> None:
        """A frame was sent that had a use: the server answers it by two more, of windows."""
        self._noise = max(0, self._noise - 2)

    def leave(self) -> None:
        """Take no more streams."""
        self._leaving = True

    # --- what the server says ---

    def _received(self, data: bytes) -> None:
        waiting = bool(self._backlog)
        for start in range(0, len(data), _PIECE):
            self._backlog.append(data[start : start + _PIECE])
        if not waiting:
            self._work()

    def _work(self) -> None:
        """Read one piece, and the next one when others had their turn."""
        if not self._backlog:
            return
        piece = self._backlog.popleft()
        self.heard += 1
        try:
            for event in self.h2.receive_data(piece):
                self._happened(event)
        except DenialOfServiceError:
            self._fail("HTTP-response-header-section-size")
        except (ProtocolError, ValueError):
            # h2 reads some numbers of a server's by int().
            self._fail(HTTP_FAULT)
        else:
            self.flush()
            self._bound()
        if self._backlog:
            self.wire.pause()
            asyncio.get_running_loop().call_soon(self._work)
        else:
            self.wire.resume()

    def _bound(self) -> None:
        if not self.streams:
            self._noise += _NOISE_WITHOUT_STREAM
        if self._noise > _MOST_NOISE or self.wire.unsent > _MOST_UNSENT:
            self._fail(HTTP_FAULT)

    def _happened(self, event: events.Event) -> None:
        if isinstance(event, _PROGRESS) or (isinstance(event, events.DataReceived) and event.data):
            self._noise = max(0, self._noise - 1)
        else:
            self._noise += 1
        if isinstance(event, events.ConnectionTerminated):
            self._goaway(event)
        elif isinstance(event, (events.WindowUpdated, events.RemoteSettingsChanged)):
            self._widened(event)
        elif stream := self.streams.get(getattr(event, "stream_id", None) or 0):
            stream.happened(event)
        elif isinstance(event, events.DataReceived):
            # Of a stream that is closed: only the connection's window is given back.
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def _widened(self, event: events.WindowUpdated | events.RemoteSettingsChanged) -> None:
        if isinstance(event, events.RemoteSettingsChanged):
            if not self.is_ready:
                self.is_ready = True
                self._changed(self)
            self.h2.encoder.header_table_size = min(self.h2.encoder.header_table_size, _TABLE)
        elif event.stream_id:
            if stream := self.streams.get(event.stream_id):
                stream.widened()
            return
        for stream in self.streams.values():
            stream.widened()

    def _goaway(self, event: events.ConnectionTerminated) -> None:
        self._leaving = True
        last = event.last_stream_id or 0
        for stream in [each for number, each in self.streams.items() if number > last]:
            stream.fail(RequestError(TERMINATED, untouched=True))
        self._changed(self)

    def _fail(self, code: str) -> None:
        """The server doesn't keep to the protocol."""
        self._backlog.clear()
        self.flush()
        for stream in list(self.streams.values()):
            stream.fail(RequestError(code))
        self.abort()
        self._changed(self)

    def _ended(self) -> None:
        # What was said before the end is read first.
        while self._backlog:
            self._work()
        self._leaving = True
        for stream in list(self.streams.values()):
            stream.lost()
        self.abort()
        self._changed(self)
