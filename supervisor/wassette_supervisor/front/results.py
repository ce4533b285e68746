"""What a call gave, as the result of `tools/call`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mcp_types as types
import msgspec

from wassette_supervisor.front import media_records
from wassette_supervisor.front.media import Media, TooManyMediaError

if TYPE_CHECKING:
    from wassette_supervisor.pool.outcome import CallOutcome
    from wassette_supervisor.store.record import ToolRecord

USAGE_META = "wassette-supervisor/usage"
OUTPUT_META = "wassette-supervisor/output"


def failure(text: str, output: str = "") -> types.CallToolResult:
    """An error that the model is to read; what the guest wrote is for the client alone."""
    meta = {OUTPUT_META: output} if output else None
    return types.CallToolResult(content=[_block(text)], is_error=True, _meta=meta)


def structured(value: dict[str, Any]) -> types.CallToolResult:
    """A built-in tool's answer, for programs and for models."""
    return types.CallToolResult(content=[_block(as_json(value))], structured_content=value)


def of_call(outcome: CallOutcome, tool: ToolRecord | None = None) -> types.CallToolResult:
    """The guest's own answer, which may be its error.

    Args:
        outcome: What the call gave.
        tool: What was called, as it was listed: images and files are known by its schema.
    """
    meta: dict[str, Any] = {USAGE_META: usage(outcome)}
    if outcome.output:
        meta[OUTPUT_META] = outcome.output
    if outcome.failed:
        content: list[types.ContentBlock] = [_block(error_text(outcome))]
        return types.CallToolResult(content=content, is_error=True, _meta=meta)
    if tool is not None and media_records.gives_media(tool.output_schema):
        return _with_media(outcome.value.get("result"), meta)
    # A function without a result has no output schema, and so nothing structured.
    content = [_block(_value_text(value)) for value in outcome.value.values()]
    return types.CallToolResult(
        content=content, structured_content=outcome.value or None, _meta=meta
    )


def _with_media(value: Any, meta: dict[str, Any]) -> types.CallToolResult:
    try:
        media = Media(value)
    except TooManyMediaError as error:
        return types.CallToolResult(content=[_block(str(error))], is_error=True, _meta=meta)
    notes = [_block("\n".join(media.notes))] if media.notes else []
    return types.CallToolResult(
        content=[_block(as_json(media.value)), *media.blocks, *notes],
        structured_content={"result": media.value},
        _meta=meta,
    )


def usage(outcome: CallOutcome) -> dict[str, int]:
    """What the call used: instructions, bytes and microseconds."""
    used = outcome.usage
    return {
        "fuel": used.fuel,
        "peak_memory": used.peak_memory,
        "wall_us": outcome.total_us,
        "queue_us": outcome.queue_us,
        "instantiate_us": used.instantiate_us,
        "convert_us": used.convert_us,
        "call_us": used.call_us,
        "refusals": len(outcome.denied),
    }


def error_text(outcome: CallOutcome) -> str:
    """The error case of the function's own result, as JSON."""
    return as_json(outcome.value.get("result"))


def as_json(value: object) -> str:
    """JSON without spaces."""
    return msgspec.json.encode(value).decode()


def _value_text(value: object) -> str:
    return value if isinstance(value, str) else as_json(value)


def _block(text: str) -> types.TextContent:
    return types.TextContent(type="text", text=text)
