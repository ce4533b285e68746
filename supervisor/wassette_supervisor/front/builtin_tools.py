"""The built-in tools: name, schema, and what each does, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mcp_types as types
import msgspec

from wassette_supervisor.authority.changes import NOTHING_STANDS
from wassette_supervisor.components.drafts import Draft
from wassette_supervisor.consent.change import Asked, Read, Unload
from wassette_supervisor.errors import UnknownComponentError, UnknownToolError
from wassette_supervisor.front import again, results
from wassette_supervisor.front.asking import MustAnswerError
from wassette_supervisor.front.builtin import (
    ID_SCHEMA,
    BadInputError,
    BuiltinTool,
    ComponentIdField,
    Request,
    object_schema,
    parsed,
)
from wassette_supervisor.front.builtin_permissions import PERMISSION_TOOLS
from wassette_supervisor.front.keeping import asked_to_keep, rules_of
from wassette_supervisor.front.operator_command import ascii_uri
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from wassette_protocol.frames import ComponentId


_FILE = "file://"


class _Load(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    name: ComponentIdField | None = None


class _Unload(msgspec.Struct, forbid_unknown_fields=True):
    id: ComponentIdField


class _List(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Call(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, Any] = {}


# --- components -----------------------------------------------------------------------------


async def _load(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    asked = parsed(arguments, _Load)
    if not asked.path.startswith(_FILE):
        raise BadInputError(f"path should be a URI that begins with {_FILE}")
    words = ["component", "load", ascii_uri(asked.path)]
    words += ["--name", asked.name] if asked.name else []
    not_done = "the component was not loaded"
    await request.allowed(Asked(Read(asked.path, asked.name)), not_done, words)
    held = request.questions.held()
    draft = (
        held
        if isinstance(held, Draft)
        else await request.backend.prepare(
            asked.path, name=asked.name, progress=request.progress, client=request.client
        )
    )
    kept_open = False
    try:
        keep = asked_to_keep(request.backend, draft)
        if keep is not None:
            try:
                await request.allowed(keep, not_done, words, held=draft)
            except MustAnswerError:
                kept_open = True
                raise
        await request.progress("storing")
        expected = keep.standing if keep else None
        loaded = await request.backend.keep(draft, expected=expected, client=request.client)
    finally:
        if not kept_open:
            draft.close()
    how = "reloaded" if loaded.reloaded else "loaded"
    tools = [tool.name for tool in loaded.record.tools]
    status = f"component {how} successfully"
    return results.structured({"status": status, "id": loaded.record.id, "tools": tools})


async def _unload(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    asked = parsed(arguments, _Unload)
    record = request.backend.records().get(asked.id)
    if record is None and f"{asked.id}.json" not in request.backend.damaged():
        raise UnknownComponentError(asked.id)
    rules, secrets, standing = 0, 0, NOTHING_STANDS
    files = await run_sync(_kept_files, request, asked.id)
    if record is not None:
        rules = rules_of(request.backend, record)
        secrets = len(request.backend.permissions.secrets.of(asked.id))
        standing = request.backend.permissions.standing(record)
    question = Asked(Unload(asked.id, rules, secrets, files), standing)
    words = ["component", "unload", asked.id]
    await request.allowed(question, "the component was not unloaded", words)
    await request.backend.unload(asked.id, client=request.client)
    return results.structured({"status": "component unloaded successfully", "id": asked.id})


def _kept_files(request: Request, component: ComponentId) -> int:
    """How much it keeps between calls, as far as that can be counted."""
    counted = request.backend.permissions.states.counted(component)
    return max(counted.entries, 0 if counted.whole else 1) if counted is not None else 0


async def _list(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    parsed(arguments, _List)
    await request.offers.ask_beside_a_list(request.questions)
    records = sorted(request.backend.records().items())
    answer: dict[str, Any] = {
        "components": [
            {
                "id": record.id,
                "tools_count": len(record.tools),
                "digest": record.digest,
                "source": record.source,
                "tools": [tool.name for tool in record.tools],
                "state": "away" if record.away else "ready",
            }
            | ({} if record.quarantined is None else {"quarantined": record.quarantined})
            for _, record in records
        ],
        "total": len(records),
    }
    # Why one is refused is for the operator: a file's name is anybody's words.
    if local := await request.backend.noticed():
        answer["local"] = [
            {"id": each.id, "source": each.source, "state": each.state} for each in local
        ]
    if damaged := request.backend.damaged():
        answer["damaged"] = [{"name": name, "reason": damaged[name]} for name in sorted(damaged)]
    return results.structured(answer)


async def _call(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    asked = parsed(arguments, _Call)
    if asked.name in BUILTIN_TOOLS:
        raise BadInputError(f"call-tool takes tools of components only; call {asked.name} itself")
    try:
        return await again.call(request, asked.name, asked.arguments)
    except UnknownToolError as error:
        # The tool that the client called, this one, is known.
        return results.failure(str(error))


BUILTIN_TOOLS: dict[str, BuiltinTool] = {
    "load-component": BuiltinTool(
        "Load a WebAssembly component, if a person allows it; its functions become tools.",
        object_schema(
            ["path"],
            path={"type": "string", "description": "URI of the component: file:///absolute/path"},
            name=ID_SCHEMA | {"description": "Id to keep it under; default: the file's name"},
        ),
        types.ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False),
        _load,
    ),
    "unload-component": BuiltinTool(
        "Unload a component, if a person allows it; its tools and its policy are gone.",
        object_schema(["id"], id=ID_SCHEMA | {"description": "Id, as list-components gives it"}),
        types.ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False),
        _unload,
    ),
    "list-components": BuiltinTool(
        "List the components that are loaded, and their tools; a person may be asked about those "
        "that wait in the directory of local components.",
        object_schema([]),
        types.ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False),
        _list,
    ),
    "call-tool": BuiltinTool(
        "Call a component's tool by its name, also one that was loaded a moment ago.",
        object_schema(
            ["name"],
            name={"type": "string", "description": "Name of the tool"},
            arguments={"type": "object", "description": "Arguments as the tool's schema has them"},
        ),
        # The worst that any component's tool may do.
        types.ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=True),
        _call,
    ),
    **PERMISSION_TOOLS,
}
