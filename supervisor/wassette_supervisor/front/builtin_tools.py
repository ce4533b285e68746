"""The built-in tools: name, schema, who may call it and what it does, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import mcp_types as types
import msgspec

from wassette_protocol.frames import ComponentId
from wassette_supervisor.errors import UnknownToolError, one_line
from wassette_supervisor.front import results
from wassette_supervisor.front.operator_command import ascii_uri, command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.settings import Settings

ID_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_Id = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,63}\Z")]
_FILE = "file://"


class Request(NamedTuple):
    """What a built-in tool works with."""

    settings: Settings
    backend: Backend
    progress: Callable[[str], Awaitable[None]]


class BuiltinTool(NamedTuple):
    description: str
    input_schema: dict[str, Any]
    annotations: types.ToolAnnotations
    run: Callable[[Request, dict[str, Any]], Awaitable[types.CallToolResult]]


class BadInputError(ValueError):
    """The arguments of a built-in tool can't be used."""


class _Load(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    name: _Id | None = None


class _Unload(msgspec.Struct, forbid_unknown_fields=True):
    id: _Id


class _List(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Call(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, Any] = {}


_Arguments = TypeVar("_Arguments", bound=msgspec.Struct)


async def _load(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    asked = _parsed(arguments, _Load)
    if not asked.path.startswith(_FILE):
        raise BadInputError(f"path should be a URI that begins with {_FILE}")
    if request.settings.approve != "allow":
        named = ["--name", asked.name] if asked.name else []
        words = ["component", "load", ascii_uri(asked.path), *named]
        return _needs_a_person(request.settings, "loaded", words)
    loaded = await request.backend.load(asked.path, name=asked.name, progress=request.progress)
    how = "reloaded" if loaded.reloaded else "loaded"
    tools = [tool.name for tool in loaded.record.tools]
    status = f"component {how} successfully"
    return results.structured({"status": status, "id": loaded.record.id, "tools": tools})


async def _unload(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    asked = _parsed(arguments, _Unload)
    if request.settings.approve != "allow":
        words = ["component", "unload", asked.id]
        return _needs_a_person(request.settings, "unloaded", words)
    await request.backend.unload(ComponentId(asked.id))
    return results.structured({"status": "component unloaded successfully", "id": asked.id})


async def _list(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    _parsed(arguments, _List)
    records = sorted(request.backend.records().items())
    answer: dict[str, Any] = {
        "components": [
            {
                "id": record.id,
                "tools_count": len(record.tools),
                "digest": record.digest,
                "source": record.source,
                "tools": [tool.name for tool in record.tools],
            }
            for _, record in records
        ],
        "total": len(records),
    }
    if damaged := request.backend.damaged():
        answer["damaged"] = [{"name": name, "reason": damaged[name]} for name in sorted(damaged)]
    return results.structured(answer)


async def _call(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    asked = _parsed(arguments, _Call)
    if asked.name in BUILTIN_TOOLS:
        raise BadInputError(f"call-tool takes tools of components only; call {asked.name} itself")
    try:
        outcome = await request.backend.call(asked.name, asked.arguments)
    except UnknownToolError as error:
        # The tool that the client called, this one, is known.
        return results.failure(str(error))
    return results.of_call(outcome)


def _parsed(arguments: dict[str, Any], form: type[_Arguments]) -> _Arguments:
    try:
        return msgspec.convert(arguments, form)
    except (msgspec.ValidationError, RecursionError) as error:
        raise BadInputError(f"the arguments can't be used: {one_line(str(error))}") from error


def _needs_a_person(settings: Settings, done: str, words: list[str]) -> types.CallToolResult:
    if settings.approve == "ask":
        why = "a person has to approve it, and this version can't ask one yet"
    else:
        why = "the operator lets no model do it (--approve deny)"
    how = f"have the operator run: {command(settings, *words)}"
    return results.failure(f"the component was not {done}: {why}; {how}")


def _object(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


_ID_SCHEMA = {"type": "string", "pattern": ID_PATTERN}

BUILTIN_TOOLS: dict[str, BuiltinTool] = {
    "load-component": BuiltinTool(
        "Load a WebAssembly component; its functions become tools.",
        _object(
            ["path"],
            path={"type": "string", "description": "URI of the component: file:///absolute/path"},
            name=_ID_SCHEMA | {"description": "Id to keep it under; default: the file's name"},
        ),
        types.ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False),
        _load,
    ),
    "unload-component": BuiltinTool(
        "Unload a component; its tools are gone.",
        _object(["id"], id=_ID_SCHEMA | {"description": "Id, as list-components gives it"}),
        types.ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False),
        _unload,
    ),
    "list-components": BuiltinTool(
        "List the components that are loaded, and their tools.",
        _object([]),
        types.ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False),
        _list,
    ),
    "call-tool": BuiltinTool(
        "Call a component's tool by its name, also one that was loaded a moment ago.",
        _object(
            ["name"],
            name={"type": "string", "description": "Name of the tool"},
            arguments={"type": "object", "description": "Arguments as the tool's schema has them"},
        ),
        # The worst that any component's tool may do.
        types.ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=True),
        _call,
    ),
}
