"""What a directory has: which files have settled, and the digest of each. Blocks; one thread."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.components.local import files
from wassette_supervisor.components.local.files import Seen, UnsettledError
from wassette_supervisor.components.local.plan import File
from wassette_supervisor.components.local.sightings import Sightings
from wassette_supervisor.errors import LoadError

if TYPE_CHECKING:
    from pathlib import Path

# Of reading files, before the directory is looked at again.
READ_S = 1.0


class Found(NamedTuple):
    """One look."""

    present: list[str]  # the sources of all regular files
    settled: list[File]  # in the order of their names
    unsettled: bool  # some are being written
    unread: bool  # some are yet to be read
    missing: bool  # there is no directory
    more: int  # files beyond those that are looked at


class Contents:
    """One directory, and what was read of it."""

    def __init__(self, directory: Path, settle_s: float) -> None:
        self._directory = directory
        self._settle_s = settle_s
        self._sightings = Sightings(settle_s)
        self._read: dict[str, File] = {}  # by name
        self._last_seen: dict[str, float] = {}
        self._names: frozenset[str] = frozenset()  # of all that was there at the last look
        self._only: frozenset[str] | None = None

    def look(self) -> Found:
        """Look, and read what has settled and was not read.

        Raises:
            UnusableDirectoryError: It can't be followed as it is.
        """
        looked = files.look(self._directory)
        seen = {name: each for name, each in looked.files.items() if self._is_wanted(name)}
        self._names = frozenset(seen)
        now = time.monotonic()
        settled = self._sightings.observe({name: each.stamp for name, each in seen.items()}, now)
        known: dict[str, File] = {}
        unread = False
        for name in (name for name in seen if name in settled):
            file = self._as_before(name, seen[name])
            if file is None and time.monotonic() >= now + READ_S:
                unread = True
                continue
            file = file or self._file(name, seen[name])
            if file is not None:
                known[name] = file
        self._read = known
        unsettled = len(known) < len(seen) and not unread
        present = self._present(seen, now)
        return Found(present, [*known.values()], unsettled, unread, looked.missing, looked.more)

    def freeze(self) -> None:
        """Look from now on at those files alone that were there at the last look."""
        self._only = self._names

    def _is_wanted(self, name: str) -> bool:
        return self._only is None or name in self._only

    def _present(self, seen: dict[str, Seen], now: float) -> list[str]:
        """The sources of files; one that is deleted and written anew was never gone."""
        self._last_seen |= {name: now for name, each in seen.items() if each.is_file}
        self._last_seen = {
            name: last
            for name, last in self._last_seen.items()
            if last == now or now - last < self._settle_s
        }
        return [self._source(name) for name in self._last_seen]

    def _as_before(self, name: str, seen: Seen) -> File | None:
        earlier = self._read.get(name)
        same = earlier is not None and earlier.stamp == seen.stamp and earlier.digest is not None
        return earlier if same else None

    def _file(self, name: str, seen: Seen) -> File | None:
        """A settled file with its digest, or why it has none; None if it hasn't settled at all."""
        path = self._directory / name
        unread = File(path.stem, self._source(name), seen.stamp, None, seen.odd)
        if seen.odd:
            return unread
        try:
            fetched = files.read(path, seen.stamp)
        except UnsettledError:
            return None
        except LoadError as error:
            return unread._replace(why=str(error))
        os.close(fetched.descriptor)
        return unread._replace(digest=fetched.digest)

    def _source(self, name: str) -> str:
        return (self._directory / name).as_uri()
