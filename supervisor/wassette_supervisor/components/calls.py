"""One call of a component's tool: granted what the policy says now, and on record."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import structlog

from wassette_protocol.frames import OPENED
from wassette_supervisor.audit.bounding import short_line
from wassette_supervisor.audit.entry import Event
from wassette_supervisor.audit.redaction import redacted
from wassette_supervisor.errors import (
    AuditError,
    BadArgumentsError,
    BusyError,
    CallError,
    ForbiddenCallError,
    GuestExitedError,
    HeldBackError,
    IsolationUnavailableError,
    LimitExceededError,
    NoRoomError,
    NoThreadError,
    OperatorNeededError,
    PolicyError,
    RestingError,
    StoreError,
    SupervisorError,
    TrappedError,
    WorkerDiedError,
    WorkerViolatedError,
)
from wassette_supervisor.pool.grants import RevokedError
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from wassette_protocol.frames import ComponentId, Usage
    from wassette_supervisor.audit.entry import Decision
    from wassette_supervisor.audit.log import AuditLog
    from wassette_supervisor.authority.granting import Granted
    from wassette_supervisor.authority.permissions import Permissions
    from wassette_supervisor.pool.grants import Grants
    from wassette_supervisor.pool.opened import OpenedFile
    from wassette_supervisor.pool.outcome import CallOutcome
    from wassette_supervisor.store.record import Record

log = structlog.get_logger(__name__)

_CAUSES: dict[type[BaseException], str] = {
    BadArgumentsError: "bad-arguments",
    BusyError: "busy",
    GuestExitedError: "exit",
    HeldBackError: "held-back",
    IsolationUnavailableError: "not-isolated",
    LimitExceededError: "limit",
    NoRoomError: "no-room",
    NoThreadError: "no-room",
    RestingError: "resting",
    RevokedError: "revoked",
    TrappedError: "trap",
    ForbiddenCallError: "forbidden",
    WorkerDiedError: "died",
    WorkerViolatedError: "violation",
}


class PolicyUnusableError(OperatorNeededError):
    """The policy can't be applied as it is; why is for the operator, not for a model."""

    def __init__(self, component: str) -> None:
        self.component = component
        why = f"the tool was not run because the policy of {component!r} can't be applied"
        super().__init__(why, "policy", "check", component)


class DamagedComponentError(OperatorNeededError):
    """What is kept of the component can't be used as it is; why is for the operator as well."""

    def __init__(self, component: str) -> None:
        self.component = component
        why = f"the tool was not run because what is kept for {component!r} is damaged"
        super().__init__(why, "component", "repair", component)


def _places(grants: Grants) -> list[str]:
    """What a call may reach of the disk, its folders' rules left aside."""
    accesses = {
        place: ", ".join(name for name in ("read", "write") if getattr(place.reach, name))
        for directory in grants.directories
        for place in directory.reached
    }
    return [f"{place.path} ({access})" for place, access in accesses.items() if access]


@dataclass
class Call:
    """What is recorded of a call, from its start to its end."""

    audit: AuditLog
    record: Record
    tool: str
    client: str | None
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    def granted(self, permissions: Permissions) -> Granted:
        """Settle what it is given.

        Raises:
            SupervisorError: Nothing may run; that is on record.
        """
        try:
            return permissions.granted(self.record, self.tool)
        except PolicyError as error:
            self.refused(error)
            raise PolicyUnusableError(self.record.id) from error
        except StoreError as error:
            self.refused(error)
            raise DamagedComponentError(self.record.id) from error
        except SupervisorError as error:
            self.refused(error)
            raise

    async def settled(
        self, permissions: Permissions, records: Callable[[], Mapping[ComponentId, Record]]
    ) -> Granted:
        """As `granted`; and nothing has been taken away since when this returns.

        Raises:
            SupervisorError: Nothing may run; that is on record.
        """
        if not permissions.on_disk(self.record):
            return self.granted(permissions)
        # A granted directory may be on a disk that doesn't answer: that is for a thread to wait.
        standing = permissions.standing(self.record)
        try:
            granted = await run_sync(self.granted, permissions)
        except NoRoomError as no_room:
            self.refused(no_room)
            raise
        now = records().get(self.record.id)
        unchanged = now is not None and now.narrowed == self.record.narrowed
        if now is None or not unchanged or permissions.standing(now) != standing:
            error = RevokedError("what its component may do changed while it started; call again")
            self.refused(error)
            raise error
        return granted

    def opened(self, file: OpenedFile, *, ahead: bool) -> None:
        """Record an open before the guest has what it gives.

        Raises:
            AuditError: It can't be recorded; the guest must not have it.
        """
        decision = {OPENED: "allowed", "access": "denied"}.get(file.outcome)
        path = short_line(file.path)
        detail = {
            "tool": None if ahead else self.tool,
            "directory": file.directory.guest,
            "of": file.directory.path,
            "path": path,
            "access": ", ".join(file.access),
            "outcome": file.outcome,
        }
        if path != file.path:
            words = file.path.encode("utf-8", "surrogateescape")
            detail["path_sha256"] = hashlib.sha256(words).hexdigest()
        self._append(Event.FILE_OPEN, detail, decision, None if ahead else self.id)

    def request(
        self, event: Event, detail: Mapping[str, Any], decision: Decision, rule: str | None
    ) -> None:
        """Record what becomes of a request.

        Raises:
            AuditError: It can't be recorded.
        """
        self._append(event, detail, decision, self.id, rule)

    def refused(self, error: SupervisorError) -> None:
        """Record that it did not start."""
        log.info("call.refused", component=self.record.id, why=str(error))
        self._append(Event.REFUSAL, {"tool": self.tool, "why": str(error)}, "denied", self.id)

    @contextmanager
    def running(self, granted: Granted, arguments: Mapping[str, Any] | None) -> Iterator[Ended]:
        """Record the start, before anything runs, and the end, whatever it is.

        Args:
            granted: What it is given.
            arguments: To be recorded, redacted; None if they are not to be.

        Raises:
            AuditError: It can't be recorded; it must not run.
        """
        limits = granted.grants.limits
        detail: dict[str, Any] = {
            "tool": self.tool,
            "limits": {
                "fuel": limits.fuel,
                "memory": limits.memory,
                "wall_time_ms": limits.wall_time_ms,
                "output": limits.output,
            },
            "environment": [name for name, _ in granted.grants.environment],
            "directories": _places(granted.grants),
        }
        if granted.missing:
            detail["missing"] = list(granted.missing)
        if arguments is not None:
            detail["arguments"] = redacted(arguments)
        self._append(Event.CALL_STARTED, detail, "allowed", self.id)
        ended = Ended()
        try:
            yield ended
        except BaseException as error:
            ended.by(error)
            raise
        finally:
            self._end(ended)

    def _end(self, ended: Ended) -> None:
        try:
            self._append(Event.CALL_ENDED, ended.detail, None, self.id)
        except AuditError as error:
            # It has run. That it did is on record; the next call will be refused.
            log.error("audit.end_not_recorded", call=self.id, why=str(error))  # noqa: TRY400 - one line

    def _append(
        self,
        event: Event,
        detail: Mapping[str, Any],
        decision: Any,
        call: str | None,
        rule: str | None = None,
    ) -> None:
        self.audit.append(
            event,
            call=call,
            component=self.record.id,
            digest=self.record.digest,
            client=None if call is None else self.client,
            decision=decision,
            rule=rule,
            detail=detail,
        )


class Ended:
    """How a call ended."""

    def __init__(self) -> None:
        self.detail: dict[str, Any] = {"cause": "unknown"}

    def returned(self, outcome: CallOutcome) -> None:
        self.detail = {
            "cause": "failed" if outcome.failed else "returned",
            "result_bytes": outcome.result_bytes,
            "usage": _used(outcome.usage) | {"wall_us": outcome.total_us},
            **_denied((one.path, one.access) for one in outcome.denied),
        }

    def by(self, error: BaseException) -> None:
        if isinstance(error, anyio.get_cancelled_exc_class()):
            self.detail = {"cause": "cancelled"}
        elif isinstance(error, CallError):
            cause = _CAUSES.get(type(error), "error")
            limit = {"limit": error.limit} if isinstance(error, LimitExceededError) else {}
            self.detail = {"cause": cause, **limit, "why": str(error), **_denied(error.denied)}
        else:
            self.detail = {"cause": "error", "why": type(error).__name__}


def _used(usage: Usage) -> dict[str, Any]:
    """What was refused is told by itself, as paths of the host."""
    used: dict[str, Any] = msgspec.to_builtins(usage)
    return {name: value for name, value in used.items() if name != "refused"}


def _denied(files: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The paths that the rules refused, if there are any."""
    found = [f"{path} ({access})" for path, access in files]
    return {"denied": found} if found else {}
