"""Whose connection is answered, and which order it may take: the broker between its sockets."""

from __future__ import annotations

import asyncio
import errno
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from wassette_protocol.broker_frames import (
    ABORTED,
    UNUSED,
    Attach,
    Detach,
    Detached,
    Order,
    RequestEnded,
)
from wassette_protocol.codec import PeerViolation
from wassette_supervisor.broker import doorbell, exchange
from wassette_supervisor.broker.control import Control
from wassette_supervisor.broker.doorbell import Bell
from wassette_supervisor.broker.orders import Orders

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from anyio.abc import TaskGroup

    from wassette_protocol.frames import ChildId
    from wassette_supervisor.broker.exchange import World

# Connections of a worker beyond its requests at once: those that are just being closed.
_CLOSING = 8
# A worker connects once for each order. What rings so often without one is no engine of ours.
RINGS_FOR_NOTHING = 256


class _Attached:
    """A worker, and what it has under way."""

    def __init__(self, frame: Attach, notify: int) -> None:
        self.id = frame.worker
        self.worker = exchange.Worker(frame.component, frame.allowance)
        self.orders = Orders()
        self.connections = 0
        self.at_most = frame.allowance.concurrent + _CLOSING
        self.rings = 0
        self.notify = notify
        self.detached = anyio.Event()

    def listen(self, rung: Callable[[], None]) -> None:
        if self.notify >= 0:
            asyncio.get_running_loop().add_reader(self.notify, rung)

    def silence(self) -> None:
        """Answer no connection any more."""
        if self.notify >= 0:
            asyncio.get_running_loop().remove_reader(self.notify)
            os.close(self.notify)
            self.notify = -1


class Service:
    """Serves the workers that the supervisor attaches, until it is gone."""

    def __init__(
        self, peer: socket.socket, world: World, connections: int, leave: Callable[[str], None]
    ) -> None:
        """For so many connections of all workers together; `leave` ends the process."""
        self._control = Control(peer, leave)
        self._world = world
        self._at_most = connections
        self._leave = leave
        self._connections = 0
        self._workers: dict[ChildId, _Attached] = {}
        self._tasks: TaskGroup | None = None

    async def run(self) -> None:
        async with anyio.create_task_group() as self._tasks:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(_say_fault)
            loop.add_reader(self._control, self._hear)
            self._hear()
            await anyio.sleep_forever()

    # --- what the supervisor says ---

    def _hear(self) -> None:
        """Take all that it has said by now."""
        try:
            while (received := self._control.receive()) is not None:
                self._heard(*received)
        except EOFError:
            self._leave("")
        except PeerViolation as violation:
            self._leave(str(violation))

    def _heard(self, frame: Attach | Order | Detach, descriptor: int) -> None:
        match frame:
            case Attach():
                self._attach(frame, descriptor)
            case Order():
                self._order(frame)
            case Detach():
                self._detach(frame.worker)

    def _attach(self, frame: Attach, notify: int) -> None:
        if self._tasks is None or frame.worker in self._workers:
            os.close(notify)
            raise PeerViolation("two workers of one number")
        attached = self._workers[frame.worker] = _Attached(frame, notify)
        self._tasks.start_soon(self._live, attached)

    def _order(self, order: Order) -> None:
        attached = self._workers.get(order.worker)
        if attached is None:
            return  # after `Detached` there is nothing to tell
        if attached.detached.is_set():
            self._control.send(RequestEnded(order.id, UNUSED))
        elif ended := attached.orders.add(order):
            self._control.send(ended)

    def _detach(self, worker: ChildId) -> None:
        attached = self._workers.get(worker)
        if attached is None:
            self._control.send(Detached(worker))
            return
        attached.silence()
        attached.detached.set()

    # --- what a worker does ---

    async def _live(self, attached: _Attached) -> None:
        """A worker's time, from the first connection to the end of the last one."""
        async with anyio.create_task_group() as tasks:
            attached.listen(partial(self._rung, attached, tasks))
            await attached.detached.wait()
            tasks.cancel_scope.cancel()
        del self._workers[attached.id]
        for ended in attached.orders.rest():
            self._control.send(ended)
        self._control.send(Detached(attached.id))

    def _rung(self, attached: _Attached, tasks: TaskGroup) -> None:
        bell = doorbell.state(attached.notify)
        if bell is Bell.SILENT:
            return
        if bell is Bell.GONE:
            attached.silence()
            return
        attached.rings += 1
        connection = doorbell.answer(attached.notify, self._refusal(attached))
        if connection is not None:
            attached.connections += 1
            self._connections += 1
            tasks.start_soon(self._serve, attached, connection)
        if attached.rings > attached.orders.ever + RINGS_FOR_NOTHING:
            say(f"worker {attached.id} connects without requests: it is not answered any more")
            attached.silence()

    def _refusal(self, attached: _Attached) -> int:
        has_room = attached.connections < attached.at_most and self._connections < self._at_most
        return 0 if has_room else errno.ECONNREFUSED

    async def _serve(self, attached: _Attached, connection: socket.socket) -> None:
        taken: list[str] = []
        outcome = ABORTED

        def take(identifier: str) -> Order | None:
            order = self._take(attached, identifier)
            if order is not None:
                taken.append(identifier)
            return order

        try:
            await exchange.serve(
                connection, attached.worker, take, self._world, partial(self._ended, attached)
            )
        except Exception as error:  # noqa: BLE001 - a request of one worker ends none of another's
            outcome = "internal-error"
            # No more of it: its text may have words of a request, or what was injected.
            say(f"a request of worker {attached.id} ended by {type(error).__name__}")
        finally:
            attached.connections -= 1
            self._connections -= 1
            for identifier in taken:
                self._ended(attached, RequestEnded(identifier, outcome))

    def _take(self, attached: _Attached, identifier: str) -> Order | None:
        order = attached.orders.take(identifier)
        if order is None:
            # It is sent before the worker is told of it, but may still wait in our socket.
            self._hear()
            order = attached.orders.take(identifier)
        return order

    def _ended(self, attached: _Attached, ended: RequestEnded) -> None:
        if attached.orders.end(ended.id):
            self._control.send(ended)


def _say_fault(_: asyncio.AbstractEventLoop, fault: dict[str, Any]) -> None:
    """Instead of a text of it: that may have words of a request, or what was injected."""
    say(f"a fault in the broker: {type(fault.get('exception')).__name__}")


def say(line: str) -> None:
    """Write a line to standard error, if whoever reads it keeps up."""
    try:
        os.write(2, f"{line[:300]}\n".encode())
    except OSError:
        return
