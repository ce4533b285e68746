"""Opening: what was judged is pinned, and what the engine opens must be that very file."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from wassette_worker.guards.files.codes import FileError, code_of
from wassette_worker.guards.files.judge import NONE, READ, WRITE
from wassette_worker.guards.files.scope import Directory, File
from wassette_worker.guards.files.walk import Walk

if TYPE_CHECKING:
    from wassette_worker.guards.files.scope import Mount, Path, Scope
    from wassette_worker.guards.files.walk import Found, Place

# What stands there is exchanged by somebody: after so many times the guest is told.
_TRIES = 3
# The engine takes no longer path at once: a longer one is opened in parts.
_MAX_PATH = 4000


class Wish(NamedTuple):
    """The flags of `open-at`."""

    follow: bool
    create: bool
    only_directory: bool
    exclusive: bool
    truncate: bool
    read: bool
    write: bool

    @property
    def access(self) -> int:
        """As the engine opens: `create` and `truncate` write, and without `write` it reads."""
        access = WRITE if self.write or self.create or self.truncate else NONE
        return access | READ if self.read or not self.write else access


class _ExchangedError(Exception):
    """Another file stands there now, or none."""

    def __init__(self, code: str = "loop") -> None:
        self.code = code
        super().__init__(code)


def open_at(scope: Scope, start: Directory, text: str, wish: Wish) -> Directory | File:
    """Open a path below a directory.

    Raises:
        FileError: It is refused, or there is no such file.
    """
    if wish.only_directory and (wish.create or wish.exclusive or wish.truncate):
        raise FileError("invalid")
    codes = set()
    for _ in range(_TRIES):
        try:
            return _open_once(scope, start, text, wish)
        except _ExchangedError as error:
            codes.add(error.code)
    # Nobody exchanges it if it is the same each time: its directory was deleted, or moved away.
    raise FileError(codes.pop() if len(codes) == 1 else "loop")


def _open_once(scope: Scope, start: Directory, text: str, wish: Wish) -> Directory | File:
    with Walk(scope, start) as walk:
        place, found = walk.to_end(text, follow=wish.follow and not wish.exclusive)
        if found is not None and found.is_directory:
            return _directory(scope, walk, place, found, wish)
        scope.need(walk.mount, place.path, place.state, wish.access)
        if found is None:
            if not wish.create:
                raise FileError("no-entry")
            return _created(scope, walk, place, wish)
        _check_file(scope, walk.mount, place, found, wish)
        if wish.truncate:
            _truncate(place, found)
        return _opened(scope, walk.mount, place, found.status, wish)


def _directory(scope: Scope, walk: Walk, place: Place, found: Found, wish: Wish) -> Directory:
    mount = walk.mount
    if not mount.judge.enterable(place.state):
        scope.refuse(mount, place.path, READ)
    if wish.create and wish.exclusive:
        raise FileError("exist")
    if wish.access & WRITE:
        raise FileError("is-directory")
    if place.name is None:
        handle = os.dup(found.handle)
    else:
        handle = found.handle
        walk.keep(handle)
    return Directory(mount, handle, place.path, place.state)


def _check_file(scope: Scope, mount: Mount, place: Place, found: Found, wish: Wish) -> None:
    if wish.create and wish.exclusive:
        raise FileError("exist")
    if found.is_link:
        raise FileError("loop")
    if wish.only_directory or place.only_directory:
        raise FileError("not-directory")
    if not stat.S_ISREG(found.status.st_mode):
        # To open a FIFO or a device does something already.
        raise FileError("not-permitted")
    if found.status.st_nlink > 1 and mount.judge.denies_any(wish.access):
        # Its other name may be one that is denied.
        scope.refuse(mount, place.path, wish.access)


def _truncate(place: Place, found: Found) -> None:
    assert place.name is not None  # noqa: S101 - a file has one
    number = _os_open(place, os.O_WRONLY)
    try:
        if not _same(os.fstat(number), found.status):
            raise _ExchangedError
        os.ftruncate(number, 0)
    except OSError as error:
        raise FileError(code_of(error)) from error
    finally:
        os.close(number)


def _created(scope: Scope, walk: Walk, place: Place, wish: Wish) -> File:
    if place.only_directory:
        raise FileError("is-directory")
    scope.check_room()
    number = _os_open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        scope.created()
        return _opened(scope, walk.mount, place, os.fstat(number), wish)
    finally:
        os.close(number)


def _os_open(place: Place, flags: int) -> int:
    """Open what is in the judged directory under the judged name."""
    assert place.name is not None  # noqa: S101 - of a directory itself nothing is opened so
    try:
        return os.open(
            place.name,
            flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
            0o666,
            dir_fd=place.parent.handle,
        )
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise _ExchangedError("no-entry") from error
        if error.errno in {errno.EEXIST, errno.ELOOP, errno.ENXIO}:
            raise _ExchangedError from error
        raise FileError(code_of(error)) from error


def _opened(scope: Scope, mount: Mount, place: Place, wanted: os.stat_result, wish: Wish) -> File:
    """Have the engine open a file, and see that it is the one that was judged."""
    scope.native.ready(mount.native)
    parent, opened = _near(scope, mount, place.path)
    number = _next_number()
    try:
        try:
            handle = scope.native.open(
                parent,
                b"/".join(place.path[opened:]),
                read=bool(wish.access & READ),
                write=wish.write,
                directory_only=False,
            )
        except FileError as error:
            if error.code in {"no-entry", "not-directory", "loop"}:
                raise _ExchangedError(error.code) from error
            raise
    finally:
        if parent != mount.native:
            scope.native.drop(parent)
    if not _is(number, wanted):
        scope.native.drop(handle)
        raise _ExchangedError
    return File(mount, handle, number, place.path, place.state, _held(wish))


def _held(wish: Wish) -> int:
    held = WRITE if wish.write else NONE
    return held | READ if wish.access & READ else held


def _near(scope: Scope, mount: Mount, path: Path) -> tuple[int, int]:
    """The engine's handle on a directory from where the rest is short, and how much is not rest."""
    parent, opened = mount.native, 0
    while sum(map(len, path[opened:])) + len(path) - opened > _MAX_PATH:
        end = opened
        size = 0
        while size + len(path[end]) + 1 <= _MAX_PATH:
            size += len(path[end]) + 1
            end += 1
        part = b"/".join(path[opened:end])
        above = parent
        try:
            parent = scope.native.open(above, part, read=True, write=False, directory_only=True)
        finally:
            if above != mount.native:
                scope.native.drop(above)
        opened = end
    return parent, opened


def _next_number() -> int:
    """The descriptor that is opened next: the lowest that is free (open(2))."""
    number = os.dup(0)
    os.close(number)
    return number


def _is(number: int, wanted: os.stat_result) -> bool:
    try:
        return _same(os.fstat(number), wanted)
    except OSError:
        return False


def _same(found: os.stat_result, wanted: os.stat_result) -> bool:
    # It is still pinned: no other file can have this number on this device.
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)
