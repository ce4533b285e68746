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
from wassette_worker import json_schema, traps
from wassette_worker.channel import Stream
from wassette_worker.children import leave
from wassette_worker.engine import build_store
from wassette_worker.guards import clock
from wassette_worker.host import logging
from wassette_worker.host.config import ConfigStore
from wassette_worker.sandbox import descriptors, lists, lockdown
from wassette_worker.sandbox.libc import name_process
from wassette_worker.wit_docs import read_docs
from wassette_worker.wit_types import Signature, exports, imports
from wassette_worker.worker import prove_alive

if TYPE_CHECKING:
    from wasmtime import Engine

    from wassette_worker.sandbox.placement import Placement

_COMPONENT, _ARTEFACT = descriptors.FIRST_EXTRA, descriptors.FIRST_EXTRA + 1

# What a client gets to hold and a model to read; beyond it a tool is left out and named.
MAX_TOOLS = 256
MAX_SCHEMA_BYTES = 64 << 10  # a tool, input and output together
MAX_SCHEMAS_BYTES = 1 << 20  # a component
MAX_LEFT_OUT = 256
MAX_IMPORTS = 1000
MAX_NAME = 512

# Preamble of a binary: magic, version, layer (component-model, Binary.md).
_MAGIC, _MODULE, _COMPONENT_LAYER = b"\0asm", b"\x01\0\0\0", b"\x0d\0\x01\0"


class RefusedError(Exception):
    """The bytes can't become tools; the text says why, on one line."""


def live_below_init(engine: Engine, placement: Placement, received: list[int]) -> None:
    """As `live`, in a child: abort() in the first process of a namespace ends as SIGSEGV."""
    lockdown.die_with_parent(placement.parent)
    pid = os.fork()
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
    except (RefusedError, clock.GuardError) as error:
        channel.send(frames.CompileFailed(str(error)[:1000]))
    except OSError as error:
        channel.send(frames.CompileFailed(f"the artefact can't be written: {error.strerror}"))
    leave()  # here: later the interpreter would look at what it takes apart


def build_shims(engine: Engine) -> frames.ShimsBuilt:
    """Compile the guards' shims, after a proof that guests can't get past the guards.

    Raises:
        GuardError: They can.
    """
    wasi = clock.find_version(engine)
    clock.prove(engine, wasi)
    artefact = Component(engine, clock.shim_text(wasi)).serialize()
    return frames.ShimsBuilt(_write(artefact), wasi)


def compile_component(
    engine: Engine, channel: Stream[frames.ToCompiler], size: int
) -> frames.Compiled:
    """Compile and describe the component.

    Raises:
        RefusedError: It is none, it is broken, or it imports what we don't give.
    """
    content = os.pread(_COMPONENT, size, 0)
    check_preamble(content)
    channel.send(frames.Progress("compiling"))
    try:
        component = Component(engine, content)
    except WasmtimeError as error:
        raise RefusedError(f"not a valid component: {traps.last_reason(error)}") from error
    channel.send(frames.Progress("describing"))
    _check_imports(engine, component)
    tools, left_out = describe(engine, component, content)
    if not tools and not left_out:
        raise RefusedError("the component exports no function")
    names = [name[:MAX_NAME] for name in imports(component, engine)[:MAX_IMPORTS]]
    return frames.Compiled(_write(component.serialize()), names, tools, left_out)


def check_preamble(content: bytes) -> None:
    """Tell a component from everything else, before the engine guesses (it takes text too).

    Raises:
        RefusedError: It is something else.
    """
    if not content:
        raise RefusedError("the file is empty")
    if content[:4] != _MAGIC:
        raise RefusedError("not a component: WebAssembly starts with \\0asm, and this doesn't")
    if content[4:8] == _MODULE:
        raise RefusedError(
            "a core module, not a component; `wasm-tools component new` makes one of it"
        )
    if content[4:8] != _COMPONENT_LAYER:
        raise RefusedError("a truncated component, or of an unknown version of the format")


def _check_imports(engine: Engine, component: Component) -> None:
    """Refuse a component that needs what we don't give.

    Linking comes before anything runs; without fuel, what would run after it ends at once.
    """
    linker = Linker(engine)
    linker.add_wasip2()
    imported = imports(component, engine)
    ConfigStore().define(linker, imported)
    logging.define(linker, imported)
    store = build_store(engine, Limits())
    store.set_fuel(0)
    store.set_wasi(WasiConfig())
    try:
        linker.instantiate(store, component)
    except WasmtimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        if any("in the linker" in line or "component imports" in line for line in lines):
            raise RefusedError(f"{lines[0][:300]}; nothing here provides it") from error


def describe(
    engine: Engine, component: Component, content: bytes
) -> tuple[list[frames.Tool], list[frames.LeftOut]]:
    """The tools of a component, and which exports are none, with the reason."""
    docs = read_docs(content)
    tools: list[frames.Tool] = []
    left_out: list[frames.LeftOut] = []
    room = MAX_SCHEMAS_BYTES
    for export, found in exports(component, engine):
        tool = _tool(export, found, docs.get((export.interface, export.function), ""))
        if isinstance(tool, frames.Tool):
            size = len(tool.input_schema) + len(tool.output_schema or b"")
            if len(tools) == MAX_TOOLS:
                tool = f"the component has more than {MAX_TOOLS} tools"
            elif size > MAX_SCHEMA_BYTES:
                tool = f"its schema is larger than {MAX_SCHEMA_BYTES >> 10} KiB"
            elif size > room:
                tool = f"the component's schemas are larger than {MAX_SCHEMAS_BYTES >> 20} MiB"
            else:
                room -= size
                tools.append(tool)
                continue
        if len(left_out) < MAX_LEFT_OUT:
            left_out.append(frames.LeftOut(_bounded(export), tool))
    return tools, left_out


def _tool(export: frames.Export, found: Signature | str, docs: str) -> frames.Tool | str:
    if isinstance(found, str):
        return found
    if _bounded(export) != export:
        return f"its name is longer than {MAX_NAME} characters"
    output = json_schema.output_schema(found)
    return frames.Tool(
        export=export,
        input_schema=msgspec.json.encode(json_schema.input_schema(found)),
        output_schema=None if output is None else msgspec.json.encode(output),
        docs=docs,
    )


def _bounded(export: frames.Export) -> frames.Export:
    interface = export.interface
    return frames.Export(
        None if interface is None else interface[:MAX_NAME], export.function[:MAX_NAME]
    )


def _write(artefact: bytes | bytearray) -> int:
    view = memoryview(artefact)
    while view:
        view = view[os.write(_ARTEFACT, view) :]
    return len(artefact)
