"""`tool list`, `read` and `invoke`: the tools of components, without an MCP client."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from wassette_supervisor.cli.backends import with_backend
from wassette_supervisor.cli.output import emit, guest_output, json_line, write
from wassette_supervisor.cli.rights import CLIENT
from wassette_supervisor.errors import (
    CallError,
    SupervisorError,
    UnknownToolError,
    UsageError,
    one_line,
)
from wassette_supervisor.front import catalog

if TYPE_CHECKING:
    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.pool.outcome import CallOutcome

# More than any call may take, so that `@/dev/zero` ends.
MAX_ARGUMENTS_BYTES = 64 << 20


class _ToolFailedError(SupervisorError):
    """The function's own result was its error."""


def list_all(invocation: Invocation) -> None:
    async def work(backend: Backend) -> list[dict[str, Any]]:
        return [
            {"name": name, "component": record.id, "description": tool.description}
            for name, (record, tool) in sorted(backend.catalog().items())
        ]

    tools = with_backend(invocation.settings, work)
    rows = [tuple(tool.values()) for tool in tools]
    headings = ("name", "component", "description")
    emit(invocation.options, {"tools": tools, "total": len(tools)}, headings, rows)


def read(invocation: Invocation) -> None:
    name = invocation.options.tool

    async def work(backend: Backend) -> dict[str, Any]:
        found = backend.catalog().get(name)
        if found is None:
            raise UnknownToolError(name)
        record, tool = found
        return catalog.entry(tool, backend.permissions.reach(record, name))

    tool = with_backend(invocation.settings, work)
    rows = [
        (key, value if isinstance(value, str) else json_line(value)) for key, value in tool.items()
    ]
    emit(invocation.options, tool, ("what", "value"), rows)


def invoke(invocation: Invocation) -> None:
    arguments = _arguments(getattr(invocation.options, "args", "{}"))

    async def work(backend: Backend) -> CallOutcome:
        return await backend.call(invocation.options.tool, arguments, client=CLIENT)

    try:
        outcome = with_backend(invocation.settings, work)
    except CallError as error:
        guest_output(error.output)
        raise
    guest_output(outcome.output)
    value = json_line(outcome.value.get("result"))
    if outcome.failed:
        raise _ToolFailedError(f"the tool returned its error: {one_line(value)}")
    write(value + "\n")


def _arguments(given: str) -> dict[str, Any]:
    try:
        arguments = msgspec.json.decode(_text(given))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UsageError(f"--args: not JSON: {one_line(str(error))}") from error
    if not isinstance(arguments, dict):
        raise UsageError('--args: should be a JSON object, as {"name": "value"}')
    return arguments


def _text(given: str) -> bytes:
    if given == "-":
        text = sys.stdin.buffer.read(MAX_ARGUMENTS_BYTES + 1)
    elif given.startswith("@"):
        text = _file(Path(given[1:]))
    else:
        return given.encode()
    if len(text) > MAX_ARGUMENTS_BYTES:
        raise UsageError(f"--args: more than {MAX_ARGUMENTS_BYTES} bytes")
    return text


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_ARGUMENTS_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"--args: {path} can't be read: {one_line(str(error))}") from error
