"""One call of a component made for it, in the sandbox that calls get, watched from outside."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import anyio

from wassette_protocol.capabilities import Limits
from wassette_protocol.frames import ComponentId, Digest, Export
from wassette_supervisor.doctor import kernel, network, probe, seen
from wassette_supervisor.doctor.probe import Tried
from wassette_supervisor.errors import SupervisorError
from wassette_supervisor.pool.grants import Grants
from wassette_supervisor.pool.pool import ZYGOTE, Pool
from wassette_supervisor.pool.sandbox import Sandbox
from wassette_supervisor.pool.zygote import Zygote

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from anyio.abc import TaskGroup

    from wassette_supervisor.doctor.check import Found
    from wassette_supervisor.doctor.network import Network
    from wassette_supervisor.pool.zygote import Placed
    from wassette_supervisor.settings import Settings

TRIAL_S = 60.0
_SPARE_S = 2.0
_POLL_S = 0.01

# (component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
#   (func (export "f") (canon lift (core func $i "f"))))
_COMPONENT = bytes.fromhex(
    "0061736d0d000100012a0061736d0100000001040160000003020100070501016600000a040102000b0009046e61"
    "6d650002016d0204010000000705014000010006070100000100016608060100000000000b070100016601000000"
    "1f0e636f6d706f6e656e742d6e616d65010600110100016d0106001201000169"
)


class Trial(NamedTuple):
    """What was seen."""

    steps: frozenset[str]  # that every process took which sees untrusted bytes
    of_workers: frozenset[str]  # that every worker took; some are its alone
    required: frozenset[str]  # without which the supervisor refuses a worker
    lacking: Mapping[str, str]  # what the kernel hasn't, each with the reason
    namespaces: str  # why there are none; empty if there are
    worker: Mapping[str, str]  # fields of a worker's /proc/PID/status; empty if it wasn't seen
    tried: list[Tried]  # by workers that must not be able to
    untried: str  # why that could not be seen, though calls run
    network: Network
    took_ms: int
    groups: Found  # a group of the process' own to divide, as it was before
    divided: bool  # whether it was
    failure: str = ""  # why no call runs


async def run(settings: Settings) -> Trial:
    """Compile the component, call it, and have its workers try what they may not."""
    began, took_ms, failure, untried = time.monotonic(), 0, "", ""
    groups = kernel.control_group()
    worker, tried, networked = dict[str, str](), list[Tried](), network.untried("no call runs")
    async with _pool(settings) as (tasks, pool, zygote):
        try:
            with anyio.fail_after(TRIAL_S):
                async with _compiled(pool) as artefact:
                    await _call(pool, artefact)
                    took_ms = int((time.monotonic() - began) * 1000)
                    worker = await _spare(zygote)
                    store = settings.component_dir
                    tried = await probe.run(zygote, tasks, pool.compiler, artefact, store)
                    networked = await network.run(zygote, tasks, pool.compiler, artefact, settings)
        except (TimeoutError, SupervisorError, OSError) as error:
            why = f"it took more than {TRIAL_S:.0f} s"
            why = why if isinstance(error, TimeoutError) else str(error)
            failure, untried = ("", why) if took_ms else (why, "")
        quiet = zygote.quiet
        return Trial(
            _common(zygote.told), _common(zygote.of_workers), zygote.required, quiet.lacking,
            quiet.refusal, worker, tried, untried, networked, took_ms, groups,
            zygote.groups is not None, failure,
        )  # fmt: skip


def _common(told: list[frozenset[str]]) -> frozenset[str]:
    return frozenset.intersection(*told) if told else frozenset()


class _Watched(Zygote):
    """Remembers what its children tell of themselves."""

    def __init__(self, tasks: TaskGroup, settings: Settings) -> None:
        self.quiet = _Quiet(available=settings.sandbox == "available")
        fresh = settings.isolation == "exec"
        super().__init__(
            tasks, fresh=fresh, module=ZYGOTE, sandbox=self.quiet, calls=settings.max_workers
        )
        self.told: list[frozenset[str]] = []
        self.of_workers: list[frozenset[str]] = []
        self.required = self.quiet.of_worker(becomes_other=False, is_forked=not fresh)

    def _check(self, required: frozenset[str]) -> Callable[[list[str]], None]:
        check = super()._check(required)

        def watched(steps: list[str]) -> None:
            if "one-thread" in required:  # of an init of the exec mode less is required
                self.told.append(frozenset(steps))
            check(steps)

        return watched

    def steps_of_worker(self, placed: Placed) -> Callable[[list[str]], None]:
        check = super().steps_of_worker(placed)

        def watched(steps: list[str]) -> None:
            self.of_workers.append(frozenset(steps))
            self.required = self.quiet.of_worker(
                becomes_other=placed.identity is not None, is_forked=not self.fresh_interpreters
            )
            check(steps)

        return watched


class _Quiet(Sandbox):
    """What is missing is not logged, as by a server: it is in the answer."""

    refusal = "it was not started"

    def learn(self, namespaces: str, lacking: Mapping[str, str]) -> None:
        self.refusal = namespaces
        super().learn(namespaces, lacking)

    def _warn(self, namespaces: str) -> None:
        pass


@asynccontextmanager
async def _pool(settings: Settings) -> AsyncIterator[tuple[TaskGroup, Pool, _Watched]]:
    async with anyio.create_task_group() as tasks:
        zygote = _Watched(tasks, settings)
        pool = Pool(tasks, settings, zygote)
        tasks.start_soon(pool.run)
        try:
            yield tasks, pool, zygote
        finally:
            tasks.cancel_scope.cancel()
            await pool.end()


@dataclass(frozen=True)
class _Source:
    """The source of a component that is in no store."""

    memory: int
    digest: Digest

    async def artefact(self, engine: str) -> int:  # noqa: ARG002 - as the pool asks
        return os.dup(self.memory)


@asynccontextmanager
async def _compiled(pool: Pool) -> AsyncIterator[int]:
    component = os.memfd_create("doctor", os.MFD_CLOEXEC)
    try:
        os.write(component, _COMPONENT)
        _, artefact = await pool.compiler.compile(component, len(_COMPONENT), _silent)
    finally:
        os.close(component)
    try:
        yield artefact
    finally:
        os.close(artefact)


async def _call(pool: Pool, artefact: int) -> None:
    await pool.call(
        _Source(artefact, Digest("0" * 64)),
        Export(None, "f"),
        b"{}",
        grants=Grants(Limits()),
        component=ComponentId("doctor"),
    )


async def _silent(_: str) -> None:
    pass


async def _spare(zygote: _Watched) -> dict[str, str]:
    """The status of the worker that stands ready for the next call; no call runs long enough."""
    of_first_call = len(zygote.told)
    with anyio.move_on_after(_SPARE_S):
        while len(zygote.told) == of_first_call:  # noqa: ASYNC110 - only the list tells
            await anyio.sleep(_POLL_S)
    return next(iter(seen.workers()), {})
