"""The HTTP requests of one call: decided by what the call was granted, each on record."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from wassette_supervisor.audit.bounding import short_line
from wassette_supervisor.audit.entry import Event
from wassette_supervisor.authority.request_rules import Refused
from wassette_supervisor.errors import AuditError, CallError
from wassette_supervisor.pool.requests import DENIED, Decided, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wassette_protocol.broker_frames import RequestEnded
    from wassette_protocol.frames import HttpRequested
    from wassette_supervisor.authority.granting import Granted
    from wassette_supervisor.authority.request_rules import Permitted
    from wassette_supervisor.components.calls import Call
    from wassette_supervisor.policy.request_words import Words

log = structlog.get_logger(__name__)

# Hosts of one call that a person may be asked for.
MAX_OFFERED = 8


class CallRequests:
    """Decides and records; `offered` are the hosts of rules that would have allowed more."""

    def __init__(self, call: Call, granted: Granted) -> None:
        self.offered: list[str] = []
        self._call = call
        self._judge = granted.judge
        self._limits = granted.grants.limits
        self._count = 0

    @property
    def component(self) -> str:
        return self._call.record.id

    async def asked(self, wanted: HttpRequested, under_way: int) -> Decided | Refusal:
        """Decide on a request, and put it on record before anything goes out.

        Raises:
            AuditError: It can't be recorded.
        """
        self._count += 1
        if self._count > self._limits.requests:
            # The others after it are not even asked for.
            self._refused(f"the call may make {self._limits.requests} requests (limit requests)")
            return Refusal(DENIED, final=True)
        judged = self._judge(wanted)
        if isinstance(judged, Refused):
            self._offer(judged.offer)
            rule = judged.rule.text if judged.rule else None
            self._refused(judged.reason, judged.words, rule)
            return Refusal(judged.code)
        most = self._limits.concurrent_requests
        if under_way >= most:
            why = f"{most} requests of the call are under way (limit concurrent_requests)"
            self._refused(why, judged.words, judged.rule.text)
            return Refusal("connection-limit-reached")
        detail = self._detail(judged.words)
        self._call.request(Event.REQUEST_STARTED, detail, "allowed", judged.rule.text)
        return Decided(
            judged.destination,
            judged.words.request.method,
            judged.words.target,
            judged.rules,
            judged.inject,
            partial(self._ended, judged),
        )

    @contextmanager
    def offering(self) -> Iterator[None]:
        """Have an error of the call tell the hosts that a person may be asked for."""
        try:
            yield
        except CallError as error:
            error.hosts = tuple(self.offered)
            raise

    def _offer(self, host: str | None) -> None:
        if host is not None and host not in self.offered and len(self.offered) < MAX_OFFERED:
            self.offered.append(host)

    def _refused(self, why: str, words: Words | None = None, rule: str | None = None) -> None:
        detail = self._detail(words) | {"why": why}
        self._call.request(Event.REQUEST, detail, "denied", rule)

    def _ended(self, judged: Permitted, ended: RequestEnded) -> None:
        detail = self._detail(judged.words) | {
            "outcome": ended.outcome,
            "status": ended.status or None,
            "address": ended.address or None,
            "version": ended.version or None,
            "sent_bytes": ended.sent,
            "received_bytes": ended.received,
            "first_byte_us": ended.first_byte_us or None,
            "total_us": ended.total_us,
        }
        try:
            self._call.request(Event.REQUEST, detail, "allowed", judged.rule.text)
        except AuditError as error:
            # It was made. That it was is on record; the next one will be refused.
            log.error("audit.end_not_recorded", call=self._call.id, why=str(error))  # noqa: TRY400 - one line

    def _detail(self, words: Words | None) -> dict[str, Any]:
        """What was asked for: no query, which may have a secret of the guest's in it."""
        if words is None:
            return {"tool": self._call.tool}
        request = words.request
        return {
            "tool": self._call.tool,
            "method": request.method,
            "scheme": request.scheme,
            "host": words.host,
            "port": words.port,
            "path": short_line(words.target.partition("?")[0]),
        }
