"""The open files of the audit log, and what is known of their end; for one thread at a time.

Beside the log a small file `head` has the number and the hash of the last entry. It shows a log
that was cut at its end, which a chain alone does not, and it is what writers lock. It is written
after the line, in place: 2 µs. So a killed writer leaves it one entry behind, never ahead.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from wassette_supervisor.audit import folder
from wassette_supervisor.audit.entry import START, Entry, Event, sealed
from wassette_supervisor.audit.folder import HEAD, HEAD_BYTES, Head, file_name, numbers
from wassette_supervisor.audit.lines import end_of, first_of
from wassette_supervisor.audit.when import text_of
from wassette_supervisor.errors import AuditError, one_line

if TYPE_CHECKING:
    from pathlib import Path

    from wassette_supervisor.audit.entry import Decision

_LOG = os.O_RDWR | os.O_APPEND
_NEW = _LOG | os.O_CREAT | os.O_EXCL
_FIRST_POLL_S, _LAST_POLL_S = 0.000_05, 0.005


class Fields(NamedTuple):
    """What a caller says of an entry."""

    event: Event
    call: str | None = None
    component: str | None = None
    digest: str | None = None
    client: str | None = None
    decision: Decision | None = None
    rule: str | None = None
    detail: dict[str, Any] | None = None


class Writer:
    """Knows the end of the log as it left it, and looks again when another has written."""

    def __init__(self, directory: Path, rotate_bytes: int, keep_files: int) -> None:
        self.file = -1
        self._directory = directory
        self._head_path = str(directory / HEAD)
        self._rotate_bytes = rotate_bytes
        self._keep_files = max(1, keep_files)
        self._number = 0
        self._size = 0
        self._last = Head(0, START)
        self._folder = folder.open_folder(directory, make=True)
        try:
            self._head = folder.open_file(self._folder, HEAD, os.O_RDWR | os.O_CREAT)
        except BaseException:
            os.close(self._folder)
            raise

    def close(self) -> None:
        """Close everything, which also unlocks."""
        for descriptor in (self.file, self._head, self._folder):
            if descriptor >= 0:
                os.close(descriptor)

    # --- locking --------------------------------------------------------------------------

    def lock(self, wait_s: float) -> None:
        """Keep all other writers out.

        Raises:
            AuditError: Another one did so for too long.
        """
        deadline, poll_s = time.monotonic() + wait_s, _FIRST_POLL_S
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(self._head, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if time.monotonic() >= deadline:
                raise AuditError(
                    f"another process has kept the audit log {one_line(str(self._directory))} "
                    f"locked for {wait_s:g} seconds; end it, or wait for it, and try again"
                )
            time.sleep(poll_s)
            poll_s = min(2 * poll_s, _LAST_POLL_S)

    def unlock(self) -> None:
        fcntl.flock(self._head, fcntl.LOCK_UN)

    def is_in_place(self) -> bool:
        """Whether the locked file is the one that others will lock."""
        try:
            found = os.stat(self._head_path, follow_symlinks=False)  # noqa: PTH116 - half the time
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(self._head))

    # --- adding ---------------------------------------------------------------------------

    def add(self, fields: Fields) -> Entry:
        """Write an entry at the end of the chain; only while locked.

        Raises:
            OSError: It could not be written; nothing of it is left.
        """
        try:
            if not self._knows_the_end():
                self._find_the_end()
            entry, line = self._next(fields)
            if self._size and self._size + len(line) > self._rotate_bytes:
                self._rotate()
                entry, line = self._next(fields)
            self._write(entry, line)
        except BaseException:
            self._number = 0  # look anew the next time
            raise
        return entry

    def _next(self, fields: Fields) -> tuple[Entry, bytes]:
        now = text_of(datetime.now(UTC))
        return sealed(Entry(self._last.seq + 1, now, *fields, prev=self._last.hash))

    def _write(self, entry: Entry, line: bytes) -> None:
        head = Head(entry.seq, entry.hash)
        try:
            _write_all(self.file, line)
            self._write_head(head)
        except BaseException:
            self._undo()
            raise
        self._size += len(line)
        self._last = head

    def _write_head(self, head: Head) -> None:
        if os.pwrite(self._head, head.encode(), 0) != HEAD_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _undo(self) -> None:
        """Take back a line that was not written whole, or not acknowledged."""
        with suppress(OSError):
            os.ftruncate(self.file, self._size)
            if self._last.seq:
                self._write_head(self._last)
            else:
                os.ftruncate(self._head, 0)

    # --- the end of the log ---------------------------------------------------------------

    def _knows_the_end(self) -> bool:
        if not self._number or os.pread(self._head, HEAD_BYTES + 1, 0) != self._last.encode():
            return False
        try:
            found = os.stat(file_name(self._number), dir_fd=self._folder, follow_symlinks=False)
        except OSError:
            return False
        own = os.fstat(self.file)
        return own.st_size == self._size and os.path.samestat(found, own)

    def _find_the_end(self) -> None:
        """Look where the chain is to be carried on; if it is not as it was left, record that."""
        files = numbers(self._folder)
        self._open(files[-1] if files else 1, new=not files)
        last, left, is_open = end_of(self.file)
        for number in reversed(files[:-1]):
            last = last or self._end_of(number)
        self._last = Head(last.seq, last.hash) if last else Head(0, START)
        found = {} if left is None else {"left": left.account()}
        found |= self._compared_with_head()
        if found:
            entry, line = self._next(Fields(Event.RESUME, detail=found))
            self._write(entry, b"\n" + line if is_open else line)

    def _compared_with_head(self) -> dict[str, Any]:
        """What `head` tells that the log doesn't; the chain is carried on behind it."""
        data = os.pread(self._head, HEAD_BYTES + 1, 0)
        head = folder.parse_head(data)
        if head is None:
            # A writer killed at the very first entry leaves none.
            as_left = not data and self._last.seq <= 1
            return {} if as_left else {"head": one_line(data.decode(errors="replace"))}
        if head.seq < self._last.seq or head == self._last:
            return {}
        lost = {"missing": {"after": self._last.seq, "to": head.seq}}
        self._last = head
        return lost

    def _open(self, number: int, *, new: bool = False) -> None:
        file = folder.open_file(self._folder, file_name(number), _NEW if new else _LOG)
        if self.file >= 0:
            os.close(self.file)
        self.file, self._number, self._size = file, number, os.fstat(file).st_size
        if new:
            os.fsync(self._folder)

    def _end_of(self, number: int) -> Entry | None:
        file = folder.open_file(self._folder, file_name(number), os.O_RDONLY)
        try:
            return end_of(file).last
        finally:
            os.close(file)

    # --- files ----------------------------------------------------------------------------

    def _rotate(self) -> None:
        os.fdatasync(self.file)
        self._open(self._number + 1, new=True)
        files = numbers(self._folder)
        while len(files) > self._keep_files:
            self._prune(files.pop(0), files[0])

    def _prune(self, oldest: int, kept: int) -> None:
        """Remove the oldest file, after recording where the chain starts without it."""
        first = self._first_of(kept) or Head(self._last.seq + 1, self._last.hash)
        detail = {
            "removed": file_name(oldest),
            "first": {"seq": first.seq, "prev": first.hash},
        }
        self._write(*self._next(Fields(Event.PRUNE, detail=detail)))
        os.fdatasync(self.file)
        with suppress(OSError):  # the next time
            os.unlink(file_name(oldest), dir_fd=self._folder)

    def _first_of(self, number: int) -> Head | None:
        """The number of a file's first entry, and the hash before it."""
        file = folder.open_file(self._folder, file_name(number), os.O_RDONLY)
        try:
            first = first_of(file)
        finally:
            os.close(file)
        return Head(first.seq, first.prev) if first else None


def _write_all(file: int, data: bytes) -> None:
    """Write everything: a disk that fills takes a part first, and fails at the next write."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
