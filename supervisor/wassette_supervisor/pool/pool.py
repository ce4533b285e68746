"""The actor that carries out the schedule: each call in a worker of its own."""

from __future__ import annotations

import itertools
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import anyio
import structlog

from wassette_protocol.frames import Digest, Export
from wassette_supervisor.actor import ActorStoppedError, Ask, Inbox
from wassette_supervisor.errors import BusyError, CallError, SupervisorError
from wassette_supervisor.pool.compiler import Compiler
from wassette_supervisor.pool.outcome import CallOutcome
from wassette_supervisor.pool.schedule import CallId, Schedule
from wassette_supervisor.pool.templates import Source, Templates
from wassette_supervisor.pool.zygote import Zygote

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskGroup

    from wassette_supervisor.settings import Settings

log = structlog.get_logger(__name__)

ZYGOTE = "wassette_worker.zygote"


@dataclass(eq=False)
class _Call(Ask[CallOutcome]):
    id: CallId
    source: Source
    export: Export
    arguments: bytes

    def __post_init__(self) -> None:
        super().__init__()
        self.asked = time.monotonic_ns()
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()


@dataclass(frozen=True)
class _Withdraw:
    call: _Call


@dataclass(frozen=True)
class _Finished:
    call: _Call


_Message = _Call | _Withdraw | _Finished


class Pool:
    """Owns the schedule; nothing else reads or writes it."""

    def __init__(self, tasks: TaskGroup, settings: Settings, zygote: Zygote) -> None:
        self.compiler = Compiler(zygote)
        self._zygote = zygote
        self._templates = Templates(zygote, self.compiler, tasks, settings.limits)
        self._schedule = Schedule(settings.max_workers, settings.queue)
        self._calls: dict[CallId, _Call] = {}
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
        except SupervisorError as error:
            log.warning("pool.cold", why=str(error))

    async def call(self, source: Source, export: Export, arguments: bytes) -> CallOutcome:
        """Run one call; whoever cancels it has its worker killed before this returns.

        Raises:
            CallError: It gave no result.
        """
        call = _Call(CallId(next(self._ids)), source, export, arguments)
        try:
            await self._inbox.tell(call)
            return await call.wait()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                with suppress(ActorStoppedError):
                    await self._inbox.tell(_Withdraw(call))
                    await call.ended.wait()
            raise

    def forget(self, digest: Digest) -> None:
        """Give up what is held for a component, when its last running call has ended."""
        self._tasks.start_soon(self._templates.forget, digest)

    async def run(self) -> None:
        """Serve the inbox until cancelled, then end every process."""
        try:
            async for message in self._inbox.messages:
                await self._receive(message)
        finally:
            for message in self._inbox.close():
                if isinstance(message, _Call):
                    self._give_up(message)
            for call in list(self._calls.values()):
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
            case _Finished(call=call):
                self._calls.pop(call.id, None)
                self._start(self._schedule.finished(call.id))
            case _:
                assert_never(message)

    def _submit(self, call: _Call) -> None:
        if self._schedule.is_full():
            call.fail(BusyError(self._schedule.running, self._schedule.waiting))
            call.ended.set()
            return
        self._calls[call.id] = call
        self._start(self._schedule.submit(call.id, call.source.digest))

    def _withdraw(self, call: _Call) -> None:
        if call.id not in self._calls:  # refused, or ended meanwhile
            call.ended.set()
        elif call.scope.cancel_called or self._schedule.is_running(call.id):
            call.scope.cancel()
        else:
            del self._calls[call.id]
            self._start(self._schedule.finished(call.id))
            call.ended.set()

    def _start(self, calls: list[CallId]) -> None:
        for call in calls:
            self._tasks.start_soon(self._carry_out, self._calls[call])

    async def _carry_out(self, call: _Call) -> None:
        try:
            with call.scope:
                call.answer(await self._serve(call))
        except SupervisorError as error:
            call.fail(error)
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
        worker, held = await self._templates.take(call.source)
        try:
            value, returned = await worker.call(call.export, call.arguments)
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
            usage=returned.usage,
            queue_us=(began - call.asked) // 1000,
            total_us=(time.monotonic_ns() - call.asked) // 1000,
            output=worker.output.text(),
        )

    async def end(self) -> None:
        """End every process. Shielded."""
        with anyio.CancelScope(shield=True):
            await self._templates.end()
            await self._zygote.end()


@asynccontextmanager
async def open_pool(settings: Settings, zygote_module: str = ZYGOTE) -> AsyncIterator[Pool]:
    """A pool that runs until the block ends; then no process of it is left.

    An error of the block is raised as it is, not in a group.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        zygote = Zygote(tasks, fresh=settings.isolation == "exec", module=zygote_module)
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
