"""What a tool talked to, as a person reads it: two short lines for each request of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wassette_supervisor.audit.entry import Event
from wassette_supervisor.cli.output import GAP, columns, fitted, shortened
from wassette_supervisor.errors import one_line
from wassette_supervisor.policy.host import DEFAULT_PORTS

if TYPE_CHECKING:
    from wassette_supervisor.audit.entry import Entry

REQUESTS = frozenset({Event.REQUEST_STARTED, Event.REQUEST})

_HEADINGS = ("time (UTC)", "component", "decision", "status", "sent", "got")
_WIDTHS = (19, 14, 8, 18, 6, 6)
_INDENT = " " * 4
_MIN_ROOM = 20
_UNITS = ("", "Ki", "Mi", "Gi", "Ti")


def heading() -> str:
    return _row(tuple(name.upper() for name in _HEADINGS))


def lines(entry: Entry, time: str) -> str:
    """A request, and below it where it went to; of one that was refused, why."""
    detail = entry.detail or {}
    known = (time, entry.component or "", entry.decision or "")
    if "why" in detail:
        first = _denied(known, str(detail["why"]))
    else:
        first = _row((*known, _status(detail), _size(detail, "sent"), _size(detail, "received")))
    return f"{first}\n{_INDENT}{shortened(one_line(target(entry)), _room(len(_INDENT)))}\n"


def target(entry: Entry) -> str:
    """The method and the URL without its query, as it was asked for."""
    detail = entry.detail or {}
    if "host" not in detail:
        return "a request that could not be read, or that was one too many"
    scheme, host, port = detail.get("scheme"), str(detail["host"]), detail.get("port")
    named = f"[{host}]" if ":" in host else host
    behind = "" if port == DEFAULT_PORTS.get(str(scheme)) else f":{port}"
    return f"{detail.get('method')} {scheme}://{named}{behind}{detail.get('path')}"


def outcome(entry: Entry) -> str:
    """What came of it, in a word or a sentence."""
    detail = entry.detail or {}
    return str(detail["why"]) if "why" in detail else _status(detail)


def _denied(known: tuple[str, ...], why: str) -> str:
    taken = sum(_WIDTHS[: len(known)]) + len(GAP) * len(known)
    return GAP.join([*map(_cell, known, _WIDTHS), shortened(one_line(why), _room(taken))])


def _status(detail: dict[str, Any]) -> str:
    """Of an answer that came whole its number; else what went wrong, with the number if any."""
    status, ended = detail.get("status"), detail.get("outcome")
    parts = [str(status)] if status else []
    if ended not in (None, "complete"):
        parts.append(str(ended))
    return " ".join(parts)


def _size(detail: dict[str, Any], way: str) -> str:
    size = detail.get(f"{way}_bytes")
    if not isinstance(size, int):
        return ""
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return (
        f"{value:.0f}{_UNITS[unit]}" if unit == 0 or value >= 10 else f"{value:.1f}{_UNITS[unit]}"
    )


def _row(cells: tuple[str, ...]) -> str:
    return GAP.join(map(_cell, cells, _WIDTHS)).rstrip()


def _cell(cell: str, width: int) -> str:
    return fitted(one_line(cell), width)


def _room(taken: int) -> int:
    return max(columns() - taken, _MIN_ROOM)
