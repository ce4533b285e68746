"""Reading what comes to the audit log, from file to file."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wassette_supervisor.audit import folder
from wassette_supervisor.audit.folder import explained, file_name
from wassette_supervisor.audit.lines import Place, pieces, place_of_end
from wassette_supervisor.audit.reading import Wanted, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from wassette_supervisor.audit.entry import Entry
    from wassette_supervisor.audit.lines import Piece
    from wassette_supervisor.audit.reading import Damaged

POLL_S = 0.2


def follow(
    directory: Path,
    wanted: Wanted = Wanted(),  # noqa: B008 - immutable
    *,
    interval_s: float = POLL_S,
    wait: Callable[[float], object] = time.sleep,
) -> Iterator[Entry | Damaged]:
    """What is written from now on, or from `wanted.since` on; it never ends by itself.

    Args:
        directory: Need not be there yet.
        wanted: Which entries.
        interval_s: Seconds between two looks.
        wait: Waits that long; what it raises ends the following.

    Raises:
        AuditError: The log can't be read.
    """
    follower = _Follower(directory)
    try:
        if wanted.since is None:
            with explained("read", directory):
                follower.go_to_end()
        while True:
            with explained("read", directory):
                for name, piece in follower.look():
                    yield from told(name, piece, wanted)
            wait(interval_s)
    finally:
        follower.close()


class _Follower:
    """A place in the log, in a file that stays open when the log removes it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = -1
        self._number = 0
        self._place = Place()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def go_to_end(self) -> None:
        while self._next_file():
            pass
        if self._file >= 0:
            self._place = place_of_end(self._file)

    def look(self) -> Iterator[tuple[str, Piece]]:
        """What came since the last look."""
        while True:
            name = file_name(self._number)
            for piece in self._pieces():
                if piece.is_unfinished:
                    break
                self._place = piece.after
                yield name, piece
            if self._is_last():
                return
            # Nothing is written to a file once there is a later one, so this is the rest of it.
            for piece in self._pieces():
                yield name, piece
            self._next_file()

    def _pieces(self) -> Iterator[Piece]:
        if self._file < 0:
            return iter(())
        # Behind its end: the last line was taken back, because the disk was full.
        offset = min(self._place.offset, os.fstat(self._file).st_size)
        return pieces(self._file, place=self._place._replace(offset=offset))

    def _is_last(self) -> bool:
        with self._folder() as opened:
            return opened is None or self._later(opened) is None

    def _next_file(self) -> bool:
        with self._folder() as opened:
            number = None if opened is None else self._later(opened)
            if opened is None or number is None:
                return False
            file = folder.open_file(opened, file_name(number), os.O_RDONLY)
        self.close()
        self._file, self._number, self._place = file, number, Place()
        return True

    @contextmanager
    def _folder(self) -> Iterator[int | None]:
        try:
            opened = folder.open_folder(self._directory)
        except FileNotFoundError:
            yield None
            return
        try:
            yield opened
        finally:
            os.close(opened)

    def _later(self, opened: int) -> int | None:
        """The file after this one; the first one if the log was made anew."""
        files = folder.numbers(opened)
        later = [number for number in files if number > self._number]
        if not later and not self._is_in(opened):
            later = files
        return later[0] if later else None

    def _is_in(self, opened: int) -> bool:
        if self._file < 0:
            return False
        try:
            found = os.stat(file_name(self._number), dir_fd=opened, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(self._file))
