"""The actor that carries out the schedule: each call in a worker of its own."""

from __future__ import annotations

import itertools
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import anyio
import msgspec
import structlog

from wassette_protocol.frames import ComponentId, Digest, Export
from wassette_supervisor.actor import ActorStoppedError, Ask, Inbox
from wassette_supervisor.errors import BusyError, CallError, NoRoomError, SupervisorError
from wassette_supervisor.pool.broker import Broker
from wassette_supervisor.pool.compiler import Compiler
from wassette_supervisor.pool.grants import Grants, RevokedError
from wassette_supervisor.pool.outcome import CallOutcome, denied_files
from wassette_supervisor.pool.sandbox import Sandbox
from wassette_supervisor.pool.schedule import CallId, Schedule
from wassette_supervisor.pool.templates import Source, Templates, Wanted
from wassette_supervisor.pool.zygote import Zygote

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskGroup

    from wassette_supervisor.pool.opened import FileRecords
    from wassette_supervisor.pool.requests import Requests
    from wassette_supervisor.settings import Settings

log = structlog.get_logger(__name__)

ZYGOTE = "wassette_worker.zygote"


@dataclass(eq=False)
class _Call(Ask[CallOutcome]):
    id: CallId
    wanted: Wanted
    export: Export
    arguments: bytes
    requests: Requests | None

    def __post_init__(self) -> None:
        super().__init__()
        self.asked = time.monotonic_ns()
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()
        self.revoked: RevokedError | None = None


@dataclass(frozen=True)
class _Withdraw:
    call: _Call


@dataclass(frozen=True)
class _Stop:
    calls: list[_Call]


@dataclass(frozen=True)
class _Finished:
    call: _Call


_Message = _Call | _Withdraw | _Stop | _Finished


class Pool:
    """Owns the schedule; nothing else reads or writes it."""

    def __init__(self, tasks: TaskGroup, settings: Settings, zygote: Zygote) -> None:
        self.compiler = Compiler(zygote)
        self._zygote = zygote
        self._broker = Broker(tasks, settings, zygote.sandbox)
        self._templates = Templates(zygote, self.compiler, tasks, self._broker)
        self._schedule = Schedule(settings.max_workers, settings.queue, settings.max_per_component)
        self._asked: set[_Call] = set()  # by callers who wait
        self._calls: dict[CallId, _Call] = {}  # in the schedule
        self._ids = itertools.count(1)
        self._inbox = Inbox[_Message](256)
        self._tasks = tasks

    @property
    def engine_key(self) -> str:
        """What an artefact depends on beside its component; known once anything was compiled."""
        return self._zygote.engine

    async def warm(self) -> None:
        """Have the zygote and the shims ready before the first call asks for them."""
        try:
            await self._templates.warm()
        except (SupervisorError, OSError) as error:
            log.warning("pool.cold", why=str(error))

    async def call(  # noqa: PLR0913 - what a call is
        self,
        source: Source,
        export: Export,
        arguments: bytes,
        *,
        grants: Grants,
        component: ComponentId,
        records: FileRecords | None = None,
        requests: Requests | None = None,
    ) -> CallOutcome:
        """Run one call; whoever cancels it has its worker killed before this returns.

        Args:
            source: Where the component is had from.
            export: What is called.
            arguments: JSON.
            grants: What it is given.
            component: Whose call it is.
            records: Where opens are recorded; needed for grants that are audited.
            requests: Who decides its requests; without one all are refused.

        Raises:
            AuditError: What the guest opens or asks for can't be recorded.
            CallError: It gave no result.
            RevokedError: It was ended by `stop`.
        """
        wanted = Wanted(component, source, grants, records)
        call = _Call(CallId(next(self._ids)), wanted, export, arguments, requests)
        self._asked.add(call)
        try:
            await self._inbox.tell(call)
            return await call.wait()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                with suppress(ActorStoppedError):
                    await self._inbox.tell(_Withdraw(call))
                    await call.ended.wait()
            raise
        finally:
            self._asked.discard(call)
            call.ended.set()  # unless it is set, nobody has taken the call from the inbox

    async def stop(self, component: ComponentId, reason: str) -> None:
        """End every running or waiting call of a component; return when their workers are gone.

        Calls asked for after this was called are not concerned: they have grants of their own.

        Args:
            component: Whose calls; its spares end with them.
            reason: What was revoked, in words that follow "because".
        """
        calls = [call for call in self._asked if call.wanted.component == component]
        for call in calls:
            call.revoked = RevokedError(reason)
        self._templates.drop_spares(component)
        with suppress(ActorStoppedError):
            await self._inbox.tell(_Stop(calls))
        for call in calls:
            await call.ended.wait()

    def forget(self, digest: Digest) -> None:
        """Give up what is held for a component, when its last running call has ended."""
        self._tasks.start_soon(self._templates.forget, digest)

    def held_back(self, digest: Digest) -> str | None:
        """Why nothing of a component is started until `pardon`; None if it may be."""
        return self._templates.troubles.held_back(digest)

    def pardon(self, digest: Digest) -> None:
        """Somebody else keeps in mind now, if needed, that the component crashed too often."""
        self._templates.troubles.forget(digest)

    async def run(self) -> None:
        """Serve the inbox until cancelled, then end every process."""
        try:
            async for message in self._inbox.messages:
                await self._receive(message)
        finally:
            self._inbox.close()
            for call in list(self._asked):
                self._give_up(call)

    def _give_up(self, call: _Call) -> None:
        call.fail(ActorStoppedError("the server stops"))
        call.scope.cancel()
        call.ended.set()

    async def _receive(self, message: _Message) -> None:
        match message:
            case _Call():
                self._submit(message)
            case _Withdraw(call=call):
                self._withdraw(call)
            case _Stop(calls=calls):
                for call in calls:
                    self._withdraw(call)
            case _Finished(call=call):
                self._calls.pop(call.id, None)
                self._start(self._schedule.finished(call.id))
            case _:
                assert_never(message)

    def _submit(self, call: _Call) -> None:
        if call.revoked is not None:
            call.fail(call.revoked)
            call.ended.set()
            return
        if self._schedule.is_full(call.wanted.component):
            call.fail(BusyError(self._schedule.running, self._schedule.waiting))
            call.ended.set()
            return
        self._calls[call.id] = call
        self._start(self._schedule.submit(call.id, call.wanted.component))

    def _withdraw(self, call: _Call) -> None:
        """End a call that was given up by its caller, or revoked."""
        if call.id not in self._calls:  # refused, or ended meanwhile
            call.ended.set()
        elif call.scope.cancel_called or self._schedule.is_running(call.id):
            call.scope.cancel()
        else:
            del self._calls[call.id]
            self._start(self._schedule.finished(call.id))
            if call.revoked is not None:
                call.fail(call.revoked)
            call.ended.set()

    def _start(self, calls: list[CallId]) -> None:
        for call in calls:
            self._tasks.start_soon(self._carry_out, self._calls[call])

    async def _carry_out(self, call: _Call) -> None:
        try:
            with call.scope:
                call.answer(await self._serve(call))
            if call.revoked is not None:
                call.fail(call.revoked)
        except SupervisorError as error:
            call.fail(call.revoked or error)
        except OSError as error:  # of ours, for descriptors and the like: peers' are in the pool
            log.warning("call.no_room", why=str(error))
            call.fail(NoRoomError(error.strerror or type(error).__name__))
        except Exception as error:  # the border of one call: it fails, nothing else does
            log.exception("call.broke", export=call.export.function)
            call.fail(CallError(f"the call broke the supervisor: {type(error).__name__}"))
        finally:
            call.ended.set()
            with anyio.CancelScope(shield=True):
                with suppress(ActorStoppedError):
                    await self._inbox.tell(_Finished(call))

    async def _serve(self, call: _Call) -> CallOutcome:
        began = time.monotonic_ns()
        worker, held = await self._templates.take(call.wanted)
        try:
            value, returned = await worker.call(
                call.export, call.arguments, call.wanted.records, call.requests
            )
        except BaseException as error:
            if isinstance(error, CallError):
                worker.output.drain()
                error.output = worker.output.text()
            # Only after the worker is gone may the caller know.
            await self._templates.done(worker, held)
            raise
        # A worker that answered ends by itself; the answer need not wait for it.
        self._tasks.start_soon(self._templates.done, worker, held)
        return CallOutcome(
            value=value,
            failed=returned.failed,
            usage=msgspec.structs.replace(returned.usage, refused=[]),
            denied=denied_files(returned.usage, call.wanted.grants.directories),
            result_bytes=len(returned.result),
            queue_us=(began - call.asked) // 1000,
            total_us=(time.monotonic_ns() - call.asked) // 1000,
            output=worker.output.text(),
        )

    async def end(self) -> None:
        """End every process. Shielded."""
        with anyio.CancelScope(shield=True):
            await self._templates.end()
            await self._broker.end()
            await self._zygote.end()


@asynccontextmanager
async def open_pool(settings: Settings, zygote_module: str = ZYGOTE) -> AsyncIterator[Pool]:
    """A pool that runs until the block ends; then no process of it is left.

    An error of the block is raised as it is, not in a group.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        zygote = Zygote(
            tasks,
            fresh=settings.isolation == "exec",
            module=zygote_module,
            sandbox=Sandbox(available=settings.sandbox == "available"),
            calls=settings.max_workers,
        )
        pool = Pool(tasks, settings, zygote)
        tasks.start_soon(pool.run)
        try:
            yield pool
        except Exception as error:  # noqa: BLE001 - raised again below
            failure = error
        finally:
            # Nothing may be started any more when everything is ended.
            tasks.cancel_scope.cancel()
            await pool.end()
    if failure is not None:
        raise failure
