"""What a guest changes in directories: each name judged, in a directory that is pinned."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wassette_worker.guards.files import handles
from wassette_worker.guards.files.codes import FileError, code_of
from wassette_worker.guards.files.judge import READ, WRITE
from wassette_worker.guards.files.scope import Directory, File
from wassette_worker.guards.files.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wassette_worker.guards.files.scope import Scope
    from wassette_worker.guards.files.walk import Found, Place

_Times = tuple["int | None", "int | None"]


class UndoneError(Exception):
    """What another process did in this moment could not be undone: the call must end."""


def create_directory_at(scope: Scope, start: Directory, text: str) -> None:
    with Walk(scope, start) as walk, _told():
        place = _writable(scope, walk, text)
        name = _name(place, "exist")
        scope.check_room()
        os.mkdir(name, 0o777, dir_fd=place.parent.handle)
        scope.created()


def remove_directory_at(scope: Scope, start: Directory, text: str) -> None:
    with Walk(scope, start) as walk, _told():
        place = _writable(scope, walk, text)
        os.rmdir(_name(place, "invalid"), dir_fd=place.parent.handle)


def unlink_file_at(scope: Scope, start: Directory, text: str) -> None:
    with Walk(scope, start) as walk, _told():
        place = _writable(scope, walk, text)
        name = _name(place, "is-directory")
        if place.only_directory:
            found = walk.look(place)
            _absent(found)
            raise FileError("is-directory" if found and found.is_directory else "not-directory")
        os.unlink(name, dir_fd=place.parent.handle)


def symlink_at(scope: Scope, start: Directory, target: str, text: str) -> None:
    """Make a link, to within what was granted: whoever follows it must not be led out."""
    with Walk(scope, start) as walk, _told():
        place = _writable(scope, walk, text)
        name = _name(place, "exist")
        if place.only_directory:
            raise FileError("no-entry")
        _check_target(target.encode(), depth=len(place.path) - 1)
        scope.check_room()
        os.symlink(target.encode(), name, dir_fd=place.parent.handle)
        scope.created()


def link_at(scope: Scope, start: Directory, text: str, new_start: Directory, new_text: str) -> None:
    """Give a file a second name, by which nothing more may be done with it."""
    with Walk(scope, start) as walk, Walk(scope, new_start) as new_walk, _told():
        old, found = walk.to_end(text, follow=False)
        new = _writable(scope, new_walk, new_text)
        both = READ | WRITE
        scope.need(walk.mount, old.path, old.state, both)
        scope.need(new_walk.mount, new.path, new.state, both)
        new_name = _name(new, "exist")
        old_name = _name(old, "not-permitted")
        _absent(found)
        if walk.mount is not new_walk.mount:
            raise FileError("cross-device")
        if found and not stat.S_ISREG(found.status.st_mode):
            raise FileError("not-permitted")
        if old.only_directory or new.only_directory:
            raise FileError("not-directory" if old.only_directory else "no-entry")
        if walk.mount.judge.denies_any(both):
            # A file of two names is refused where any path is denied: this would be one.
            raise FileError("not-permitted")
        scope.check_room()
        os.link(
            old_name, new_name, src_dir_fd=old.parent.handle, dst_dir_fd=new.parent.handle,
            follow_symlinks=False,
        )  # fmt: skip
        scope.created()


def rename_at(
    scope: Scope, start: Directory, text: str, new_start: Directory, new_text: str
) -> None:
    """Move an entry; what lies below a directory must be judged at its new place as at the old.

    Raises:
        FileError: It is refused; `cross-device` where programs copy instead, file by file.
    """
    with Walk(scope, start) as walk, Walk(scope, new_start) as new_walk, _told():
        old, new = _writable(scope, walk, text), _writable(scope, new_walk, new_text)
        old_name, new_name = _name(old, "busy"), _name(new, "busy")
        judge, new_judge = walk.mount.judge, new_walk.mount.judge
        if new_judge.rights(new.state) & ~judge.rights(old.state):
            # By its new name more could be done with it.
            scope.refuse(walk.mount, old.path, READ)
        found = walk.look(old)
        _absent(found)
        alike = walk.mount is new_walk.mount and judge.judges_alike(old.state, new.state)
        if found:
            _check_moved(found, old, new, alike=alike)
        if found and not found.is_directory and (old.only_directory or new.only_directory):
            raise FileError("not-directory")
        source, target = old.parent.handle, new.parent.handle
        os.rename(old_name, new_name, src_dir_fd=source, dst_dir_fd=target)
        if not alike:
            _undo_directory(source, old_name, target, new_name)
        scope.moved(walk.mount, old.path, new.path)


def _check_moved(found: Found, old: Place, new: Place, *, alike: bool) -> None:
    if found.is_link:
        # Nearer to the top the same text may lead out.
        _check_target(handles.link_text(found.handle), depth=len(new.path) - 1)
    if found.is_directory and (not alike or len(new.path) < len(old.path)):
        # The same is true of links below; copied one by one, each is looked at.
        raise FileError("cross-device")


def set_times_at(scope: Scope, start: Directory, text: str, times: _Times, *, follow: bool) -> None:
    with Walk(scope, start) as walk, _told():
        place, found = walk.to_end(text, follow=follow)
        scope.need(walk.mount, place.path, place.state, WRITE)
        _absent(found)
        if found and place.only_directory and not found.is_directory:
            raise FileError("not-directory")
        # An empty directory of a path is itself; a link is never followed here.
        handles.set_times(place.parent.handle, place.name or b".", times)


def set_times(scope: Scope, each: Directory | File, times: _Times) -> None:
    """Of what is open; a file that was opened to be read is judged by its path."""
    scope.need(each.mount, each.path, each.state, WRITE)
    with _told():
        if isinstance(each, File):
            handles.set_times(each.number, None, times)
        else:
            handles.set_times(each.handle, b".", times)


def _writable(scope: Scope, walk: Walk, text: str) -> Place:
    """Where a name is to be changed: the entry itself, never what it leads to."""
    place = walk.to(text)
    scope.need(walk.mount, place.path, place.state, WRITE)
    return place


def _name(place: Place, otherwise: str) -> bytes:
    if place.name is None:  # the path ends in `.` or `..`, or is the granted directory
        raise FileError(otherwise)
    return place.name


def _absent(found: Found | None) -> None:
    if found is None:
        raise FileError("no-entry")


def _check_target(target: bytes, depth: int) -> None:
    """Let a link lead up no further than to what was granted, and up only at its beginning.

    After a name, `..` may lead anywhere: that name may be a link.
    """
    if not target:
        raise FileError("no-entry")
    if target.startswith(b"/") or b"\0" in target:
        raise FileError("not-permitted")
    names = [name for name in target.split(b"/") if name not in {b"", b"."}]
    ups = 0
    while ups < len(names) and names[ups] == b"..":
        ups += 1
    if ups > depth or b".." in names[ups:]:
        raise FileError("not-permitted")


def _undo_directory(source: int, old: bytes, target: int, new: bytes) -> None:
    """Take back the move of a directory that took a file's place after it was judged.

    The guest waits meanwhile: it sees nothing of it.
    """
    try:
        moved = os.stat(new, dir_fd=target, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(moved.st_mode):
        return
    try:
        os.rename(new, old, src_dir_fd=target, dst_dir_fd=source)
    except OSError as error:
        raise UndoneError("a directory was moved in the place of a file") from error
    raise FileError("busy")


@contextmanager
def _told() -> Iterator[None]:
    """Errors of the system as the guest's."""
    try:
        yield
    except OSError as error:
        raise FileError(code_of(error)) from error
