"""The zygote as the supervisor sees it: started when it is needed, again when it has died."""

from __future__ import annotations

import itertools
import socket
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import anyio
import structlog

from wassette_protocol import frames
from wassette_protocol.codec import FROM_ZYGOTE, PeerViolation
from wassette_protocol.frames import ChildId, Identity
from wassette_supervisor.errors import IsolationUnavailableError, RestingError, one_line
from wassette_supervisor.pool import cgroup, process, sandbox
from wassette_supervisor.pool.cgroup import Room
from wassette_supervisor.pool.channel import ClosedError, Packets
from wassette_supervisor.pool.endings import Endings
from wassette_supervisor.pool.ends import Ends, ends
from wassette_supervisor.pool.identities import Identities, identity_of, spare_ids
from wassette_supervisor.pool.restarts import ZYGOTE, History
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio.abc import TaskGroup

    from wassette_protocol.capabilities import Reach
    from wassette_supervisor.pool.grants import Grants
    from wassette_supervisor.pool.sandbox import Sandbox

log = structlog.get_logger(__name__)

START_S = 30.0


class Placed(NamedTuple):
    """A child that was asked for: its number, its ends, who it becomes."""

    child: ChildId
    ends: Ends
    identity: Identity | None


class Zygote:
    """Starts children; one instance for the life of the supervisor."""

    def __init__(
        self, tasks: TaskGroup, *, fresh: bool, module: str, sandbox: Sandbox, calls: int
    ) -> None:
        self.fresh_interpreters = fresh
        self.engine = ""
        self.sandbox = sandbox
        self.groups = cgroup.enter_own()
        self.room = partial(Room.of, calls=calls)
        self.endings = Endings()
        self._tasks = tasks
        self._module = module
        self._starting = anyio.Lock()
        self._process: process.Process | None = None
        self._channel: Packets[frames.FromZygote] | None = None
        self._children = itertools.count(1)
        self._ending = False
        self._ends = History()
        self._identities = Identities(spare_ids())

    async def ready(self) -> None:
        """Have a running zygote.

        Raises:
            IsolationUnavailableError: It doesn't start.
            RestingError: It ended too often of late.
        """
        async with self._starting:
            if self._ending:
                raise IsolationUnavailableError("the server stops")
            if self._channel is None:
                self._refuse_resting()
                await self._start_anew()

    def _refuse_resting(self) -> None:
        rest = self._ends.rests_s(time.monotonic())
        if rest:
            what = "the process that starts all workers"
            raise RestingError(what, ZYGOTE.ends + 1, ZYGOTE.within_s, rest)

    def _ended(self, why: str) -> None:
        """Take note of an end that nobody of us wanted, or of a start that failed."""
        log.warning("zygote.lost", why=one_line(why))
        self._ends = self._ends.after_an_end(time.monotonic(), ZYGOTE)

    async def _start_anew(self) -> None:
        started = process.start_zygote(self._module)
        channel = Packets(started.control, FROM_ZYGOTE)
        try:
            hello = await _hello(channel)
        except BaseException as error:
            if isinstance(error, IsolationUnavailableError):
                self._ended(str(error))
            await started.process.end()
            started.process.close()
            channel.close()
            raise
        self._process, self._channel = started.process, channel
        self.engine = hello.engine
        self.sandbox.learn(hello.namespaces, hello.lacking)
        self.endings = Endings()
        self._tasks.start_soon(self._listen, channel, started.process, self.endings)

    async def _listen(
        self,
        channel: Packets[frames.FromZygote],
        of: process.Process,
        endings: Endings,
    ) -> None:
        try:
            while True:
                frame = await channel.receive()
                if isinstance(frame, frames.ChildEnded):
                    endings.tell(frame)
                    process.reap()
        except (ClosedError, PeerViolation) as error:
            if not self._ending:
                self._ended(str(error) or "it ended")
        except (ValueError, anyio.ClosedResourceError):
            pass  # ended by us
        finally:
            if self._channel is channel:
                self._channel = None
            endings.parent_is_gone()
            channel.close()
            await of.end()
            of.close()
            process.reap()

    def next_child(self) -> ChildId:
        return ChildId(next(self._children))

    async def start_template(
        self, grants: Grants, reaches: list[Reach], hull: Sequence[int]
    ) -> Placed:
        """Ask for a template; the ends are the caller's.

        `hull` are descriptors of the places of the hull, in the order of `reaches`; they stay the
        caller's.

        Raises:
            IsolationUnavailableError: It can't become the grants' user, or there is no zygote.
        """
        owner = None if grants.uid is None else await run_sync(identity_of, grants.uid)

        def request(child: ChildId, spare: Identity | None) -> frames.StartTemplate:
            fresh, namespaces = self.fresh_interpreters, self.sandbox.namespaces
            return frames.StartTemplate(
                child, fresh, namespaces, owner or spare, grants.storage, grants.network, reaches
            )

        return await self._start(socket.SOCK_SEQPACKET, request, hull)

    async def start_compiler(self, component: int, artefact: int) -> Placed:
        """Ask for a compile worker; the ends are the caller's."""

        def request(child: ChildId, spare: Identity | None) -> frames.StartCompiler:
            return frames.StartCompiler(child, self.sandbox.namespaces, spare)

        return await self._start(socket.SOCK_STREAM, request, [component, artefact])

    async def _start(
        self,
        kind: socket.SocketKind,
        request: Callable[[ChildId, Identity | None], frames.ToZygote],
        descriptors: Sequence[int],
    ) -> Placed:
        await self.ready()
        self.sandbox.refuse_if_lacking()
        child = self.next_child()
        start = request(child, self._identities.of(child))
        self.endings.expect(child)
        with ends(kind, start.identity) as made:
            await self._send(start, [*made.theirs, *descriptors])
        return Placed(child, made, start.identity)

    async def _send(self, frame: frames.ToZygote, descriptors: list[int]) -> None:
        try:
            if self._channel is None:
                raise ClosedError
            with anyio.fail_after(START_S):
                await self._channel.send(frame, descriptors)
        except ClosedError as error:
            raise IsolationUnavailableError("the worker zygote has ended") from error
        except TimeoutError as error:
            self.give_up()
            raise IsolationUnavailableError("the worker zygote doesn't answer") from error

    def give_up(self) -> None:
        """Have a zygote that doesn't do what it was asked for ended, and its children with it.

        What it starts speaks before it sees an untrusted byte: if that doesn't, it is the zygote.
        """
        if self._process is not None and not self._ending:
            self._process.kill()

    def steps_of_mapper(self, placed: Placed) -> Callable[[list[str]], None]:
        """The check of a template or a compile worker, which sees untrusted bytes."""
        return self._check(self.sandbox.of_mapper(becomes_other=placed.identity is not None))

    def steps_of_worker(self, placed: Placed) -> Callable[[list[str]], None]:
        """The check of a process that runs a guest."""
        return self._check(
            self.sandbox.of_worker(
                becomes_other=placed.identity is not None, is_forked=not self.fresh_interpreters
            )
        )

    def steps_of_init(self) -> Callable[[list[str]], None]:
        """The check of a process that starts interpreters."""
        return self._check(self.sandbox.of_init())

    def _check(self, required: frozenset[str]) -> Callable[[list[str]], None]:
        return partial(sandbox.check, required=required)

    async def end(self) -> None:
        """End it, and with it everything that it started."""
        self._ending = True
        if self._process is not None:
            await self._process.end()
            self._process.close()
        if self._channel is not None:
            self._channel.close()
        if self.groups is not None:
            self.groups.clear()


async def _hello(channel: Packets[frames.FromZygote]) -> frames.ZygoteReady:
    try:
        with anyio.fail_after(START_S):
            hello = await channel.receive()
        if not isinstance(hello, frames.ZygoteReady):
            raise PeerViolation(f"{type(hello).__name__} before it was ready")
    except (TimeoutError, ClosedError, PeerViolation) as error:
        why = f"the worker zygote doesn't start: {str(error) or 'it ended'}"
        raise IsolationUnavailableError(why) from error
    return hello
