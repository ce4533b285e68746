"""What a guest learns of files without opening them: their state, where links lead, names."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from wassette_worker.guards.files import handles
from wassette_worker.guards.files.codes import FileError, code_of
from wassette_worker.guards.files.judge import READ
from wassette_worker.guards.files.scope import Directory, Entry, File, Listing
from wassette_worker.guards.files.walk import Walk

if TYPE_CHECKING:
    from wassette_worker.guards.files.scope import Scope
    from wassette_worker.guards.files.walk import Found

_KINDS = {
    stat.S_IFREG: "regular-file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symbolic-link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character-device",
    stat.S_IFBLK: "block-device",
}

# So that a guest learns no numbers of inodes: good for comparing, within one call.
_KEY = os.urandom(16)


class Hash(NamedTuple):
    lower: int
    upper: int


def kind_of(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "unknown")


def status_of(each: Directory | File) -> os.stat_result:
    return os.fstat(each.handle if isinstance(each, Directory) else each.number)


def stat_at(scope: Scope, start: Directory, text: str, *, follow: bool) -> os.stat_result:
    """The state of what is at a path.

    Raises:
        FileError: It may not be known, or is not there.
    """
    with Walk(scope, start) as walk:
        return _known(scope, walk, text, follow=follow).status


def hash_at(scope: Scope, start: Directory, text: str, *, follow: bool) -> Hash:
    with Walk(scope, start) as walk:
        return hash_of(_known(scope, walk, text, follow=follow).status)


def hash_of(status: os.stat_result) -> Hash:
    what = f"{status.st_dev}.{status.st_ino}".encode()
    digest = hashlib.blake2b(what, digest_size=16, key=_KEY).digest()
    return Hash(int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little"))


def readlink_at(scope: Scope, start: Directory, text: str) -> str:
    """Where a link leads.

    Raises:
        FileError: It may not be read, is none, or leads out by an absolute path.
    """
    with Walk(scope, start) as walk:
        place, found = walk.to_end(text, follow=False)
        scope.need(walk.mount, place.path, place.state, READ)
        if found is None:
            raise FileError("no-entry")
        if not found.is_link:
            raise FileError("invalid")
        target = handles.link_text(found.handle)
    if target.startswith(b"/"):
        raise FileError("not-permitted")
    try:
        return target.decode()
    except UnicodeDecodeError as error:
        raise FileError("illegal-byte-sequence") from error


def _known(scope: Scope, walk: Walk, text: str, *, follow: bool) -> Found:
    judge = walk.mount.judge
    place, found = walk.to_end(text, follow=follow)
    # On the way to what is granted directories are known, and nothing else.
    is_directory = found is not None and found.is_directory
    if not (judge.enterable(place.state) if is_directory else judge.rights(place.state)):
        scope.refuse(walk.mount, place.path, READ)
    if found is None:
        raise FileError("no-entry")
    if place.only_directory and not found.is_directory:
        raise FileError("not-directory")
    return found


# --- names ----------------------------------------------------------------------------------


def read_directory(scope: Scope, directory: Directory) -> Listing:
    """Begin to list a directory; on the way to what is granted, it shows that alone.

    Raises:
        FileError: Nothing in it may be read.
    """
    judge = directory.mount.judge
    if not (judge.rights(directory.state) | judge.reach(directory.state)) & READ:
        scope.refuse(directory.mount, directory.path, READ)
    try:
        number = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory.handle)
        return Listing(directory, number, os.scandir(number))
    except OSError as error:
        raise FileError(code_of(error)) from error


def next_entry(listing: Listing) -> Entry | None:
    """The next name that may be known; None: there is none any more.

    Raises:
        FileError: The system can't tell.
    """
    judge, state = listing.directory.mount.judge, listing.directory.state
    try:
        for entry in listing.entries:
            name = os.fsencode(entry.name)
            if not judge.rights(judge.step(state, name)) & READ:
                continue
            try:
                return Entry(_kind(entry), name.decode())
            except UnicodeDecodeError:
                continue  # a component knows Unicode only: it could not ask for it
    except OSError as error:
        raise FileError(code_of(error)) from error
    return None


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_file(follow_symlinks=False):
        return "regular-file"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    if entry.is_symlink():
        return "symbolic-link"
    try:
        return kind_of(entry.stat(follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return "unknown"
