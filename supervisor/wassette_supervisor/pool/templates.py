"""The templates of the components in use, and a spare worker of each: forked ahead of need."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

import anyio
import structlog

from wassette_supervisor.errors import SupervisorError
from wassette_supervisor.pool.template import Shims, Template

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from wassette_protocol.capabilities import Limits
    from wassette_protocol.frames import Digest
    from wassette_supervisor.pool.compiler import Compiler
    from wassette_supervisor.pool.worker import Worker
    from wassette_supervisor.pool.zygote import Zygote

log = structlog.get_logger(__name__)

# A template of a Python component holds some 40 MiB, its spare as much.
MAX_TEMPLATES = 32
# A component that nobody has called for so long gives its memory back.
IDLE_S = 300.0
# A call that takes longer doesn't hold up the next spare.
SHORT_CALL_S = 0.02


class Source(Protocol):
    """Where the pool gets a component from."""

    @property
    def digest(self) -> Digest: ...

    async def artefact(self, engine: str) -> int:
        """A sealed memory file with the compiled component, which becomes the caller's."""
        ...


class _Held:
    """One component's template and spare."""

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.template: Template | None = None
        self.spare: Worker | None = None
        self.spare_is_coming = False
        self.running = 0
        self.retired = False
        self.used = time.monotonic()


class Templates:
    """Hands out workers that stand ready."""

    def __init__(
        self, zygote: Zygote, compiler: Compiler, tasks: TaskGroup, limits: Limits
    ) -> None:
        self._zygote = zygote
        self._compiler = compiler
        self._tasks = tasks
        self._limits = limits
        self._held: OrderedDict[Digest, _Held] = OrderedDict()
        self._shims: Shims | None = None
        self._making_shims = anyio.Lock()

    async def warm(self) -> None:
        """Make what no component is needed for."""
        await self._zygote.ready()
        await self._have_shims()

    async def take(self, source: Source) -> tuple[Worker, _Held]:
        """A worker of the component; give it back with `done`.

        Raises:
            CallError: None can be had.
        """
        held = self._held.get(source.digest)
        if held is None or held.retired:
            held = self._held[source.digest] = _Held()
        self._held.move_to_end(source.digest)
        held.used = time.monotonic()
        held.running += 1
        try:
            spare, held.spare = held.spare, None
            worker = spare or await self._start(held, source)
        except BaseException:
            held.running -= 1
            raise
        self._renew_spare(held, source, worker)
        await self._make_room()
        return worker, held

    async def done(self, worker: Worker, held: _Held) -> None:
        """The call has ended; the worker is ended with it. Shielded."""
        await worker.end()
        held.running -= 1
        if worker.broken:
            # What made it die may be an attack, and its siblings share its address layout.
            held.retired = True
        if held.retired and held.running == 0:
            await self._end(held)

    async def _start(self, held: _Held, source: Source) -> Worker:
        async with held.lock:
            template = held.template
            if template is None or not template.alive:
                if template is not None:
                    await template.end()
                held.template = template = await self._make(source)
        return await template.start_worker(self._tasks)

    async def _make(self, source: Source) -> Template:
        await self._zygote.ready()
        shims = await self._have_shims()
        artefact = await source.artefact(self._zygote.engine)
        try:
            return await Template.start(self._zygote, self._tasks, artefact, shims, self._limits)
        finally:
            os.close(artefact)

    async def _have_shims(self) -> Shims:
        async with self._making_shims:
            if self._shims is None:
                self._shims = await self._compiler.shims()
            return self._shims

    def _renew_spare(self, held: _Held, source: Source, taken: Worker) -> None:
        if held.spare is None and not held.spare_is_coming and not held.retired:
            held.spare_is_coming = True
            self._tasks.start_soon(self._start_spare, held, source, taken)

    async def _start_spare(self, held: _Held, source: Source, taken: Worker) -> None:
        try:
            # A fork beside a short call would take its processor: 1 to 2 ms of its answer.
            with anyio.move_on_after(SHORT_CALL_S):
                await taken.answered.wait()
            worker = await self._start(held, source)
        except (SupervisorError, OSError) as error:
            # The next call will meet the same trouble and tell its caller.
            log.debug("spare.failed", component=source.digest, why=str(error))
            return
        finally:
            held.spare_is_coming = False
        if held.retired or held.spare is not None:
            await worker.end()
        else:
            held.spare = worker
            worker.when_gone(lambda: self._spare_is_gone(held, worker))

    def _spare_is_gone(self, held: _Held, worker: Worker) -> None:
        if held.spare is worker:
            held.spare = None
            self._tasks.start_soon(worker.end)

    async def _make_room(self) -> None:
        now = time.monotonic()
        for digest, held in list(self._held.items()):
            too_many = len(self._held) > MAX_TEMPLATES
            if held.running == 0 and (too_many or now - held.used > IDLE_S):
                del self._held[digest]
                self._tasks.start_soon(self._retire, held)

    async def forget(self, digest: Digest) -> None:
        """The component was unloaded: its template ends with its last running call."""
        held = self._held.pop(digest, None)
        if held is not None:
            await self._retire(held)

    async def _retire(self, held: _Held) -> None:
        held.retired = True
        if held.running == 0:
            await self._end(held)

    async def _end(self, held: _Held) -> None:
        with anyio.CancelScope(shield=True):
            spare, held.spare = held.spare, None
            if spare is not None:
                await spare.end()
            if held.template is not None:
                await held.template.end()
                held.template = None

    async def end(self) -> None:
        """End everything. Shielded."""
        for held in list(self._held.values()):
            held.retired = True
            await self._end(held)
        self._held.clear()
