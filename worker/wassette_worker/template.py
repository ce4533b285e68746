"""A template: locked down, holds one component, and starts the workers of its calls.

In fork mode it maps the component and forks; in exec mode it never looks at it, and every
worker is a fresh interpreter. Either way a worker is never pid 1 of its namespace: abort() there
would end as SIGSEGV.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wasmtime import WasmtimeError

from wassette_protocol import frames
from wassette_protocol.codec import (
    TO_TEMPLATE,
    TO_WORKER,
    encode_body,
)
from wassette_worker import fresh, traps, worker
from wassette_worker.channel import Packets, Stream
from wassette_worker.children import Children, leave
from wassette_worker.guest import Guest
from wassette_worker.sandbox import descriptors, lockdown, rlimits
from wassette_worker.sandbox.libc import name_process

if TYPE_CHECKING:
    from wasmtime import Engine

    from wassette_protocol.capabilities import Storage
    from wassette_worker.sandbox.placement import Placement

# How many descriptors come with which frame.
_DESCRIPTORS: dict[type[frames.Frame], int] = {frames.Prepare: 2, frames.StartWorker: 2}


def live_forking(
    engine: Engine, placement: Placement, storage: Storage, control: int, output: int
) -> None:
    """Be a template whose workers are forks; returns when the supervisor is gone."""
    name_process("wassette-templ")
    steps = lockdown.lock_down(
        [
            *lockdown.birth(placement, lambda: descriptors.keep_only(control, output, [])),
            *lockdown.surrender(placement, lambda: rlimits.limit_template(storage)),
        ]
    )
    channel = Packets(descriptors.CONTROL, TO_TEMPLATE)
    channel.send(frames.TemplateReady(steps))
    prepare, (artefact, shims) = channel.receive(_DESCRIPTORS)
    if not isinstance(prepare, frames.Prepare):
        return
    try:
        guest = Guest(engine, artefact, shims, prepare)
    except WasmtimeError as error:
        channel.send(frames.TemplateFailed(traps.last_reason(error)))
        return
    os.close(artefact)
    os.close(shims)
    channel.send(frames.Prepared())

    def start(_: frames.StartWorker, received: list[int]) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _be_worker(guest, storage, steps, parent, received)
        return pid

    Children(channel, _DESCRIPTORS).serve(start)


def _be_worker(
    guest: Guest, storage: Storage, steps: list[str], parent: int, received: list[int]
) -> None:
    control, output = received
    name_process("wassette-worker")
    try:
        own = lockdown.lock_down(
            lockdown.forked_worker(
                lambda: descriptors.keep_only(control, output, [], guest.descriptors),
                parent,
                lambda: rlimits.limit_worker(guest.limits.memory, storage),
            )
        )
        channel = Stream(descriptors.CONTROL, TO_WORKER)
        worker.live(channel, guest, steps + own)
    finally:
        leave()


def live_starting_fresh(placement: Placement, storage: Storage, control: int, output: int) -> None:
    """Be the first process of a namespace whose workers are fresh interpreters."""
    name_process("wassette-init")
    steps = lockdown.lock_down(
        [
            *lockdown.birth(placement, lambda: descriptors.keep_only(control, output, [])),
            lockdown.Step("rlimits", lambda: rlimits.limit_init(storage)),
        ]
    )
    channel = Packets(descriptors.CONTROL, TO_TEMPLATE)
    channel.send(frames.TemplateReady(steps))
    prepare, (artefact, shims) = channel.receive(_DESCRIPTORS)
    if not isinstance(prepare, frames.Prepare):
        return
    channel.send(frames.Prepared())
    told = encode_body(prepare)

    def start(_: frames.StartWorker, received: list[int]) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            child = fresh.Child(placement.identity, placement.namespaces, parent, storage)
            try:
                fresh.become_interpreter(child, told, [*received, artefact, shims])
            finally:
                leave()
        return pid

    Children(channel, _DESCRIPTORS).serve(start)
