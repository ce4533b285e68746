"""Compile workers: one job, one process, a limit for everything that it may use."""

from __future__ import annotations

import fcntl
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from wassette_protocol import frames
from wassette_protocol.codec import FROM_COMPILER, PeerViolation
from wassette_protocol.session import COMPILER_IS_SENT, COMPILER_SENDS, Session
from wassette_supervisor.errors import (
    LoadError,
    NoRoomError,
    WorkerViolatedError,
    one_line,
)
from wassette_supervisor.pool.channel import ClosedError
from wassette_supervisor.pool.conversation import Conversation
from wassette_supervisor.pool.endings import ended_so
from wassette_supervisor.pool.output import Output
from wassette_supervisor.pool.template import START_S, Shims
from wassette_supervisor.pool.unconfined import COMPILE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from wassette_supervisor.errors import CallError
    from wassette_supervisor.pool.zygote import Placed, Zygote

_OUTPUT_BYTES = 64 << 10
_SEALED = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Compiler:
    """Runs one compile worker at a time: each may use all processors and 3 GiB."""

    def __init__(self, zygote: Zygote) -> None:
        self._zygote = zygote
        self._one = anyio.Lock()

    async def compile(
        self, component: int, size: int, progress: Callable[[str], Awaitable[None]]
    ) -> tuple[frames.Compiled, int]:
        """Compile the component on this descriptor.

        Returns:
            What it exports, and a sealed memory file with the artefact, which is the caller's.

        Raises:
            LoadError: It can't be compiled, or took too much.
            NoRoomError: The system has no descriptor, process or thread for it.
        """
        async with self._one:
            answer, artefact = await self._job(component, frames.Compile(size), progress)
        if isinstance(answer, frames.Compiled):
            return answer, artefact
        os.close(artefact)
        raise LoadError(f"the compile worker answered with {type(answer).__name__}")

    async def shims(self) -> Shims:
        """Compile the guards' shims; nothing may run without.

        Raises:
            LoadError: A guard doesn't hold here.
            NoRoomError: As of `compile`.
        """
        nothing = os.memfd_create("nothing", os.MFD_CLOEXEC)
        try:
            answer, artefact = await self._job(nothing, frames.BuildShims(), _silent)
        finally:
            os.close(nothing)
        if isinstance(answer, frames.ShimsBuilt):
            return Shims(artefact, answer.wasi)
        os.close(artefact)
        raise LoadError(f"the compile worker answered with {type(answer).__name__}")

    async def _job(
        self,
        component: int,
        job: frames.Compile | frames.BuildShims,
        progress: Callable[[str], Awaitable[None]],
    ) -> tuple[frames.Frame, int]:
        try:
            return await self._in_worker(component, job, progress)
        except OSError as error:  # of ours, for descriptors and the like
            raise NoRoomError(error.strerror or type(error).__name__) from error

    async def _in_worker(
        self,
        component: int,
        job: frames.Compile | frames.BuildShims,
        progress: Callable[[str], Awaitable[None]],
    ) -> tuple[frames.Frame, int]:
        artefact = os.memfd_create("artefact", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            placed = await self._zygote.start_compiler(component, artefact)
            async with _running(self._zygote, placed) as worker:
                answer = await worker.do(job, progress)
            # The worker is gone: nobody can write any more.
            fcntl.fcntl(artefact, fcntl.F_ADD_SEALS, _SEALED)
        except BaseException:
            os.close(artefact)
            raise
        return answer, artefact


class _Job:
    """One compile worker."""

    def __init__(self, zygote: Zygote, placed: Placed) -> None:
        self._zygote = zygote
        self._placed = placed
        session = Session(COMPILER_SENDS, COMPILER_IS_SENT)
        self._conversation = Conversation(placed.ends.control, FROM_COMPILER, session)
        self._output = Output(placed.ends.output, _OUTPUT_BYTES)

    async def do(
        self,
        job: frames.Compile | frames.BuildShims,
        progress: Callable[[str], Awaitable[None]],
    ) -> frames.Frame:
        try:
            with anyio.fail_after(COMPILE_S):
                return await self._talk(job, progress)
        except TimeoutError as error:
            raise LoadError(f"compiling took more than {COMPILE_S:.0f} s") from error
        except PeerViolation as error:
            raise LoadError(str(WorkerViolatedError(str(error)))) from error
        except ClosedError as error:
            raise await self._why_it_ended() from error

    async def _talk(
        self,
        job: frames.Compile | frames.BuildShims,
        progress: Callable[[str], Awaitable[None]],
    ) -> frames.Frame:
        with anyio.move_on_after(START_S) as starting:
            await self._conversation.begin(self._zygote.steps_of_mapper(self._placed))
        if starting.cancelled_caught:
            self._zygote.give_up()
            raise LoadError("the worker zygote doesn't answer; try again")
        await self._conversation.send(job)
        while True:
            answer = await self._conversation.receive()
            if isinstance(answer, frames.CompileFailed):
                raise LoadError(one_line(answer.reason))
            if not isinstance(answer, frames.Progress):
                return answer
            await progress(one_line(answer.stage))

    async def _why_it_ended(self) -> LoadError | NoRoomError:
        await self._conversation.process.end()
        error = await self._error()
        if isinstance(error, NoRoomError):
            return error
        self._output.drain()
        said = one_line(self._output.text().strip())
        why = f"the compile worker ended early: {error}" + (f" ({said})" if said else "")
        return LoadError(why)

    async def _error(self) -> CallError:
        endings, process = self._zygote.endings, self._conversation.process
        told = await endings.error(self._placed.child, process)
        status = await endings.status(self._placed.child, process)
        if isinstance(told, NoRoomError):
            return told
        if status is not None and os.waitstatus_to_exitcode(status) == os.EX_TEMPFAIL:
            return NoRoomError("no process could be started")
        return ended_so(_as_of_child(status))

    async def end(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._conversation.end()
            self._output.close()
            self._zygote.endings.forget(self._placed.child)


def _as_of_child(status: int | None) -> int | None:
    # Of one killed before its first word only the init above it tells, and that as shells do.
    if status is not None and os.WIFEXITED(status) and os.WEXITSTATUS(status) > 128:
        return os.WEXITSTATUS(status) - 128
    return status


@asynccontextmanager
async def _running(zygote: Zygote, placed: Placed) -> AsyncIterator[_Job]:
    job = _Job(zygote, placed)
    try:
        yield job
    finally:
        await job.end()


async def _silent(_: str) -> None:
    pass
