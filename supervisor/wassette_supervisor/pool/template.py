"""One template: a process that holds a component and starts the workers of its calls."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import anyio
import structlog

from wassette_protocol import frames
from wassette_protocol.codec import FROM_TEMPLATE, PeerViolation
from wassette_supervisor.errors import IsolationUnavailableError, WorkerViolatedError, is_crash
from wassette_supervisor.pool import directories
from wassette_supervisor.pool.channel import ClosedError, Packets
from wassette_supervisor.pool.endings import REPORT_S, Endings
from wassette_supervisor.pool.ends import ends
from wassette_supervisor.pool.network import Network
from wassette_supervisor.pool.output import Output
from wassette_supervisor.pool.process import Process
from wassette_supervisor.pool.worker import Worker
from wassette_supervisor.pool.zygote import Placed, Zygote

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

    from wassette_supervisor.errors import CallError
    from wassette_supervisor.pool.broker import Broker
    from wassette_supervisor.pool.grants import Grants
    from wassette_supervisor.pool.opened import FileRecords

log = structlog.get_logger(__name__)

# From the request to a mapped component.
START_S = 30.0
_OUTPUT_BYTES = 64 << 10


class Shims:
    """The guards' compiled shims: made and proven once for a zygote."""

    def __init__(self, artefact: int, wasi: str) -> None:
        self.artefact = artefact
        self.wasi = wasi


class Template:
    """A running template."""

    def __init__(self, zygote: Zygote, placed: Placed) -> None:
        self.alive = True
        self._ended_by_us = False
        self._zygote = zygote
        self._placed = placed
        self._channel = Packets(placed.ends.control, FROM_TEMPLATE)
        self._output = Output(placed.ends.output, _OUTPUT_BYTES)
        self._endings = Endings()
        self._process = Process(-1)
        self._heard = anyio.Event()  # all that there is to hear of it
        self._heard.set()
        self._when_lost: Callable[[CallError], None] = _nobody

    @classmethod
    async def start(
        cls,
        zygote: Zygote,
        tasks: TaskGroup,
        artefact: int,
        shims: Shims,
        grants: Grants,
    ) -> Template:
        """Start one that holds the artefact on this descriptor, which stays the caller's.

        Of the grants it learns the limits, whose files they are, which directories hold them, and
        whether there is a network.

        Raises:
            DirectoryChangedError: One of these is no longer what was judged.
            IsolationUnavailableError: It doesn't start.
            CallError: It ended, or misbehaved.
        """
        places = sorted(grants.hull)
        reaches = [place.reach for place in places]
        async with directories.opened_places(places) as hull:
            template = cls(zygote, await zygote.start_template(grants, reaches, hull))
        prepare = frames.Prepare(grants.limits, shims.wasi, grants.exact, grants.network)
        try:
            with anyio.fail_after(START_S):
                await template._prepare(prepare, artefact, shims)
        except BaseException as error:
            if isinstance(error, TimeoutError) and template._process.is_gone():  # it never spoke
                zygote.give_up()
            await template.end()
            if isinstance(error, TimeoutError):
                raise IsolationUnavailableError("a template doesn't answer") from error
            raise
        template._heard = anyio.Event()
        tasks.start_soon(template._listen)
        return template

    def when_lost(self, tell: Callable[[CallError], None]) -> None:
        """Have it told how this ended, if nobody of us ended it."""
        self._when_lost = tell

    async def _prepare(self, prepare: frames.Prepare, artefact: int, shims: Shims) -> None:
        try:
            ready, self._process = await self._channel.first()
            if not isinstance(ready, frames.TemplateReady):
                raise PeerViolation(f"{type(ready).__name__} before it was ready")
            if self._zygote.fresh_interpreters:
                self._zygote.steps_of_init()(ready.steps)
            else:
                self._zygote.steps_of_mapper(self._placed)(ready.steps)
            self._group(prepare.limits.memory)
            await self._channel.send(prepare, [artefact, shims.artefact])
            prepared = await self._channel.receive()
            if isinstance(prepared, frames.TemplateFailed):
                raise IsolationUnavailableError(f"a template failed: {prepared.reason}")
            if not isinstance(prepared, frames.Prepared):
                raise PeerViolation(f"{type(prepared).__name__} before it was prepared")
        except PeerViolation as error:
            raise WorkerViolatedError(f"template: {error}") from error
        except ClosedError as error:
            self._output.drain()
            log.warning("template.ended", said=self._output.text()[-500:])
            await self._process.end()
            raise await self._zygote.endings.error(self._placed.child, self._process) from error

    def _group(self, memory: int) -> None:
        """Bound it, and with it all its workers together, where the system lets us."""
        divided = self._zygote.groups
        if divided is None:
            return
        try:
            group = divided.make(self._placed.child, self._zygote.room(memory))
            group.add(self._process.pid())
        except OSError as error:
            log.warning("cgroup.refused", why=str(error))

    async def _listen(self) -> None:
        violation = ""
        try:
            await self._tell_endings()
        except PeerViolation as error:
            violation = str(error)
        except (ClosedError, ValueError, anyio.ClosedResourceError):
            pass  # it ended, perhaps by us
        except anyio.get_cancelled_exc_class():
            # The pool ends; this kills it perhaps before `end` does.
            self._ended_by_us |= not self._process.is_gone()
            raise
        finally:
            self.alive = False
            try:
                self._endings.parent_is_gone()
                await self._process.end()
                how = await self._post_mortem(violation)
                # It may have been dying of something else when we killed it.
                if not self._ended_by_us or is_crash(how):
                    self._when_lost(how)
            finally:
                self._heard.set()

    async def _tell_endings(self) -> None:
        while True:
            frame = await self._channel.receive()
            if not isinstance(frame, frames.ChildEnded):
                raise PeerViolation(f"{type(frame).__name__} from a prepared template")
            self._endings.tell(frame)

    async def _post_mortem(self, violation: str) -> CallError:
        if violation:
            return WorkerViolatedError(f"template: {violation}")
        return await self._zygote.endings.error(self._placed.child, self._process)

    async def start_worker(
        self,
        tasks: TaskGroup,
        grants: Grants,
        records: FileRecords | None = None,
        broker: Broker | None = None,
    ) -> Worker:
        """Start a worker, up to the instantiated component; its network is the broker's, if any.

        Raises:
            CallError: It didn't get there, and is gone.
            AuditError: What it opened there can't be recorded; it is gone.
        """
        child = self._zygote.next_child()
        self._endings.expect(child)
        identity = self._placed.identity
        with ends(socket.SOCK_STREAM, identity) as made:
            network = Network(broker, child, grants.limits)
            worker = Worker(Placed(child, made, identity), grants, self._endings, network)
            try:
                with anyio.fail_after(START_S):
                    await self._channel.send(frames.StartWorker(child), made.theirs)
            except (ClosedError, TimeoutError) as error:
                self.alive = False
                raise IsolationUnavailableError("the template has ended") from error
        tasks.start_soon(worker.watch_output)
        try:
            await worker.start(self._zygote.steps_of_worker(self._placed), records)
        except BaseException:
            await worker.end()
            raise
        return worker

    async def end(self) -> None:
        """End it, and with it its workers. Shielded."""
        self.alive = False
        with anyio.CancelScope(shield=True):
            # Its workers' ends may be seen before its own.
            self._ended_by_us |= not self._process.is_gone()
            await self._process.end()
            self._endings.parent_is_gone()
            with anyio.move_on_after(REPORT_S):
                await self._heard.wait()
            self._channel.close()
            self._output.close()
            self._process.close()
            self._zygote.endings.forget(self._placed.child)


def _nobody(_: CallError) -> None:
    pass
