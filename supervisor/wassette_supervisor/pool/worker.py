"""One worker: its handshake, its one call, its end; every way to end has its own error."""

from __future__ import annotations

import signal
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import structlog
from anyio.lowlevel import checkpoint

from wassette_protocol import frames
from wassette_protocol.codec import FROM_WORKER, PeerViolation
from wassette_protocol.frames import Ending
from wassette_protocol.session import WORKER_IS_SENT, WORKER_SENDS, Session
from wassette_supervisor import bounded_json
from wassette_supervisor.errors import (
    BadArgumentsError,
    CallError,
    ForbiddenCallError,
    GuestExitedError,
    LimitExceededError,
    NoRoomError,
    TrappedError,
    WorkerDiedError,
    WorkerViolatedError,
    one_line,
)
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.pool import directories, opened
from wassette_supervisor.pool.channel import ClosedError
from wassette_supervisor.pool.conversation import Conversation
from wassette_supervisor.pool.outcome import denied_files
from wassette_supervisor.pool.output import Output
from wassette_supervisor.pool.processors import PROCESSORS

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from wassette_supervisor.pool.endings import Endings
    from wassette_supervisor.pool.grants import Grants
    from wassette_supervisor.pool.network import Network
    from wassette_supervisor.pool.opened import FileRecords
    from wassette_supervisor.pool.requests import Requests
    from wassette_supervisor.pool.zygote import Placed

log = structlog.get_logger(__name__)

# After the engine's own deadline: a guest that waits in the host is killed then.
GRACE_S = 0.25
# From a request for a worker to its first word.
HANDSHAKE_S = 20.0
# From the end of its socket to the end of the process.
LAST_BREATH_S = 2.0


class Worker:
    """A process that will serve one call.

    `broken` tells how it died or misbehaved: its template shares its address layout.
    `answered` is set when its call has ended; `grants` is what it was instantiated with.
    """

    def __init__(self, placed: Placed, grants: Grants, endings: Endings, network: Network) -> None:
        self.broken: CallError | None = None
        self.grants = grants
        self.answered = anyio.Event()
        self.instantiate_us = 0
        self.output = Output(placed.ends.output, grants.limits.output)
        self._child = placed.child
        self._limits = grants.limits
        self._network = network
        self._endings = endings
        session = Session(WORKER_SENDS, WORKER_IS_SENT)
        self._conversation = Conversation(placed.ends.control, FROM_WORKER, session)
        self._when_gone: Callable[[], None] = _nobody

    async def start(
        self, check_steps: Callable[[list[str]], None], records: FileRecords | None = None
    ) -> None:
        """Give it what it is granted, and wait until the component stands.

        Raises:
            CallError: It doesn't; `end` must still be called.
            AuditError: What it opens can't be recorded; `end` must still be called.
        """
        try:
            with anyio.fail_after(HANDSHAKE_S):
                await self._begin(check_steps)
                await self._grant()
            frame = await self._within_wall_time(records, None, ahead=True)
        except TimeoutError:
            await self._conversation.process.end()
            cause = f"it was not ready within {HANDSHAKE_S:.0f} s, and was killed"
            self.broken = WorkerDiedError(signal=signal.SIGKILL, cause=cause)
            raise self.broken from None
        except (ClosedError, PeerViolation) as error:
            raise await self._error(error) from error
        if isinstance(frame, frames.Ended):
            raise self._ended(frame, "while it was instantiated: ")
        if isinstance(frame, frames.Instantiated):
            self.instantiate_us = frame.instantiate_us

    async def _begin(self, check_steps: Callable[[list[str]], None]) -> None:
        if self.grants.network:
            self._network.hold(await self._conversation.begin_with_listener(check_steps))
        else:
            await self._conversation.begin(check_steps)

    async def _grant(self) -> None:
        grants = self.grants
        async with directories.opened(grants.directories) as numbers:
            grant = frames.Grant(
                list(grants.environment),
                grants.preopens,
                grants.file_size,
                grants.files,
                grants.audited,
            )
            await self._conversation.send(grant, numbers)

    async def call(
        self,
        export: frames.Export,
        arguments: bytes,
        records: FileRecords | None = None,
        requests: Requests | None = None,
    ) -> tuple[dict[str, Any], frames.Returned]:
        """Serve the call: the decoded value, and the frame that brought it.

        Raises:
            CallError: It ended in any other way.
            AuditError: What it opens or asks for can't be recorded.
        """
        try:
            with self._on_one_processor():
                run = frames.Run(export, arguments)
                frame = await self._within_wall_time(records, requests, run=run)
            # What it left under way ends now, and is on record before the call's own end.
            await self._network.end()
            self.output.drain()
            return self._answer(frame)
        except (ClosedError, PeerViolation) as error:
            raise await self._error(error) from error
        finally:
            self.answered.set()

    async def attempt(self, attempt: frames.Try) -> int:
        """Have it try what it may not, in place of a call: 0, or the number of the error.

        Raises:
            CallError: It ended of it, or misbehaved.
        """
        process = self._conversation.process
        try:
            await self._network.open("attempt")  # a connection that nobody answers would wait
            await self._conversation.send(attempt)
            frame = await self._within_wall_time(None, None)
            return frame.error if isinstance(frame, frames.Tried) else 0
        except PeerViolation as error:
            raise WorkerViolatedError(str(error)) from error
        except ClosedError as error:
            # An end that was asked for: nothing that an operator should be warned of.
            if not await process.gone_within(LAST_BREATH_S):
                raise WorkerViolatedError("it closed its socket and went on") from error
            await process.end()
            raise await self._endings.error(self._child, process) from error

    def is_gone(self) -> bool:
        """Whether it died before anybody called it."""
        return self._conversation.process.is_gone()

    async def watch_output(self) -> None:
        """Kill the worker when it has written more than it may; ends with it."""
        if await self.output.watch():
            self._conversation.process.kill()
        self._when_gone()

    def when_gone(self, tell: Callable[[], None]) -> None:
        """Have it told that the worker ended before anybody called it."""
        self._when_gone = tell

    async def end(self) -> None:
        """Leave no process and no descriptor. Shielded."""
        with anyio.CancelScope(shield=True):
            await self._conversation.end()
            await self._network.end()
            self.output.close()
            self._endings.forget(self._child)

    def _on_one_processor(self) -> AbstractContextManager[None]:
        """For the time of a call; only operations on files gain by it."""
        if not self.grants.directories:
            return nullcontext()
        return PROCESSORS.one_for(self._conversation.process)

    async def _within_wall_time(
        self,
        records: FileRecords | None,
        requests: Requests | None,
        *,
        run: frames.Run | None = None,
        ahead: bool = False,
    ) -> frames.Frame:
        seconds = self._limits.wall_time_ms / 1000
        with anyio.move_on_after(seconds + GRACE_S):
            if run is not None:  # which may be longer than what it takes without being read
                await self._conversation.send(run)
            frame = await self._conversation.receive()
            while isinstance(frame, frames.FileOpened | frames.HttpRequested):
                if isinstance(frame, frames.FileOpened):
                    await self._record(frame, records, ahead=ahead)
                else:
                    await self._decide(frame, requests)
                frame = await self._conversation.receive()
            return frame
        self._conversation.process.kill()
        raise self._limit("wall_time", self._limits.wall_time_ms, "killed while it waited")

    async def _record(
        self, told: frames.FileOpened, records: FileRecords | None, *, ahead: bool
    ) -> None:
        """Put an open on record, and let the worker go on: it waits, so that none can be many."""
        if records is None or not self.grants.audited or self._conversation.has_more:
            raise PeerViolation("FileOpened that nobody waits for")
        records.opened(opened.checked(told, self.grants.directories), ahead=ahead)
        await self._conversation.send(frames.Recorded())
        await checkpoint()  # others' turn: neither of the above need have waited

    async def _decide(self, wanted: frames.HttpRequested, requests: Requests | None) -> None:
        """Have a request decided, and let the worker go on: it waits, as for an open."""
        if self._conversation.has_more:
            raise PeerViolation("HttpRequested that nobody waits for")
        await self._conversation.send(await self._network.decided(wanted, requests))

    def _answer(self, frame: frames.Frame) -> tuple[dict[str, Any], frames.Returned]:
        if self.output.over_limit:
            raise self._limit("output", self._limits.output, "")
        match frame:
            case frames.Returned():
                return self._value(frame), frame
            case frames.Refused(pointer=pointer, expected=expected, got=got):
                raise BadArgumentsError(pointer, expected, got)
            case frames.Ended():
                error = self._ended(frame)
                error.missing = tuple(frame.usage.missing)
                denied = denied_files(frame.usage, self.grants.directories)
                error.denied = tuple((one.path, one.access) for one in denied)
                raise error
            case _:
                raise PeerViolation(f"{type(frame).__name__} as an answer")

    def _value(self, frame: frames.Returned) -> dict[str, Any]:
        if len(frame.result) > self._limits.result:
            raise PeerViolation(f"a result of {len(frame.result)} bytes")
        try:
            bounded_json.check(
                frame.result, max_nodes=self._limits.result_nodes + 2, max_depth=_MAX_DEPTH
            )
        except bounded_json.TooLargeError as error:
            raise self._limit("result_nodes", self._limits.result_nodes, str(error)) from error
        try:
            return _VALUE.decode(frame.result)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise PeerViolation(f"a result that is no JSON: {error}") from error

    async def post_mortem(self) -> CallError:
        """How it ended before anybody called it."""
        return await self._died()

    async def _error(self, error: ClosedError | PeerViolation) -> CallError:
        violation = str(error) if isinstance(error, PeerViolation) else ""
        if not violation and not await self._conversation.process.gone_within(LAST_BREATH_S):
            violation = "it closed its socket and went on"
        if violation:
            await self._conversation.process.end()
            self.broken = WorkerViolatedError(violation)
            return self.broken
        return await self._died()

    async def _died(self) -> CallError:
        self.broken = await self._death()
        return self.broken

    async def _death(self) -> CallError:
        await self._conversation.process.end()
        self.output.drain()
        if self.output.over_limit:
            return self._limit("output", self._limits.output, "")
        if said := one_line(self.output.text()[-300:]):
            log.warning("worker.died", said=said)
        error = await self._endings.error(self._child, self._conversation.process)
        if isinstance(error, ForbiddenCallError):
            log.warning("worker.forbidden", why=error.cause)
        return error

    def _ended(self, frame: frames.Ended, when: str = "") -> CallError:
        detail = when + frame.detail
        match frame.ending:
            case Ending.FUEL | Ending.RESULT:
                name = frame.ending.value
                return self._limit(name, getattr(self._limits, name), when)
            case Ending.EPOCH:
                return self._limit("wall_time", self._limits.wall_time_ms, f"{when}epoch deadline")
            case Ending.MEMORY:
                return self._limit("memory", self._limits.memory, detail)
            case Ending.EXIT:
                return GuestExitedError(int(frame.detail) if frame.detail.isdigit() else 1)
            case Ending.NO_THREAD:
                return NoRoomError("no thread could be started")
            case Ending.HOST_COPY | Ending.HOST_TAKE:
                return TrappedError(when + _TOO_MUCH[frame.ending])
            case Ending.TRAP:
                return TrappedError(detail + self._perhaps_memory(detail))

    def _perhaps_memory(self, detail: str) -> str:
        # The engine doesn't say that it refused a guest a piece of memory: allocators then give
        # up by this instruction, however little was in use.
        if "unreachable" not in detail:
            return ""
        limit = LIMITS["memory"].text(self._limits.memory)
        return f", as of a guest that asked for more at once than memory={limit} leaves it"

    def _limit(self, name: str, value: int, detail: str) -> LimitExceededError:
        return LimitExceededError(name, LIMITS[name].text(value), detail.rstrip(": "))


# No setting of the engine's C API raises it; of arguments it copies more.
_TOO_MUCH = {
    Ending.HOST_COPY: (
        "more data in one call than the engine copies: 128 MiB, of which each element of a list "
        "takes 48 bytes; return less at once"
    ),
    # Files are what a guest gives most to, so the text is about them. Streams take it in parts.
    Ending.HOST_TAKE: (
        "it gave the host more at once than the engine copies: where each path of files is judged, "
        "a write at an offset (pwrite) takes at most 2,796,202 bytes; write less at once, or by a "
        "stream"
    ),
}

# WIT types nest at most 64 deep in what we express; a value has two levels for some of them.
_MAX_DEPTH = 200


def _nobody() -> None:
    pass


_VALUE: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])
