"""What a component is, read from its bytes: no process, no system call, nothing of it runs.

So it works wherever the engine does. Whoever calls it decides what holds the process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from wasmtime import WasmtimeError
from wasmtime.component import Component

from wassette_protocol import frames
from wassette_worker import json_schema, traps
from wassette_worker.wit_docs import read_docs
from wassette_worker.wit_types import Signature, exports, imports

if TYPE_CHECKING:
    from wasmtime import Engine

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


def parse(engine: Engine, content: bytes) -> Component:
    """The component of these bytes, compiled.

    Raises:
        RefusedError: They are none, or a broken one.
    """
    check_preamble(content)
    try:
        return Component(engine, content)
    except WasmtimeError as error:
        raise RefusedError(f"not a valid component: {traps.last_reason(error)}") from error


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


def described(
    engine: Engine, component: Component, content: bytes, artefact: int
) -> frames.Compiled:
    """What it imports, its tools, and which exports are none; `artefact` are bytes that were kept.

    Raises:
        RefusedError: It exports nothing.
    """
    tools, left_out = _exported(engine, component, content)
    if not tools and not left_out:
        raise RefusedError("the component exports no function")
    names = [name[:MAX_NAME] for name in imports(component, engine)[:MAX_IMPORTS]]
    return frames.Compiled(artefact, names, tools, left_out)


def _exported(
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
