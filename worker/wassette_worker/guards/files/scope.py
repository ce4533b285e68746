"""What a guest holds of the file system during its one call, and what it was refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Protocol

from wassette_protocol.frames import MAX_PATH_BYTES, MAX_REFUSED, RefusedFile
from wassette_worker.guards.files.codes import FileError
from wassette_worker.guards.files.judge import WRITE, Judge, state_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from wassette_worker.guards.files.judge import State

Path = tuple[bytes, ...]  # below the directory that was granted


class Native(Protocol):
    """What the engine does with files: it opens them, and makes streams of what is open."""

    def ready(self, directory: int) -> None:
        """Let it open now whatever it needs for itself: then an open makes one descriptor."""
        ...

    def open(
        self, directory: int, path: bytes, *, read: bool, write: bool, directory_only: bool
    ) -> int:
        """A handle of the engine's on what is at a path that leads through no link.

        Raises:
            FileError: It can't be opened.
        """
        ...

    def drop(self, handle: int) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Mount:
    """A directory that was granted."""

    number: int  # in the grant
    handle: int  # a descriptor that opens nothing
    native: int  # the engine's
    judge: Judge


@dataclass(slots=True, eq=False)
class Directory:
    """An open directory of the guest's."""

    mount: Mount
    handle: int
    path: Path
    state: State


@dataclass(slots=True, eq=False)
class File:
    """An open file of the guest's; `number` is the descriptor that the engine holds of it."""

    mount: Mount
    native: int
    number: int
    path: Path
    state: State
    access: int


@dataclass(slots=True, eq=False)
class Listing:
    """A directory that is being read."""

    directory: Directory
    handle: int  # open for reading
    entries: Iterator[os.DirEntry[str]]


class Entry(NamedTuple):
    kind: str  # of wasi:filesystem/types.descriptor-type
    name: str


@dataclass(slots=True, eq=False)
class Scope:
    """The one call of this process."""

    native: Native
    left: int | None  # what may still be created; None: any number
    refused: list[RefusedFile]
    open: dict[int, Directory | File | Listing]  # by the number that the guest's handle stands for
    looked: Path = ()  # what a walk looked at last

    def refuse(self, mount: Mount, path: Path, access: int) -> NoReturn:
        """Tell the guest that it may not, and the supervisor what it wanted.

        Raises:
            FileError: Always.
        """
        asked = RefusedFile(
            mount.number, b"/".join(path)[:MAX_PATH_BYTES], write=bool(access & WRITE)
        )
        if len(self.refused) < MAX_REFUSED and asked not in self.refused:
            self.refused.append(asked)
        raise FileError("access")

    def need(self, mount: Mount, path: Path, state: State, access: int) -> None:
        """Refuse what the rules don't give."""
        if mount.judge.rights(state) & access != access:
            self.refuse(mount, path, access)

    def check_room(self) -> None:
        """Refuse to create anything beyond the limit."""
        if self.left == 0:
            raise FileError("quota")

    def created(self) -> None:
        if self.left is not None:
            self.left -= 1

    def moved(self, mount: Mount, old: Path, new: Path) -> None:
        """What is open below a path that was renamed is from now on known by the new one."""
        for each in self.open.values():
            if isinstance(each, Listing) or each.mount is not mount:
                continue
            if each.path[: len(old)] == old:
                each.path = new + each.path[len(old) :]
                each.state = state_of(mount.judge, each.path)
