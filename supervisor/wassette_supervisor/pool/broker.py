"""The broker as the supervisor sees it: started for the first grant of a host, again when it died.

It is told one decided request at a time. Each worker's listener is kept here as well: a broker that
is started anew is given it, and answers the connections that wait.
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import structlog

from wassette_protocol import broker_frames
from wassette_protocol.broker_frames import Attach, Detach, Order, RequestEnded
from wassette_protocol.codec import PeerViolation
from wassette_supervisor.errors import IsolationUnavailableError, RestingError, one_line
from wassette_supervisor.pool import sandbox
from wassette_supervisor.pool.broker_process import start
from wassette_supervisor.pool.channel import ClosedError
from wassette_supervisor.pool.requests import LOST
from wassette_supervisor.pool.restarts import BROKER, History

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

    from wassette_protocol.broker_frames import Allowance, FromBroker
    from wassette_protocol.frames import ChildId
    from wassette_supervisor.pool.broker_process import Started
    from wassette_supervisor.pool.requests import Decided
    from wassette_supervisor.settings import Settings

log = structlog.get_logger(__name__)

# It loads its libraries and the certificates of the system.
START_S = 30.0
# From `Detach` to its answer: it ends what is under way, and waits for nobody.
DETACH_S = 5.0
# Between two tries to start it for workers that wait.
AGAIN_S = 1.0


@dataclass(eq=False)
class _Attached:
    """A worker whose connections are answered."""

    listener: int
    component: str
    allowance: Allowance
    orders: dict[str, Callable[[RequestEnded], None]] = field(default_factory=dict)
    by: Started | None = None  # the broker that answers them
    detached: anyio.Event = field(default_factory=anyio.Event)
    sending: int = 0  # frames that the listener goes along with
    is_over: bool = False

    def close_unused(self) -> None:
        if self.is_over and not self.sending:
            os.close(self.listener)


class Broker:
    """Starts it, tells it, hears of it; one instance for the life of the supervisor."""

    def __init__(self, tasks: TaskGroup, settings: Settings, network: sandbox.Sandbox) -> None:
        self._tasks = tasks
        self._settings = settings
        self._sandbox = network
        self._starting = anyio.Lock()
        self._started: Started | None = None
        self._attached: dict[ChildId, _Attached] = {}
        self._ends = History()
        self._ending = False

    async def ready(self) -> None:
        """Have a running broker.

        Raises:
            IsolationUnavailableError: It doesn't start, or nothing here keeps workers from a
                network of their own.
            RestingError: It ended too often of late.
        """
        self._sandbox.refuse_network_if_lacking()
        async with self._starting:
            if self._ending:
                raise IsolationUnavailableError("the server stops")
            if self._started is None:
                await self._start_anew()

    async def _start_anew(self) -> None:
        rest = self._ends.rests_s(time.monotonic())
        if rest:
            what = "the process that makes tools' requests"
            raise RestingError(what, BROKER.ends + 1, BROKER.within_s, rest)
        started = start(self._settings.ca_file)
        try:
            with anyio.fail_after(START_S):
                ready = await started.channel.receive()
            if not isinstance(ready, broker_frames.BrokerReady):
                raise PeerViolation(f"{type(ready).__name__} before it was ready")
            sandbox.check(ready.steps, self._sandbox.of_broker(becomes_other=started.becomes_other))
        except BaseException as error:
            how = str(error) or await started.post_mortem()
            await started.end()
            if isinstance(error, TimeoutError | ClosedError | PeerViolation):
                why = one_line(f"the broker doesn't start: {how}")
                self._lost(why)
                raise IsolationUnavailableError(why) from error
            raise
        self._started = started
        self._tasks.start_soon(self._listen, started)
        for worker in list(self._attached):
            attached = self._attached.get(worker)
            if attached is not None:  # it may have been detached meanwhile
                await self._attach(started, worker, attached)

    def _lost(self, why: str) -> None:
        """Take note of an end that nobody of us wanted, or of a start that failed."""
        log.warning("broker.lost", why=why)
        self._ends = self._ends.after_an_end(time.monotonic(), BROKER)

    # --- a worker and its requests ----------------------------------------------------------

    async def attach(
        self, worker: ChildId, listener: int, component: str, allowance: Allowance
    ) -> None:
        """Have a worker's connections answered; the listener is ours from now on.

        Raises:
            IsolationUnavailableError: There is no broker.
        """
        attached = self._attached[worker] = _Attached(listener, component, allowance)
        await self.ready()
        if self._started is not None:
            await self._attach(self._started, worker, attached)

    async def _attach(self, started: Started, worker: ChildId, attached: _Attached) -> None:
        if attached.by is started or attached.is_over:
            return
        attached.by = started
        frame = Attach(worker, attached.component, attached.allowance)
        # Whoever detaches the worker meanwhile leaves it open. A copy would need a number, and
        # there may be none left.
        attached.sending += 1
        try:
            await self._send(started, frame, [attached.listener])
        finally:
            attached.sending -= 1
            attached.close_unused()

    def under_way(self, worker: ChildId) -> int:
        """How many requests of a worker are not over."""
        attached = self._attached.get(worker)
        return len(attached.orders) if attached else 0

    async def order(self, worker: ChildId, decided: Decided) -> str:
        """Have a request made: the id by which the worker sends it.

        Raises:
            IsolationUnavailableError: There is no broker.
        """
        order_id = secrets.token_hex(16)
        try:
            await self.ready()
            attached, started = self._attached.get(worker), self._started
            if attached is None or started is None:
                raise IsolationUnavailableError("the broker has ended")
        except BaseException:
            decided.ended(RequestEnded(order_id, LOST))
            raise
        order = Order(
            order_id,
            worker,
            decided.destination,
            decided.method,
            decided.target,
            decided.rules,
            list(decided.inject),
        )
        attached.orders[order.id] = decided.ended
        await self._send(started, order)
        return order.id

    async def detach(self, worker: ChildId) -> None:
        """End all that a worker has under way; returns when that is on record. Shielded."""
        attached = self._attached.get(worker)
        if attached is None:
            return
        with anyio.CancelScope(shield=True):
            started = self._started
            if started is not None:
                await self._send(started, Detach(worker))
                with anyio.move_on_after(DETACH_S) as waiting:
                    await attached.detached.wait()
                if waiting.cancelled_caught:
                    started.process.kill()
            self._attached.pop(worker, None)
            self._give_up(attached)
            attached.is_over = True
            attached.close_unused()

    def _give_up(self, attached: _Attached) -> None:
        for order in list(attached.orders):
            attached.orders.pop(order)(RequestEnded(order, LOST))

    async def _send(
        self, started: Started, frame: broker_frames.ToBroker, descriptors: list[int] | None = None
    ) -> None:
        try:
            with anyio.fail_after(START_S):
                await started.channel.send(frame, descriptors)
        except ClosedError:
            pass  # whoever listens finds out, and gives up what was under way
        except TimeoutError:
            started.process.kill()

    # --- what it says -----------------------------------------------------------------------

    async def _listen(self, started: Started) -> None:
        why = ""
        try:
            while True:
                self._heard(await started.channel.receive())
        except PeerViolation as error:
            why = str(error)
        except (ClosedError, ValueError, anyio.ClosedResourceError):
            pass
        finally:
            if self._started is started:
                self._started = None
            with anyio.CancelScope(shield=True):
                why = why or await started.post_mortem()
                await started.end()
            for attached in self._attached.values():
                self._give_up(attached)
                attached.detached.set()
        if not self._ending:
            self._lost(why)
            await self._again()

    async def _again(self) -> None:
        """Workers may wait for a connection: start it anew, unless nobody needs it."""
        for attached in self._attached.values():
            attached.detached = anyio.Event()
        is_told = False
        while self._attached and self._started is None and not self._ending:
            try:
                await self.ready()
            except (IsolationUnavailableError, RestingError, OSError) as error:
                # No process or no descriptor is left, perhaps; or it rests.
                if not is_told:
                    log.warning("broker.cold", why=str(error))
                is_told = True
                await anyio.sleep(AGAIN_S)

    def _heard(self, frame: FromBroker) -> None:
        match frame:
            case RequestEnded(id=order):
                for attached in self._attached.values():
                    if (ended := attached.orders.pop(order, None)) is not None:
                        ended(frame)
                        return
                raise PeerViolation("the end of a request that was not ordered")
            case broker_frames.Detached(worker=worker):
                if worker in self._attached:
                    self._attached[worker].detached.set()
            case _:
                raise PeerViolation(f"{type(frame).__name__} from a broker that was ready")

    async def end(self) -> None:
        """End it. Shielded."""
        self._ending = True
        with anyio.CancelScope(shield=True):
            if self._started is not None:
                await self._started.end()
                self._started = None
            for attached in self._attached.values():
                self._give_up(attached)
                attached.detached.set()
