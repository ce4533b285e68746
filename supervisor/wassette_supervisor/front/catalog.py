"""The list of tools as clients see it: its order, its pages and each entry; no I/O, no MCP library.

The command line shows the same entries without importing what serves them.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

from wassette_supervisor.front import media_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wassette_supervisor.authority.changes import Reach
    from wassette_supervisor.store.record import ToolRecord

PAGE_SIZE = 100


class Position(NamedTuple):
    """Where a tool stands in the list: built-in tools before those of components, then by name."""

    of_component: bool
    name: str


class BadCursorError(ValueError):
    """Not a cursor that we gave."""


def entry(tool: ToolRecord, reach: Reach) -> dict[str, Any]:
    """Describe a component's tool as `tools/list` does; its hints follow from what it may do."""
    described = {
        "name": tool.name,
        "description": tool.description or None,
        "inputSchema": tool.input_schema,
        "outputSchema": media_records.published(tool.output_schema),
        "annotations": {
            # What it learns of the server it may pass on in its result.
            "readOnlyHint": not (reach.writes or reach.sees_variables or reach.network),
            "destructiveHint": reach.writes,
            "openWorldHint": reach.network,
        },
    }
    return {key: value for key, value in described.items() if value is not None}


def page(positions: Sequence[Position], cursor: str | None) -> tuple[list[Position], str | None]:
    """Cut one page out of a list in order, and give the cursor of the next.

    A cursor stands for the last tool given out, so the tools that stay are given once each,
    whatever comes and goes between two pages.

    Raises:
        BadCursorError: The cursor is not one of ours.
    """
    begins = bisect_right(positions, _position(cursor)) if cursor is not None else 0
    ends = begins + PAGE_SIZE
    more = ends < len(positions)
    return list(positions[begins:ends]), _cursor(positions[ends - 1]) if more else None


def _cursor(position: Position) -> str:
    text = f"{'c' if position.of_component else 'b'}{position.name}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _position(cursor: str) -> Position:
    try:
        text = base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise BadCursorError("not base64") from error
    if text[:1] not in ("b", "c"):
        raise BadCursorError("not a position")
    return Position(text[0] == "c", text[1:])
