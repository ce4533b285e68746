"""Granted directories, opened: each the one that was judged, or none at all."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from wassette_supervisor.pool.grants import DirectoryChangedError, GrantError
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from wassette_supervisor.pool.grants import Directory, Place

# A handle on the place alone: it opens nothing by itself, whoever holds it.
_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC

# Nothing there, or no directory: a link is none either.
_CHANGED = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


@asynccontextmanager
async def opened(directories: Sequence[Directory]) -> AsyncIterator[list[int]]:
    """Descriptors of the directories, in order; closed when the block ends.

    Raises:
        DirectoryChangedError: A path leads to something else than what was judged.
        GrantError: A directory can't be reached.
    """
    async with _opened([partial(open_directory, directory) for directory in directories]) as found:
        yield found


@asynccontextmanager
async def opened_places(places: Sequence[Place]) -> AsyncIterator[list[int]]:
    """As `opened`, of directories and files that the kernel is told of."""
    openers = [partial(_open, place, place.path, is_file=place.is_file) for place in places]
    async with _opened(openers) as found:
        yield found


@asynccontextmanager
async def _opened(openers: Sequence[Callable[[], int]]) -> AsyncIterator[list[int]]:
    if not openers:
        yield []
        return
    # In a thread, which nobody gives up on: a file system may take its time to answer.
    numbers = await run_sync(_open_all, openers)
    try:
        yield numbers
    finally:
        _close(numbers)


def _open_all(openers: Sequence[Callable[[], int]]) -> list[int]:
    numbers: list[int] = []
    try:
        for opener in openers:
            numbers.append(opener())  # noqa: PERF401 - those before are closed
    except BaseException:
        _close(numbers)
        raise
    return numbers


def open_directory(directory: Directory) -> int:
    """Walk to it from the root, one segment at a time and through no link.

    Raises:
        DirectoryChangedError: Something else stands there now.
        GrantError: It can't be reached.
    """
    return _open(directory, directory.guest, is_file=False)


def _open(place: Directory | Place, name: str, *, is_file: bool) -> int:
    number = os.open("/", _PLACE | os.O_DIRECTORY)
    try:
        for segment in filter(None, place.path.split("/")):
            # A link is opened as itself: it leads nowhere, and is not what was judged.
            parent, number = number, os.open(segment, _PLACE, dir_fd=number)
            os.close(parent)
        found = os.fstat(number)
        if (found.st_dev, found.st_ino) != (place.device, place.inode):
            raise DirectoryChangedError(name, "another one stands in its place")
        # The number of what is gone may be given to another at once, of any kind.
        if not (stat.S_ISREG if is_file else stat.S_ISDIR)(found.st_mode):
            raise DirectoryChangedError(name, f"it is no {'file' if is_file else 'directory'}")
    except OSError as error:
        os.close(number)
        why = error.strerror or "it can't be opened"
        if error.errno in _CHANGED:
            raise DirectoryChangedError(name, why) from error
        raise GrantError(f"{name!r}: {why}") from error
    except BaseException:
        os.close(number)
        raise
    return number


def _close(numbers: list[int]) -> None:
    for number in numbers:
        with suppress(OSError):
            os.close(number)
