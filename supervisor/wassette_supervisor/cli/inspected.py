"""What `inspect` shows of a component, on every system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wassette_supervisor.cli.output import emit
from wassette_supervisor.limits import LIMITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wassette_protocol.frames import LeftOut
    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.settings import Settings
    from wassette_supervisor.store.record import Record


def shown(
    invocation: Invocation,
    record: Record,
    *,
    rows: Sequence[tuple[str, str]],
    state_size: int | None = None,
    unconfined: bool = False,
) -> None:
    """Print the component; a table has these rows as well.

    `state_size` is in bytes; `unconfined` says that no lock-down held what parsed its bytes.
    """
    lines = [("component", record.id), ("digest", record.digest), ("source", record.source)]
    lines += [("import", name) for name in record.imports]
    lines += [("tool", f"{tool.name} {tool.description}") for tool in record.tools]
    lines += [("left out", f"{out.export.function}: {out.reason}") for out in record.left_out]
    answer = _described(record, invocation.settings)
    answer |= {"state_size": state_size, "unconfined": unconfined}
    emit(invocation.options, answer, ("what", "value"), [*lines, *rows])


def _described(record: Record, settings: Settings) -> dict[str, Any]:
    return {
        "id": record.id,
        "digest": record.digest,
        "source": record.source,
        "imports": record.imports,
        "tools": [
            {
                "name": tool.name,
                "interface": tool.export.interface,
                "function": tool.export.function,
                "description": tool.description,
                "input_schema": tool.input_schema,
                "output_schema": tool.output_schema,
            }
            for tool in record.tools
        ],
        "left_out": left_out(record.left_out),
        "limits": {
            name: limit.text(getattr(settings.limits, limit.field))
            for name, limit in LIMITS.items()
        },
    }


def left_out(functions: list[LeftOut]) -> list[dict[str, Any]]:
    return [
        {
            "interface": function.export.interface,
            "function": function.export.function,
            "reason": function.reason,
        }
        for function in functions
    ]
