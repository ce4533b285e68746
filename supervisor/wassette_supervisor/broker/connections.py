"""The connections to the world: shared within one component, for one origin, under one judgement.

Nothing that one component did shows another one anything: not even that a connection is there.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from wassette_supervisor.broker import dialling, names
from wassette_supervisor.broker.codes import RequestError
from wassette_supervisor.broker.http1 import Http1
from wassette_supervisor.broker.http2 import Http2

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Sequence

    from wassette_protocol.broker_frames import Order
    from wassette_supervisor.broker.answers import Stream
    from wassette_supervisor.broker.dialling import Dialled, Progress

    Resolve = Callable[[str, Sequence[str]], Awaitable[list[str]]]

_IDLE_SECONDS = 15.0
_MOST_IDLE = 8  # of one key
_MOST_IDLE_IN_ALL = 64


class Key(NamedTuple):
    """Who shares a connection. Under other rules its address might have been refused."""

    component: str
    scheme: str
    host: str
    port: int
    rules: bytes


def key(component: str, order: Order) -> Key:
    place = order.destination
    rules = msgspec.msgpack.encode(order.rules)
    return Key(component, place.scheme, place.host, place.port, rules)


class _Opening:
    """A connection that is being made, for which others wait: it may become one for many."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.error: RequestError | None = None

    async def wait(self, progress: Progress) -> None:
        progress.late = "connection-timeout"
        await self.over.wait()
        if self.error is not None:
            raise RequestError(self.error.code)


class _Shared:
    """The connections of one key."""

    def __init__(self, *, speaks_http1: bool) -> None:
        self.idle: list[Http1] = []  # the last one was used last
        self.http2: list[Http2] = []
        self.opening: _Opening | None = None
        self.speaks_http1 = speaks_http1  # so that nobody waits for what others open


class _Rest(NamedTuple):
    """When a connection that nobody uses is closed."""

    key: Key
    timer: asyncio.TimerHandle


class World:
    """Every way out; one for the process."""

    def __init__(self, ca: ssl.SSLContext, resolve: Resolve = names.resolve) -> None:
        """`ca` has the authorities that are believed, loaded: no file can be read later."""
        ca.set_alpn_protocols(["h2", "http/1.1"])
        self._tls = ca
        self._resolve = resolve
        self._shared: dict[Key, _Shared] = {}
        self._resting: dict[Http1 | Http2, _Rest] = {}  # the one that rests longest first

    @property
    def resting(self) -> int:
        """Connections that nobody uses."""
        return len(self._resting)

    async def stream(
        self, component: str, order: Order, progress: Progress, *, again: bool = False
    ) -> Stream:
        """A stream for one request, if need be on a connection that is made for it.

        Args:
            component: Whose connections it may use.
            order: The request.
            progress: Told how far it came.
            again: Use none that was there before: one of them has just failed.

        Raises:
            RequestError: There is no way.
        """
        mine = key(component, order)
        while not again:
            shared = self._of(mine)
            if found := self._known(shared):
                progress.address = found.address
                return found
            if shared.opening is None or shared.speaks_http1:
                break
            await shared.opening.wait(progress)
        return await self._open(mine, order, progress)

    def close(self) -> None:
        """Close what nobody uses."""
        for connection in list(self._resting):
            self._drop(connection)

    def _of(self, mine: Key) -> _Shared:
        shared = self._shared.get(mine)
        if shared is None:
            shared = self._shared[mine] = _Shared(speaks_http1=mine.scheme == "http")
        return shared

    def _tidy(self, mine: Key) -> None:
        shared = self._shared.get(mine)
        if shared is not None and not (shared.idle or shared.http2 or shared.opening):
            del self._shared[mine]

    # --- new ones ---

    async def _open(self, mine: Key, order: Order, progress: Progress) -> Stream:
        opening = _Opening()
        shared = self._of(mine)
        shared.opening = opening
        try:
            dialled = await self._dial(order, progress)
        except BaseException as error:
            opening.error = error if isinstance(error, RequestError) else None
            self._over(mine, opening)
            raise
        if dialled.speaks_http2:
            connection = Http2(dialled.wire, dialled.address, partial(self._changed, mine, opening))
            shared.http2.append(connection)
            return connection.stream()
        shared.speaks_http1 = True
        self._over(mine, opening)
        return Http1(dialled.wire, dialled.address, partial(self._given_back, mine))

    def _over(self, mine: Key, opening: _Opening) -> None:
        """Let those go on who wait for a connection."""
        opening.over.set()
        shared = self._of(mine)
        if shared.opening is opening:
            shared.opening = None
        self._tidy(mine)

    async def _dial(self, order: Order, progress: Progress) -> Dialled:
        place = order.destination
        if place.addresses:
            found = place.addresses
        elif dialling.is_address(place.host):
            found = [place.host]
        else:
            found = await self._resolve(place.host, place.name_servers)
        good = dialling.judged(found, order.rules)
        return await dialling.dial(place, good, self._tls, progress)

    # --- those that are there ---

    def _known(self, shared: _Shared) -> Stream | None:
        for connection in shared.http2:
            if connection.has_room:
                self._wake(connection)
                return connection.stream()
        while shared.idle:
            idle = shared.idle.pop()
            self._wake(idle)
            if idle.is_fresh():
                return idle
            idle.abort()
        return None

    def _given_back(self, mine: Key, connection: Http1) -> None:
        shared = self._of(mine)
        shared.idle.append(connection)
        connection.when_stale(partial(self._drop, connection))
        self._rest(mine, connection)
        if len(shared.idle) > _MOST_IDLE:
            self._drop(shared.idle[0])

    def _changed(self, mine: Key, opening: _Opening, connection: Http2) -> None:
        if not opening.over.is_set() and (connection.is_ready or connection.is_over):
            self._over(mine, opening)
        if connection.is_over:
            self._wake(connection)
            shared = self._of(mine)
            if connection in shared.http2:
                shared.http2.remove(connection)
            self._tidy(mine)
        elif not connection.streams and connection not in self._resting:
            self._rest(mine, connection)

    def _rest(self, mine: Key, connection: Http1 | Http2) -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(_IDLE_SECONDS, self._drop, connection)
        self._resting[connection] = _Rest(mine, timer)
        if len(self._resting) > _MOST_IDLE_IN_ALL:
            self._drop(next(iter(self._resting)))

    def _wake(self, connection: Http1 | Http2) -> _Rest | None:
        rest = self._resting.pop(connection, None)
        if rest is not None:
            rest.timer.cancel()
        if isinstance(connection, Http1):
            connection.when_stale(None)
        return rest

    def _drop(self, connection: Http1 | Http2) -> None:
        """Close one that rests."""
        rest = self._wake(connection)
        connection.abort()
        if rest is None:
            return
        shared = self._of(rest.key)
        if isinstance(connection, Http1):
            shared.idle.remove(connection)
        else:
            shared.http2.remove(connection)
        self._tidy(rest.key)
