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
from wassette_worker.guest import Guest, open_output
from wassette_worker.sandbox import descriptors, lists, lockdown, rlimits
from wassette_worker.sandbox.doorbell import Bell
from wassette_worker.sandbox.libc import name_process

if TYPE_CHECKING:
    from wasmtime import Engine

    from wassette_protocol.capabilities import Storage
    from wassette_worker.sandbox.placement import Placement


def _descriptors(_: frames.ToTemplate) -> int:
    """Artefact and shims, or a worker's socket and pipe."""
    return 2


def live_forking(
    engine: Engine, placement: Placement, request: frames.StartTemplate, received: list[int]
) -> None:
    """Be a template whose workers are forks; returns when the supervisor is gone."""
    control, output, *hull = received
    name_process("wassette-templ")
    handles = descriptors.extras(len(hull))
    steps = lockdown.lock_down(
        lists.template(
            placement,
            lambda: descriptors.keep_only(control, output, hull),
            request.storage,
            list(zip(handles, request.hull, strict=True)),
            network=request.network,
        )
    )
    for number in handles:
        os.close(number)
    channel = Packets(descriptors.CONTROL, TO_TEMPLATE)
    channel.send(frames.TemplateReady(steps))
    prepare, (artefact, shims) = channel.receive(_descriptors)
    if not isinstance(prepare, frames.Prepare):
        return
    try:
        guest = Guest(engine, artefact, shims, prepare)
    except WasmtimeError as error:
        channel.send(frames.TemplateFailed(traps.last_reason(error)))
        return
    os.close(artefact)
    os.close(shims)
    lockdown.lock_down(lists.after_mapping())
    channel.send(frames.Prepared())

    def start(_: frames.StartWorker, received: list[int]) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _be_worker(guest, request.storage, steps, parent, received)
        return pid

    Children(channel, _descriptors).serve(start)


def _be_worker(
    guest: Guest, storage: Storage, steps: list[str], parent: int, received: list[int]
) -> None:
    control, output = received
    name_process("wassette-worker")
    try:
        first = lockdown.lock_down(
            lists.forked_worker(
                lambda: descriptors.keep_of_template(control, output, guest.descriptors),
                parent,
                lambda: rlimits.limit_worker(guest.limits.memory, storage),
            )
        )
        channel = Stream(descriptors.CONTROL, TO_WORKER)
        config = open_output()
        bell = Bell()
        last = lockdown.lock_down(lists.forked_worker_last(guest.profile(storage), bell))
        worker.live(channel, guest, config, [*steps, *first, *last], bell)
    finally:
        leave()


def live_starting_fresh(
    placement: Placement, request: frames.StartTemplate, received: list[int]
) -> None:
    """Be the first process of a namespace whose workers are fresh interpreters."""
    control, output, *hull = received
    name_process("wassette-init")
    steps = lockdown.lock_down(
        lists.init(placement, lambda: descriptors.keep_only(control, output, hull), request.storage)
    )
    handles = descriptors.extras(len(hull))
    channel = Packets(descriptors.CONTROL, TO_TEMPLATE)
    channel.send(frames.TemplateReady(steps))
    prepare, (artefact, shims) = channel.receive(_descriptors)
    if not isinstance(prepare, frames.Prepare):
        return
    channel.send(frames.Prepared())
    told = encode_body(prepare)

    def start(_: frames.StartWorker, received: list[int]) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            child = fresh.Child(
                placement.identity, placement.namespaces, parent, request.storage, request.hull
            )
            try:
                fresh.become_interpreter(child, told, [*received, artefact, shims, *handles])
            finally:
                leave()
        return pid

    Children(channel, _descriptors).serve(start)
