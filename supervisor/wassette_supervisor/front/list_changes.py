"""Telling clients that the list of tools has changed, in both eras of the protocol.

Modern clients listen on a stream of the library's. Older ones are told on their connection, each
by a task of its own, so that one that doesn't read keeps nobody waiting.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    import mcp_types as types
    from anyio.abc import TaskGroup
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel.server import Server
    from mcp.server.session import ServerSession

    from wassette_supervisor.front.backend import Backend

    ForEach = Callable[[ServerRequestContext["LegacySessions"]], Coroutine[Any, Any, None]]

# The library doesn't say when a connection has closed. Beyond this the oldest is forgotten.
MAX_SESSIONS = 256
# A client that takes no message for so long misses this one; the next call shows it the change.
TELL_S = 5.0


class ListChanges:
    """Passes what the backend says of its tools on to every client of a server."""

    def __init__(self, backend: Backend, for_each: ForEach) -> None:
        """Make one.

        Args:
            backend: Says what changes.
            for_each: Run for each client of the older era, from its handshake on.
        """
        self._backend = backend
        self._for_each = for_each
        self._bus = InMemorySubscriptionBus()
        self.on_listen = ListenHandler(self._bus)

    @asynccontextmanager
    async def announced(self, _: Server[LegacySessions]) -> AsyncIterator[LegacySessions]:
        """Announce changes while a server runs: its lifespan."""
        async with anyio.create_task_group() as tasks:
            sessions = LegacySessions(tasks, self._for_each)
            tasks.start_soon(self._announce, sessions)
            yield sessions
            tasks.cancel_scope.cancel()

    async def _announce(self, sessions: LegacySessions) -> None:
        async for _ in self._backend.changes():
            await self._bus.publish(ToolsListChanged())
            sessions.announce()


async def on_initialized(
    context: ServerRequestContext[LegacySessions], _: types.NotificationParams
) -> None:
    """Remember a client of the older era; only from here on it may be told anything."""
    if context.lifespan_context.remember(context.session):
        context.lifespan_context.attend(context)


class LegacySessions:
    """The connections of clients that opened theirs with a handshake."""

    def __init__(self, tasks: TaskGroup, for_each: ForEach | None = None) -> None:
        self._tasks = tasks
        self._for_each = for_each
        # By the identity of what the client said of itself, of which a connection has one.
        self._known: dict[int, tuple[Any, MemoryObjectSendStream[None]]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def remember(self, session: ServerSession) -> bool:
        """Whether this one was not known."""
        client = session.client_params
        if client is None or id(client) in self._known:
            return False
        while len(self._known) >= MAX_SESSIONS:
            _, oldest = self._known.pop(next(iter(self._known)))
            oldest.close()
        # One place: what the client has not been told yet, one notification tells.
        send, receive = anyio.create_memory_object_stream[None](1)
        self._known[id(client)] = client, send
        self._tasks.start_soon(_tell, session, send, receive)
        return True

    def attend(self, context: ServerRequestContext[LegacySessions]) -> None:
        """Begin what is done for each client."""
        if self._for_each is not None:
            self._tasks.start_soon(self._for_each, context)

    def announce(self) -> None:
        for _, changed in self._known.values():
            with suppress(anyio.WouldBlock, anyio.ClosedResourceError):
                changed.send_nowait(None)


async def _tell(
    session: ServerSession,
    announced: MemoryObjectSendStream[None],
    changed: MemoryObjectReceiveStream[None],
) -> None:
    async with announced, changed:
        async for _ in changed:
            with anyio.move_on_after(TELL_S):
                await session.send_tool_list_changed()
