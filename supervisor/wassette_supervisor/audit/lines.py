"""A file of the log taken apart, in pieces of bounded size; and where its good lines end."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from wassette_supervisor.audit.entry import MAX_LINE_BYTES, DamagedLineError, Entry, parsed
from wassette_supervisor.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUFFER_BYTES = 1 << 18


class Place(NamedTuple):
    """Where in a file a piece starts."""

    offset: int = 0
    line: int = 1
    within: bool = False  # in the middle of a line that is too long


class Piece(NamedTuple):
    """A line, or what fits of one that is too long."""

    line: int
    raw: bytes
    found: Entry | str  # or why it is none
    after: Place
    starts_line: bool

    @property
    def is_unfinished(self) -> bool:
        """Whether it may still become a line."""
        return not self.raw.endswith(b"\n") and len(self.raw) < MAX_LINE_BYTES


def pieces(descriptor: int, end: int | None = None, place: Place = Place()) -> Iterator[Piece]:  # noqa: B008 - immutable
    """Take a file apart, up to `end` or its own; the caller closes it."""
    with os.fdopen(os.dup(descriptor), "rb", buffering=_BUFFER_BYTES) as file:
        file.seek(place.offset)
        most = MAX_LINE_BYTES if end is None else min(MAX_LINE_BYTES, end - place.offset)
        while most > 0 and (raw := file.readline(most)):
            whole = raw.endswith(b"\n")
            found = _entry(raw) if whole and not place.within else _broken(raw, place)
            before, place = place, _after(place, raw, whole=whole)
            yield Piece(before.line, raw, found, place, starts_line=not before.within)
            if end is not None:
                most = min(MAX_LINE_BYTES, end - place.offset)


def _after(place: Place, raw: bytes, *, whole: bool) -> Place:
    return Place(place.offset + len(raw), place.line + whole, within=not whole)


def _entry(raw: bytes) -> Entry | str:
    try:
        return parsed(raw[:-1])
    except DamagedLineError as error:
        return str(error)


def _broken(raw: bytes, place: Place) -> str:
    if place.within or len(raw) >= MAX_LINE_BYTES:
        return "it is too long to be an entry"
    return "it is cut off: a write that did not come to its end"


class Region:
    """Bytes between good lines, which the next entry may account for."""

    def __init__(self) -> None:
        self._size = 0
        self._hash = hashlib.sha256()
        self._start = b""
        self._line_feed = b""

    def add(self, raw: bytes) -> None:
        # The last line feed doesn't count: it may be that of the writer who accounts for the rest.
        body = self._line_feed + raw.removesuffix(b"\n")
        self._line_feed = b"\n" if raw.endswith(b"\n") else b""
        self._size += len(body)
        self._hash.update(body)
        self._start = self._start or body[:1000]

    def account(self) -> dict[str, Any]:
        """What an entry says of these bytes."""
        text = one_line(self._start.decode(errors="replace"))
        return {"bytes": self._size, "sha256": self._hash.hexdigest(), "text": text}


class End(NamedTuple):
    """How a file ends."""

    last: Entry | None  # its last good line
    left: Region | None  # what stands behind that
    is_open: bool  # whether its last line has no line feed


def end_of(descriptor: int) -> End:
    """Find the last good line of a file; fast when it is the last line."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - MAX_LINE_BYTES)
    tail = os.pread(descriptor, size - start, start)
    _, line_feed, line = tail[:-1].rpartition(b"\n")
    if tail.endswith(b"\n") and (line_feed or start == 0):
        entry = _entry(line + b"\n")
        if isinstance(entry, Entry):
            return End(entry, None, is_open=False)
    return _searched_end(descriptor)


def _searched_end(descriptor: int) -> End:
    last, left, raw = None, None, b"\n"
    for piece in pieces(descriptor):
        raw = piece.raw
        if isinstance(piece.found, Entry):
            last, left = piece.found, None
        else:
            left = left or Region()
            left.add(raw)
    return End(last, left, is_open=not raw.endswith(b"\n"))


def first_of(descriptor: int) -> Entry | None:
    """Find the first good line of a file."""
    entries = (piece.found for piece in pieces(descriptor) if isinstance(piece.found, Entry))
    return next(entries, None)


def place_of_end(descriptor: int) -> Place:
    """Where the next line will start."""
    offset, seen, lines = 0, 0, 0
    while chunk := os.pread(descriptor, _BUFFER_BYTES, seen):
        if b"\n" in chunk:
            offset = seen + chunk.rindex(b"\n") + 1
        lines += chunk.count(b"\n")
        seen += len(chunk)
    return Place(offset, 1 + lines)
