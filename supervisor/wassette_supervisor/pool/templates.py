"""The templates in use, and a spare worker of each: forked ahead of need, for one set of grants."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import anyio
import structlog

from wassette_supervisor.errors import (
    IsolationUnavailableError,
    NoThreadError,
    SupervisorError,
    WorkerDiedError,
    WorkerViolatedError,
)
from wassette_supervisor.pool.template import Shims, Template
from wassette_supervisor.pool.troubles import Troubles

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from wassette_protocol.capabilities import Limits
    from wassette_protocol.frames import ComponentId, Digest
    from wassette_supervisor.errors import CallError
    from wassette_supervisor.pool.broker import Broker
    from wassette_supervisor.pool.compiler import Compiler
    from wassette_supervisor.pool.grants import Grants, Place
    from wassette_supervisor.pool.opened import FileRecords
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


class Wanted(NamedTuple):
    """What a call needs a worker for."""

    component: ComponentId
    source: Source
    grants: Grants
    records: FileRecords | None = None

    @property
    def key(self) -> _Key:
        grants = self.grants
        return _Key(
            self.source.digest,
            grants.limits,
            grants.uid,
            grants.hull,
            grants.exact,
            grants.network,
        )


class _Key(NamedTuple):
    """What all workers of one template have in common: set before they are granted anything."""

    digest: Digest
    limits: Limits
    uid: int | None
    hull: frozenset[Place]  # also whether there is any storage at all, and any to write to
    exact: bool
    network: bool


class _Held:
    """One template and its spare, which has the grants of `latest`, or else is ended."""

    def __init__(self, digest: Digest) -> None:
        self.digest = digest
        self.latest: Wanted | None = None
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
        self, zygote: Zygote, compiler: Compiler, tasks: TaskGroup, broker: Broker
    ) -> None:
        self._zygote = zygote
        self._broker = broker
        self._compiler = compiler
        self._tasks = tasks
        self._held: OrderedDict[_Key, _Held] = OrderedDict()
        self._shims: Shims | None = None
        self._making_shims = anyio.Lock()
        self.troubles = Troubles()

    async def warm(self) -> None:
        """Make what no component is needed for."""
        await self._zygote.ready()
        await self._have_shims()

    async def take(self, wanted: Wanted) -> tuple[Worker, _Held]:
        """A worker with exactly these grants; give it back with `done`.

        Raises:
            CallError: None can be had.
        """
        self.troubles.refuse_held_back(wanted.source.digest)
        held = self._hold(wanted.key)
        held.latest = wanted
        held.used = time.monotonic()
        held.running += 1
        try:
            worker = self._take_spare(held, wanted.grants) or await self._start(held, wanted)
        except BaseException:
            held.running -= 1
            await self._end_if_unused(held)
            raise
        self._renew_spare(held, wanted, worker)
        await self._make_room()
        return worker, held

    def _hold(self, key: _Key) -> _Held:
        held = self._held.get(key)
        if held is None or held.retired:
            held = self._held[key] = _Held(key.digest)
        self._held.move_to_end(key)
        return held

    def _take_spare(self, held: _Held, grants: Grants) -> Worker | None:
        """The spare, if it lives and has exactly these grants; else it is ended, never used."""
        spare, held.spare = held.spare, None
        if spare is None or (spare.grants == grants and not spare.is_gone()):
            return spare
        self._tasks.start_soon(spare.end)
        return None

    async def done(self, worker: Worker, held: _Held) -> None:
        """The call has ended; the worker is ended with it. Shielded."""
        await worker.end()
        held.running -= 1
        if worker.broken:
            self._ended(held, worker.broken)
        await self._end_if_unused(held)

    def _ended(self, held: _Held, error: CallError) -> None:
        """Take note that a worker ended so, and give its template up.

        What made it die may be an attack, and its siblings share its address layout.
        """
        held.retired = True
        self.troubles.ended(held.digest, error)

    async def _start(self, held: _Held, wanted: Wanted) -> Worker:
        async with held.lock:
            template = held.template
            if template is None or not template.alive:
                if template is not None:
                    await template.end()
                held.template = template = await self._make(wanted)
        try:
            return await template.start_worker(
                self._tasks, wanted.grants, wanted.records, self._broker
            )
        except (WorkerDiedError, WorkerViolatedError, NoThreadError) as error:
            self._ended(held, error)
            raise

    async def _make(self, wanted: Wanted) -> Template:
        digest = wanted.source.digest
        self.troubles.refuse_resting(digest)
        await self._zygote.ready()
        if wanted.grants.network:
            await self._broker.ready()
        shims = await self._have_shims()
        artefact = await wanted.source.artefact(self._zygote.engine)
        lost = partial(self._template_is_lost, digest)
        try:
            template = await Template.start(
                self._zygote, self._tasks, artefact, shims, wanted.grants
            )
        except (WorkerDiedError, WorkerViolatedError, IsolationUnavailableError) as error:
            lost(error)
            raise
        finally:
            os.close(artefact)
        template.when_lost(lost)
        return template

    def _template_is_lost(self, digest: Digest, error: CallError) -> None:
        log.warning("template.lost", digest=digest, why=str(error))
        self.troubles.template_is_lost(digest)
        self.troubles.ended(digest, error)

    async def _have_shims(self) -> Shims:
        async with self._making_shims:
            if self._shims is None:
                self._shims = await self._compiler.shims()
            return self._shims

    def _renew_spare(self, held: _Held, wanted: Wanted, taken: Worker) -> None:
        if held.spare is None and not held.spare_is_coming and not held.retired:
            held.spare_is_coming = True
            self._tasks.start_soon(self._start_spare, held, wanted, taken)

    async def _start_spare(self, held: _Held, wanted: Wanted, taken: Worker) -> None:
        try:
            # A fork beside a short call would take its processor: 1 to 2 ms of its answer.
            with anyio.move_on_after(SHORT_CALL_S):
                await taken.answered.wait()
            worker = await self._start(held, wanted)
        except (SupervisorError, OSError) as error:
            # The next call will meet the same trouble and tell its caller.
            log.debug("spare.failed", component=wanted.component, why=str(error))
            return
        finally:
            held.spare_is_coming = False
            # Retired meanwhile, it was ended before this start made a template of it again.
            await self._end_if_unused(held)
        latest = held.latest
        stale = latest is None or latest.grants != wanted.grants
        if held.retired or held.spare is not None or stale:
            if latest is not None:
                self._renew_spare(held, latest, taken)
            await worker.end()
        else:
            held.spare = worker
            worker.when_gone(lambda: self._spare_is_gone(held, worker))

    def _spare_is_gone(self, held: _Held, worker: Worker) -> None:
        if held.spare is worker:
            held.spare = None
            self._tasks.start_soon(self._bury, held, worker)

    async def _bury(self, held: _Held, spare: Worker) -> None:
        """A spare has ended that nobody ended: its start ran the guest's code."""
        held.running += 1
        try:
            self._ended(held, await spare.post_mortem())
        finally:
            await spare.end()
            held.running -= 1
            await self._end_if_unused(held)

    async def _make_room(self) -> None:
        now = time.monotonic()
        for key, held in list(self._held.items()):
            too_many = len(self._held) > MAX_TEMPLATES
            if held.running == 0 and (too_many or now - held.used > IDLE_S):
                del self._held[key]
                self._tasks.start_soon(self._retire, held)

    async def forget(self, digest: Digest) -> None:
        """The component was unloaded: its templates end with their last running call."""
        self.troubles.forget(digest)
        for key in [key for key in self._held if key.digest == digest]:
            await self._retire(self._held.pop(key))

    def drop_spares(self, component: ComponentId) -> None:
        """Something of the component's was revoked: what was instantiated with it ends."""
        for held in self._held.values():
            if held.latest is not None and held.latest.component == component:
                held.latest = None
                spare, held.spare = held.spare, None
                if spare is not None:
                    self._tasks.start_soon(spare.end)

    async def _retire(self, held: _Held) -> None:
        held.retired = True
        await self._end_if_unused(held)

    async def _end_if_unused(self, held: _Held) -> None:
        if held.retired and held.running == 0:
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
