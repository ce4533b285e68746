"""Reading what is in the audit log; damage is told and passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.audit.entry import Entry, Event
from wassette_supervisor.audit.folder import explained
from wassette_supervisor.audit.lines import pieces
from wassette_supervisor.audit.snapshot import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wassette_supervisor.audit.lines import Piece


class Damaged(NamedTuple):
    """A line that is no entry."""

    file: str
    line: int  # from 1
    what: str


class Wanted(NamedTuple):
    """Which entries; None is any."""

    component: str | None = None
    event: Event | None = None
    since: str | None = None  # a time as the log writes it
    call: str | None = None

    def matches(self, entry: Entry) -> bool:
        return (
            self.component in (None, entry.component)
            and self.event in (None, entry.event)
            and self.call in (None, entry.call)
            and (self.since is None or entry.time >= self.since)
        )


def entries(directory: Path, wanted: Wanted = Wanted()) -> Iterator[Entry | Damaged]:  # noqa: B008 - immutable
    """All that is in the log now, the oldest first.

    Raises:
        AuditError: It can't be read.
    """
    with snapshot(directory) as taken, explained("read", directory):
        for file in taken.files:
            for piece in pieces(file.descriptor, file.size):
                yield from told(file.name, piece, wanted)


def told(name: str, piece: Piece, wanted: Wanted) -> Iterator[Entry | Damaged]:
    """The entry, if it is wanted; damage always, and once a line."""
    if isinstance(piece.found, Entry):
        if wanted.matches(piece.found):
            yield piece.found
    elif piece.starts_line:
        yield Damaged(name, piece.line, piece.found)
