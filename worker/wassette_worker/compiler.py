"""A compile worker: untrusted bytes to an artefact, tools, schemas and docs; or our own shims."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
from wasmtime import WasiConfig, WasmtimeError
from wasmtime.component import Component, Linker

from wassette_protocol import frames
from wassette_protocol.capabilities import Limits
from wassette_protocol.codec import TO_COMPILER
from wassette_worker.channel import Stream
from wassette_worker.children import leave
from wassette_worker.describing import RefusedError, described, parse
from wassette_worker.engine import build_store
from wassette_worker.guards import clock, http, shims
from wassette_worker.guards.files import proof
from wassette_worker.host import logging
from wassette_worker.host.config import ConfigStore
from wassette_worker.sandbox import descriptors, lists, lockdown
from wassette_worker.sandbox.libc import name_process
from wassette_worker.wit_types import imports
from wassette_worker.worker import prove_alive

if TYPE_CHECKING:
    from wasmtime import Engine

    from wassette_worker.sandbox.placement import Placement

_COMPONENT, _ARTEFACT = descriptors.FIRST_EXTRA, descriptors.FIRST_EXTRA + 1


def live_below_init(engine: Engine, placement: Placement, received: list[int]) -> None:
    """As `live`, in a child: abort() in the first process of a namespace ends as SIGSEGV."""
    name_process("wassette-compil")  # as its child: from outside they are one
    lockdown.die_with_parent(placement.parent)
    try:
        pid = os.fork()
    except OSError:  # what the zygote says of its own forks, this can only say so
        os._exit(os.EX_TEMPFAIL)
    if pid == 0:
        try:
            live(engine, replace(placement, parent=1), received)
        finally:
            leave()
    # Whoever waits for the end of the child's socket must not wait for this process.
    os.closerange(descriptors.CONTROL, descriptors.HIGHEST)
    _, status = os.waitpid(pid, 0)
    # The first process of a namespace can't end itself by a signal: it says so as shells do.
    os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def live(engine: Engine, placement: Placement, received: list[int]) -> None:
    """Do one job and end; `received` are socket, output, component and artefact."""
    control, output, component, artefact = received
    name_process("wassette-compil")
    first, last = lists.compile_worker(
        placement, lambda: descriptors.keep_only(control, output, [component, artefact])
    )
    steps = lockdown.lock_down(first)
    channel = Stream(descriptors.CONTROL, TO_COMPILER)
    steps += lockdown.lock_down(last)
    channel.send(frames.Started(steps))
    prove_alive(channel)
    job = channel.receive()
    try:
        if isinstance(job, frames.Compile):
            channel.send(compile_component(engine, channel, job.size))
        elif isinstance(job, frames.BuildShims):
            channel.send(build_shims(engine))
    except (RefusedError, shims.GuardError) as error:
        channel.send(frames.CompileFailed(str(error)[:1000]))
    except OSError as error:
        channel.send(frames.CompileFailed(f"the artefact can't be written: {error.strerror}"))
    leave()  # here: later the interpreter would look at what it takes apart


def build_shims(engine: Engine) -> frames.ShimsBuilt:
    """Compile the guards' shims, after a proof that guests can't get past the guards.

    Raises:
        GuardError: They can.
    """
    wasi = shims.find_version(engine, clock.INTERFACE, "now")
    clock.prove(engine, wasi)
    proof.prove(engine, wasi)
    http.prove(engine, wasi)
    return frames.ShimsBuilt(_write(shims.build(engine, wasi)), wasi)


def compile_component(
    engine: Engine, channel: Stream[frames.ToCompiler], size: int
) -> frames.Compiled:
    """Compile and describe the component.

    Raises:
        RefusedError: It is none, it is broken, or it imports what we don't give.
    """
    content = os.pread(_COMPONENT, size, 0)
    channel.send(frames.Progress("compiling"))
    component = parse(engine, content)
    channel.send(frames.Progress("describing"))
    _check_imports(engine, component)
    found = described(engine, component, content, 0)
    return msgspec.structs.replace(found, artefact=_write(component.serialize()))


def _check_imports(engine: Engine, component: Component) -> None:
    """Refuse a component that needs what we don't give.

    Linking comes before anything runs; without fuel, what would run after it ends at once.
    """
    linker = Linker(engine)
    linker.add_wasip2()
    linker.add_wasi_http()
    imported = imports(component, engine)
    ConfigStore().define(linker, imported)
    logging.define(linker, imported)
    store = build_store(engine, Limits())
    store.set_fuel(0)
    store.set_wasi(WasiConfig())
    store.set_wasi_http()
    try:
        linker.instantiate(store, component)
    except WasmtimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        if any("in the linker" in line or "component imports" in line for line in lines):
            raise RefusedError(f"{lines[0][:300]}; nothing here provides it") from error


def _write(artefact: bytes | bytearray) -> int:
    view = memoryview(artefact)
    while view:
        view = view[os.write(_ARTEFACT, view) :]
    return len(artefact)
