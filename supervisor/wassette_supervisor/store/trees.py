"""Folders that somebody else filled: measured and deleted without trust in anything in them.

Each folder is opened by its name below a descriptor of the one above: no link is followed, and no
other file system is entered. Nothing else is ever opened.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from contextlib import suppress
from typing import NamedTuple

# What any entry costs a disk, as most file systems have it: so a bound in bytes is one of entries.
ENTRY_BYTES = 4096
# A descriptor is open for each level. Who nests deeper can't be measured; deleting doesn't mind.
MAX_DEPTH = 64

_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UnmeasurableError(Exception):
    """A folder in it can't be read, or lies too deep; the text says which.

    `measured` is what was counted before.
    """

    def __init__(self, why: str, measured: Measured | None = None) -> None:
        self.measured = measured or Measured(0, 0, whole=False)
        super().__init__(why)


class Measured(NamedTuple):
    """`size` counts each entry for its length, what it occupies, or 4 KiB: the most of these."""

    size: int  # bytes
    entries: int
    whole: bool  # False: there is more


# --- measuring ------------------------------------------------------------------------------


def measure(path: str, *, most: int, seconds: float) -> Measured:
    """Count what a folder holds, until that is more than `most` bytes or the time is over.

    Raises:
        UnmeasurableError: Not all of it can be looked at.
        OSError: The folder itself can't be.
    """
    root = os.open(path, _LIST)
    walk = _Walk(os.fstat(root).st_dev, most, time.monotonic() + seconds)
    try:
        whole = walk.through(root)
    except UnmeasurableError as error:
        error.measured = Measured(walk.size, walk.entries, whole=False)
        raise
    return Measured(walk.size, walk.entries, whole)


class _EnoughError(Exception):
    """There is more than was asked for, or it takes longer."""


class _Walk:
    def __init__(self, device: int, most: int, deadline: float) -> None:
        self.size = 0
        self.entries = 0
        self._device = device
        self._most = most
        self._deadline = deadline

    def through(self, root: int) -> bool:
        """Count, depth first; whether it came to the end. `root` is closed."""
        levels: list[tuple[int, list[str]]] = [(root, [])]
        try:
            levels[0] = root, self._count(root)
            while levels:
                folder, waiting = levels[-1]
                if waiting:
                    self._enter(waiting.pop(), levels)
                else:
                    levels.pop()
                    os.close(folder)
        except _EnoughError:
            return False
        except PermissionError as error:
            raise UnmeasurableError("a folder in it can't be read") from error
        finally:
            for folder, _ in levels:
                os.close(folder)
        return True

    def _enter(self, name: str, levels: list[tuple[int, list[str]]]) -> None:
        if len(levels) > MAX_DEPTH:
            raise UnmeasurableError(f"folders in it lie more than {MAX_DEPTH} deep")
        try:
            folder = os.open(name, _LIST, dir_fd=levels[-1][0])
        except (FileNotFoundError, NotADirectoryError):  # taken away meanwhile, or a link now
            return
        levels.append((folder, []))
        if os.fstat(folder).st_dev == self._device:
            levels[-1] = folder, self._count(folder)

    def _count(self, folder: int) -> list[str]:
        """Add what is in a folder; return the folders in it."""
        found = []
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                # A sparse file counts for its length: whoever copies it writes as much.
                self.size += max(status.st_size, status.st_blocks * 512, ENTRY_BYTES)
                self.entries += 1
                if self.size > self._most or time.monotonic() > self._deadline:
                    raise _EnoughError
                if stat.S_ISDIR(status.st_mode) and status.st_dev == self._device:
                    found.append(entry.name)
        return found


# --- deleting -------------------------------------------------------------------------------


def delete(path: str, *, seconds: float) -> bool:
    """Delete a folder and all in it; whether all of it is gone.

    Whoever works in it still may put more there, and what is mounted in it stays. However deep
    folders lie, each is first brought to the top: so three descriptors and no path are needed.
    """
    parent, name = os.path.split(path)
    try:
        above = os.open(parent, _LIST)
        try:
            return _delete(above, name, time.monotonic() + seconds)
        finally:
            os.close(above)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _delete(above: int, name: str, deadline: float) -> bool:
    top = _opened(above, name)
    try:
        emptying = _Emptying(top, deadline)
        while emptying.some_of(top):
            pass
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=above)
    return True


class _Emptying:
    """Empties a folder from the top, one folder in it after the other."""

    def __init__(self, top: int, deadline: float) -> None:
        self._top = top
        self._device = os.fstat(top).st_dev
        self._deadline = deadline
        self._prefix = secrets.token_hex(8)  # no name that is there
        self._raised = 0

    def some_of(self, folder: int) -> bool:
        """Take away what is in a folder, all if nobody is in the way; whether any of it went."""
        went = False
        with os.scandir(folder) as entries:
            for entry in entries:
                if time.monotonic() > self._deadline:
                    return False
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        went = self._folder(folder, entry.name) or went
                    else:
                        os.unlink(entry.name, dir_fd=folder)
                        went = True
        return went

    def _folder(self, above: int, name: str) -> bool:
        folder = _opened(above, name)
        try:
            if os.fstat(folder).st_dev != self._device:  # mounted there
                return False
            if above != self._top:
                self._raised += 1
                raised = f"{self._prefix}{self._raised}"
                os.rename(name, raised, src_dir_fd=above, dst_dir_fd=self._top)
                return True
            went = self.some_of(folder)
        finally:
            os.close(folder)
        try:
            os.rmdir(name, dir_fd=above)
        except OSError:
            return went
        return True


def _opened(above: int, name: str) -> int:
    """Open a folder to be emptied, also one whose owner took every right to it away."""
    place = os.open(name, _PLACE, dir_fd=above)
    try:
        os.chmod(f"/proc/self/fd/{place}", stat.S_IRWXU)  # noqa: PTH101 - the very folder, by its descriptor
        return os.open(".", _LIST, dir_fd=place)
    finally:
        os.close(place)
