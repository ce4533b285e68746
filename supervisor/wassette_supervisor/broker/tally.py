"""What one attached worker has used; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_supervisor.broker.codes import RequestError

if TYPE_CHECKING:
    from wassette_protocol.broker_frames import Allowance


class Worker:
    """The requests of one worker, taken together."""

    def __init__(self, component: str, allowance: Allowance) -> None:
        self.component = component
        self.allowance = allowance
        self._running = 0
        self._sent = 0
        self._received = 0

    def begin(self) -> None:
        """Have one more request at once.

        Raises:
            RequestError: There are as many as may be.
        """
        if self._running >= self.allowance.concurrent:
            raise RequestError("connection-limit-reached")
        self._running += 1

    def end(self) -> None:
        self._running -= 1

    def foresees(self, *, sent: int = 0, received: int = 0) -> None:
        """Refuse early what is said to be too long.

        Raises:
            RequestError: It is.
        """
        if self._sent + sent > self.allowance.request_bytes:
            raise RequestError("HTTP-request-body-size")
        if self._received + received > self.allowance.response_bytes:
            raise RequestError("HTTP-response-body-size")

    def sends(self, size: int) -> None:
        self._sent += size
        self.foresees()

    def receives(self, size: int) -> None:
        self._received += size
        self.foresees()
