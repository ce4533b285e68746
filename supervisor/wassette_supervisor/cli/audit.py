"""`audit` and `audit verify`: reading the audit log, and checking its chain.

The folder alone is read: neither a server nor the store's lock is needed.
"""

from __future__ import annotations

import difflib
import select
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from wassette_supervisor.audit import when
from wassette_supervisor.audit.entry import Entry, Event
from wassette_supervisor.audit.folder import FOLDER
from wassette_supervisor.audit.following import follow
from wassette_supervisor.audit.reading import Damaged, Wanted, entries
from wassette_supervisor.audit.verify import verify as verified
from wassette_supervisor.cli import audit_requests as requests
from wassette_supervisor.cli.output import (
    GAP,
    coloured,
    columns,
    complain,
    emit,
    fitted,
    json_line,
    shortened,
    to_terminal,
    write,
)
from wassette_supervisor.errors import AuditError, UsageError, one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from wassette_supervisor.audit.verify import Verified
    from wassette_supervisor.cli.arguments import Invocation

NOTE = (
    "a chain shows damage: lines changed, lost, added or moved; "
    "it does not show a rewrite by whoever owns the files"
)
_HEADINGS = ("time (UTC)", "event", "component", "what")
_WIDTHS = (19, 13, 16)
_MIN_WHAT = 20


def show(invocation: Invocation) -> None:
    """Print entries, the oldest first, and with `--follow` those that come."""
    directory = folder_of(invocation)
    wanted = wanted_of(invocation.options, datetime.now(UTC))
    if getattr(invocation.options, "follow", False):
        found = follow(directory, wanted, wait=_wait_for_reader)
    else:
        found = entries(directory, wanted)
    _print(found, invocation.options)


def verify(invocation: Invocation) -> None:
    """Print what is wrong with the log.

    Raises:
        AuditError: Something is.
    """
    directory = folder_of(invocation)
    found = verified(directory)
    rows = [
        ("entries", str(found.entries)),
        ("files", str(found.files)),
        ("first", _point(found.first)),
        ("last", _point(found.last)),
        *(("problem", f"{_where(*problem[:2])}: {problem.what}") for problem in found.problems),
        *(("note", line) for line in NOTE.split("; ")),
    ]
    emit(invocation.options, _described(found), ("what", "value"), rows)
    if found.problems:
        raise AuditError(
            f"the audit log {one_line(str(directory))} is damaged; keep a copy of it as it is, and "
            "look at what happened at the places named"
        )


# --- what is asked for ----------------------------------------------------------------------


def folder_of(invocation: Invocation) -> Path:
    return invocation.settings.component_dir / FOLDER


def wanted_of(options: argparse.Namespace, now: datetime) -> Wanted:
    """Which entries the options ask for.

    Raises:
        UsageError: An option's value can't be used.
    """
    return Wanted(
        component=getattr(options, "component", None),
        event=_event(getattr(options, "event", None)),
        since=_since(getattr(options, "since", None), now),
        call=getattr(options, "call", None),
    )


def _event(name: str | None) -> Event | None:
    if name is None:
        return None
    if name not in (names := list(Event)):
        near = difflib.get_close_matches(name, names, n=1)
        instead = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise UsageError(f"--event: there is no event {one_line(repr(name))}; {instead}")
    return Event(name)


def _since(written: str | None, now: datetime) -> str | None:
    try:
        return None if written is None else when.since(written, now)
    except ValueError as error:
        raise UsageError(f"--since: should be {error}, not {one_line(repr(written))}") from error


def _wait_for_reader(seconds: float) -> None:
    """Wait, but not for a reader that has gone: a pipe tells otherwise only when written to."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        for _, state in output.poll(left * 1000):
            if state & (select.POLLERR | select.POLLHUP):
                raise BrokenPipeError


# --- what is printed ------------------------------------------------------------------------


def _print(found: Iterator[Entry | Damaged], options: argparse.Namespace) -> None:
    """Print as it comes, in constant memory; damage goes to standard error."""
    output = getattr(options, "output", None) or ("table" if to_terminal() else "json")
    talk = getattr(options, "event", None) in requests.REQUESTS  # a table of nothing else
    if output == "table":
        head = _row(tuple(heading.upper() for heading in _HEADINGS))
        head = requests.heading() if talk else head
        write(f"\x1b[1m{head}\x1b[m\n" if coloured() else f"{head}\n")
    row = _request_rows if talk else _table_row
    line: dict[str, Callable[[Entry], str]] = {"table": row, "yaml": _yaml_item}
    for each in found:
        if isinstance(each, Damaged):
            complain(f"{_where(each.file, each.line)}: {each.what}; it was left out")
        else:
            write(line.get(output, _json_line)(each))


def _json_line(entry: Entry) -> str:
    return json_line(entry) + "\n"


def _yaml_item(entry: Entry) -> str:
    import yaml  # noqa: PLC0415 - 20 ms that only this needs

    return str(yaml.safe_dump([msgspec.to_builtins(entry)], sort_keys=False))


def _table_row(entry: Entry) -> str:
    return _row((_time(entry), entry.event, entry.component or "", _what(entry))) + "\n"


def _request_rows(entry: Entry) -> str:
    return requests.lines(entry, _time(entry))


def _what(entry: Entry) -> str:
    """The rest in a few words: what was decided, by which rule, and the details."""
    if entry.event in requests.REQUESTS:
        words = (entry.decision, requests.target(entry), requests.outcome(entry))
        return " ".join(filter(None, words))
    detail = " ".join(f"{name}={_short(value)}" for name, value in (entry.detail or {}).items())
    return " ".join(filter(None, (entry.decision, entry.rule, detail)))


def _short(value: object) -> str:
    return value if isinstance(value, str) else json_line(value)


def _row(cells: tuple[str, ...]) -> str:
    """One line; the columns are of fixed width, as the rows to come are not known."""
    *fixed, what = map(one_line, cells)
    room = max(columns() - sum(_WIDTHS) - len(GAP * 3), _MIN_WHAT)
    shown = [fitted(cell, width) for cell, width in zip(fixed, _WIDTHS, strict=True)]
    return GAP.join([*shown, shortened(what, room)]).rstrip()


def _described(found: Verified) -> dict[str, Any]:
    return {
        "whole": not found.problems,
        "entries": found.entries,
        "files": found.files,
        "first": _end(found.first),
        "last": _end(found.last),
        "problems": [problem._asdict() for problem in found.problems],
        "note": NOTE,
    }


def _end(entry: Entry | None) -> dict[str, Any] | None:
    return None if entry is None else {"seq": entry.seq, "time": entry.time, "hash": entry.hash}


def _point(entry: Entry | None) -> str:
    return f"{entry.seq} of {_time(entry)}" if entry else "none"


def _time(entry: Entry) -> str:
    return entry.time[:19].replace("T", " ")


def _where(file: str, line: int) -> str:
    return ":".join(filter(None, (file, str(line or "")))) or "the log"
