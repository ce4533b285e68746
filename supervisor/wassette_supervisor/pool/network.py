"""The network of one worker: its requests, decided one after the other, and its doorbell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wassette_protocol.broker_frames import Allowance
from wassette_protocol.codec import PeerViolation
from wassette_protocol.frames import HttpAllowed, HttpRefused
from wassette_supervisor.pool.requests import DENIED, Refusal

if TYPE_CHECKING:
    from wassette_protocol.capabilities import Limits
    from wassette_protocol.frames import ChildId, HttpRequested
    from wassette_supervisor.pool.broker import Broker
    from wassette_supervisor.pool.requests import Requests


class Network:
    """Of a worker that was granted none, every request is refused all the same: and on record."""

    def __init__(self, broker: Broker | None, worker: ChildId, limits: Limits) -> None:
        self._broker = broker
        self._worker = worker
        self._limits = limits
        self._listener: int | None = None
        self._is_attached = False
        self._refused_for_good = False

    def hold(self, listener: int) -> None:
        """Take the worker's listener: given to the broker for the first request, not before."""
        self._listener = listener

    async def open(self, component: str) -> None:
        """Have connections answered before any request was decided: for what `doctor` tries.

        Raises:
            IsolationUnavailableError: There is no broker.
        """
        if self._listener is not None and self._broker is not None:
            await self._attach(self._broker, component)

    async def decided(
        self, wanted: HttpRequested, requests: Requests | None
    ) -> HttpAllowed | HttpRefused:
        """What the worker is told of a request.

        Raises:
            AuditError: It can't be recorded.
            IsolationUnavailableError: There is no broker.
            PeerViolation: No guard asks that.
        """
        if self._refused_for_good:
            raise PeerViolation("HttpRequested after it was refused for good")
        broker = self._broker
        if requests is None or broker is None:
            return self._refused(Refusal(DENIED, final=True))
        answer = await requests.asked(wanted, broker.under_way(self._worker))
        if isinstance(answer, Refusal):
            return self._refused(answer)
        if not self._is_attached:
            await self._attach(broker, requests.component)
        return HttpAllowed(await broker.order(self._worker, answer))

    def _refused(self, refusal: Refusal) -> HttpRefused:
        self._refused_for_good = refusal.final
        return HttpRefused(refusal.code, refusal.final)

    async def _attach(self, broker: Broker, component: str) -> None:
        if self._listener is None:
            raise PeerViolation("a request of a worker that was given no network")
        limits = self._limits
        allowance = Allowance(
            limits.concurrent_requests,
            limits.request_bytes,
            limits.response_bytes,
            limits.first_byte_ms,
            limits.request_time_ms,
        )
        listener, self._listener, self._is_attached = self._listener, None, True
        await broker.attach(self._worker, listener, component, allowance)

    async def end(self) -> None:
        """Leave no request under way, each with its end on record, and no descriptor. Shielded."""
        if self._is_attached and self._broker is not None:
            self._is_attached = False
            await self._broker.detach(self._worker)
        if self._listener is not None:
            os.close(self._listener)
            self._listener = None
