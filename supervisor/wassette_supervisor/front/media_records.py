"""Which tools give images and files, known by their output schema; no I/O, no MCP library.

A WIT record of `mime-type: string` and `data: list<u8>`, and at most a `name` beside them, alone
or in options and lists. Its bytes are content of their own; in the structured value stands where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# As the worker's `json_schema.py` writes string, list<u8> and option<string>.
_STRING = {"type": "string"}
_BYTES = {"type": "string", "contentEncoding": "base64"}
_NULL = {"type": "null"}
_MEMBERS = {
    "mime-type": (_STRING,),
    "data": (_BYTES,),
    "name": (_STRING, {"anyOf": [_STRING, _NULL]}),
}
_PLACE = {
    "description": "Where the bytes are: an index of the result's `content`, and their number. "
    "Base64 text if `mime-type` is no MIME type.",
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "content": {"type": "integer", "minimum": 1},
                "bytes": {"type": "integer", "minimum": 0},
            },
            "required": ["content", "bytes"],
            "additionalProperties": False,
        },
        _BYTES,
    ],
}


def gives_media(output_schema: dict[str, Any] | None) -> bool:
    """Whether a tool's result is made of such records."""
    return published(output_schema) is not output_schema


def published(output_schema: dict[str, Any] | None) -> dict[str, Any] | None:
    """The schema as clients see it: the same one, but for what stands in place of bytes."""
    if output_schema is None:
        return None
    members = output_schema.get("properties")
    changed = _changed(members.get("result")) if isinstance(members, dict) else None
    return (
        output_schema if changed is None else {**output_schema, "properties": {"result": changed}}
    )


def _changed(schema: Any) -> dict[str, Any] | None:
    match schema:
        case {"anyOf": [inner, {"type": "null"}]}:
            found = _changed(inner)
            return None if found is None else {"anyOf": [found, _NULL]}
        case {"type": "array", "items": inner}:
            found = _changed(inner)
            return None if found is None else {**schema, "items": found}
        case {"type": "object", "properties": {"mime-type": _, "data": _, **others} as members}:
            if others.keys() <= {"name"} and all(members[m] in _MEMBERS[m] for m in members):
                return {**schema, "properties": {**members, "data": _PLACE}}
    return None


def replaced(value: Any, place: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A result with something in place of each of its records, in order."""
    if isinstance(value, list):
        return [replaced(item, place) for item in value]
    return place(value) if isinstance(value, dict) else value


def count(value: Any) -> int:
    """How many records a result has."""
    if isinstance(value, list):
        return sum(map(count, value))
    return int(isinstance(value, dict))
