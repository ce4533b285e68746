"""The folder that each component may keep files of its own in, from call to call.

What is in it is the guest's: nothing here reads it, or trusts a name or a link in it.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.errors import StoreError, one_line
from wassette_supervisor.store import files, trees
from wassette_supervisor.store.lock import WriterLock
from wassette_supervisor.store.record import COMPONENT_ID
from wassette_supervisor.store.trouble import explained, shown

if TYPE_CHECKING:
    from pathlib import Path

    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.store.trees import Measured

# How names begin that no component's id can have.
_LOCK = ".lock"
_NEW = ".new-"
_GONE = ".gone-"
LOCK_WAIT_S = 30.0
DELETE_S = 120.0
SHOWN_S = 2.0
_ALL = 1 << 62
_ADVICE = "give this user write access to it, or choose another folder with --state-dir"


class Folder(NamedTuple):
    """A component's folder as it is now."""

    path: str  # canonical
    device: int
    inode: int
    owner: int


class States:
    """The folders of one store's components; safe to use from several threads and processes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, component: ComponentId) -> str:
        """Where a component's folder is or would be: a canonical path.

        Raises:
            StoreError: It is no id of a component.
        """
        if not COMPONENT_ID.fullmatch(component):
            raise StoreError(f"{one_line(component)!r} is no component id; nothing was changed")
        return self._path(component)

    def find(self, component: ComponentId) -> Folder | None:
        """A component's folder, if it has one.

        Raises:
            StoreError: What stands there is none of ours.
        """
        path = self.path(component)
        with explained("look at", self.root, _ADVICE):
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                return None
        if not stat.S_ISDIR(status.st_mode) or os.geteuid() not in (0, status.st_uid):
            raise StoreError(
                f"in place of the folder {one_line(path)} of {component!r} stands something else; "
                "put it away"
            )
        return Folder(path, status.st_dev, status.st_ino, status.st_uid)

    def make(self, component: ComponentId, owner: int | None, owners: range | None) -> Folder:
        """A component's folder, made if there is none: for its owner alone.

        Args:
            component: Whose.
            owner: The user that a new one is given to; None: one of `owners`.
            owners: Users that each have one folder at most; None: this process' own user.

        Raises:
            StoreError: It can't be made.
        """
        with explained("make", self.root, _ADVICE):
            files.make_folder(self.root)
        self._require_private()
        with self._lock().held(f"make a folder for {component}"):
            found = self.find(component)
            if found is None:
                with explained("make a folder in", self.root, _ADVICE):
                    self._make(component, owner, owners)
                found = self.find(component)
        if found is None:
            raise StoreError(f"the folder of {component!r} is gone again; try again")
        return found

    def _make(self, component: ComponentId, owner: int | None, owners: range | None) -> None:
        for entry in files.entries(self.root):
            if entry.name.startswith(_NEW):  # of a maker that was killed: we have the lock
                entry.rmdir()
        new = self._path(_NEW + secrets.token_hex(8))
        os.mkdir(new, 0o700)  # noqa: PTH102 - a string
        if os.geteuid() == 0:
            user = self._unused(owners) if owner is None else owner
            os.chown(new, user, -1)
        os.rename(new, self._path(component))  # noqa: PTH104 - a string
        files.sync_folder(self.root)

    def _unused(self, owners: range | None) -> int:
        if owners is None:
            return os.geteuid()
        used = {entry.lstat().st_uid for entry in files.entries(self.root)}
        while (user := secrets.choice(owners)) in used:
            if used.issuperset(owners):
                raise OSError(errno.EUSERS, "no user is left for another folder")
        return user

    def size(self, component: ComponentId, *, most: int, seconds: float) -> Measured | None:
        """What a component keeps, as far as it was counted; None if it has no folder.

        Raises:
            StoreError: What stands there is none of ours.
            UnmeasurableError: It can't be counted.
        """
        if self.find(component) is None:
            return None
        try:
            return trees.measure(self.path(component), most=most, seconds=seconds)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise trees.UnmeasurableError(f"the folder can't be read: {error.strerror}") from error

    def counted(self, component: ComponentId) -> Measured | None:
        """As `size`, for people: as far as it can be counted within a short time."""
        try:
            return self.size(component, most=_ALL, seconds=SHOWN_S)
        except trees.UnmeasurableError as error:
            return error.measured

    def is_left_over(self, component: ComponentId) -> bool:
        """Whether there are files, where there is no such component; an empty folder goes."""
        if not os.path.lexists(self.path(component)):
            return False
        with explained("look at", self.root, _ADVICE):
            try:
                os.rmdir(self.path(component))  # noqa: PTH106 - a string
            except FileNotFoundError:
                pass
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    return True
                raise
        return False

    def set_aside(self, component: ComponentId) -> bool:
        """Take a folder out of its place, whatever it is; whether there was one.

        Who works in it goes on, and nobody finds it again: `sweep` deletes it.

        Raises:
            StoreError: It can't be moved.
        """
        path = self.path(component)
        if not os.path.lexists(path):
            return False
        self._require_private()
        with (
            self._lock().held(f"delete the files of {component}"),
            explained("delete the files of a component in", self.root, _ADVICE),
        ):
            try:
                os.rename(path, self._path(_GONE + secrets.token_hex(8)))  # noqa: PTH104 - a string
            except FileNotFoundError:
                return False
            files.sync_folder(self.root)
        return True

    def sweep(self) -> bool:
        """Delete what was set aside, also by a process that was killed; whether all is gone."""
        gone = True
        with suppress(OSError):
            for entry in files.entries(self.root):
                if entry.name.startswith(_GONE):
                    gone = self._delete(entry) and gone
        return gone

    def _delete(self, entry: Path) -> bool:
        if entry.is_dir() and not entry.is_symlink():
            return trees.delete(str(entry), seconds=DELETE_S)
        entry.unlink(missing_ok=True)
        return True

    def _path(self, name: str) -> str:
        return os.path.join(os.path.realpath(self.root), name)  # noqa: PTH118 - a string

    def _lock(self) -> WriterLock:
        return WriterLock(self.root, LOCK_WAIT_S, _LOCK)

    def _require_private(self) -> None:
        # Whoever can write here can put one component's files in the place of another's.
        with explained("look at", self.root, _ADVICE):
            found = self.root.stat()
        if found.st_mode & 0o022 or found.st_uid not in (os.geteuid(), 0):
            raise StoreError(
                f"others than this user may write to {shown(self.root)}, where components keep "
                "files; run `chmod go-w` on it as its owner, or choose another with --state-dir"
            )
