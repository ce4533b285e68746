"""From an open directory along a path: name by name, each judged, no link followed unjudged.

As with native directories, neither `..` nor a link leads out of the directory where it began.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple, Self

from wassette_worker.guards.files import handles
from wassette_worker.guards.files.codes import FileError, code_of
from wassette_worker.guards.files.judge import READ

if TYPE_CHECKING:
    from types import TracebackType

    from wassette_worker.guards.files.judge import State
    from wassette_worker.guards.files.scope import Directory, Path, Scope

MAX_LINKS = 40  # as Linux (path_resolution(7))
MAX_TEXT = 4095  # bytes of a path, as Linux


_FEW = 2  # from more names on, it pays to try them at once
_STILL = (b"", b".")  # names that lead nowhere


class Node(NamedTuple):
    """A directory on the way."""

    handle: int
    path: Path
    state: State


class Place(NamedTuple):
    """Where a path leads: a name in a directory, or (None) that directory itself."""

    parent: Node
    name: bytes | None
    path: Path
    state: State
    only_directory: bool  # the path ended in a slash


class Found(NamedTuple):
    """What stands at a place, pinned by a handle that the walk closes."""

    handle: int
    status: os.stat_result

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.status.st_mode)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)


class Walk:
    """One resolution; its handles are closed when it ends."""

    def __init__(self, scope: Scope, start: Directory) -> None:
        self._scope = scope
        self.mount = start.mount
        self._judge = start.mount.judge
        self._stack = [Node(start.handle, start.path, start.state)]
        self._passed: list[bytes] = []  # names that were passed at once: the stack lacks them
        self._passed_from = 1  # how many it had before
        self._links = MAX_LINKS
        self._opened: list[int] = []
        scope.looked = start.path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number in self._opened:
            os.close(number)

    def keep(self, handle: int) -> None:
        """Leave a handle open beyond the walk."""
        self._opened.remove(handle)

    def to(self, text: str) -> Place:
        """Resolve all names but the last.

        Raises:
            FileError: It leads nowhere, or may not be gone along.
        """
        path = _checked(text)
        names = path.split(b"/")
        if len(names) > _FEW:
            names = self._at_once(names)
        return self._along(names, only_directory=path.endswith(b"/"))

    def _at_once(self, names: list[bytes]) -> list[bytes]:
        """Pass all directories in one step if no link is among them; return what is left to go.

        What is judged is the same; a path of many names costs hardly more than one of a few.
        """
        plain = [name for name in names if name not in _STILL]
        if len(plain) <= _FEW or b".." in plain or _ends_still(names):
            return names
        *names_before, last = plain
        node = self._stack[-1]
        state = node.state
        for name in names_before:
            state = self._judge.step(state, name)
            if not self._judge.enterable(state):
                return names
        try:
            handle = handles.descend(node.handle, b"/".join(names_before))
        except OSError:
            return names  # name by name: to follow a link, or to say what is wrong
        self._opened.append(handle)
        self._passed_from = len(self._stack)
        self._passed = names_before
        self._stack.append(Node(handle, (*node.path, *names_before), state))
        return [last]

    def to_end(self, text: str, *, follow: bool) -> tuple[Place, Found | None]:
        """Resolve the last name too if it is a link and to be followed; None: nothing is there."""
        place = self.to(text)
        while True:
            found = self.look(place)
            if found is None or not found.is_link or not (follow or place.only_directory):
                return place, found
            place = self._follow(place, found)

    def look(self, place: Place) -> Found | None:
        """What stands at a place; None: nothing.

        Raises:
            FileError: It can't be looked at.
        """
        self._scope.looked = place.path
        if place.name is None:
            return Found(place.parent.handle, os.fstat(place.parent.handle))
        try:
            return self._pin(place.parent.handle, place.name)
        except FileError as error:
            if error.code == "no-entry":
                return None
            if error.code == "cross-device":  # a mount is not ours to give
                self._scope.refuse(self.mount, place.path, READ)
            raise

    def _pin(self, directory: int, name: bytes) -> Found:
        try:
            handle = handles.step(directory, name)
        except OSError as error:
            raise FileError(code_of(error)) from error
        self._opened.append(handle)
        return Found(handle, os.fstat(handle))

    def _follow(self, place: Place, link: Found) -> Place:
        text = self._text_of(link)
        only_directory = place.only_directory or text.endswith(b"/")
        return self._along(self._back() + text.split(b"/"), only_directory=only_directory)

    def _back(self) -> list[bytes]:
        """The names that were passed at once, to be gone along again one by one."""
        if not self._passed:
            return []
        del self._stack[self._passed_from :]
        passed, self._passed = self._passed, []
        return passed

    def _text_of(self, link: Found) -> bytes:
        self._links -= 1
        if self._links < 0:
            raise FileError("loop")
        text = handles.link_text(link.handle)
        if text.startswith(b"/"):
            raise FileError("not-permitted")
        return text

    def _along(self, names: list[bytes], *, only_directory: bool) -> Place:
        left = [name for name in reversed(names) if name]
        while left:
            name = left.pop()
            if name == b".":
                continue
            if name == b"..":
                self._up()
            elif not left:
                node = self._stack[-1]
                state = self._judge.step(node.state, name)
                return Place(node, name, (*node.path, name), state, only_directory)
            else:
                text = self._enter(name)
                if text:
                    # A link: of the way behind it, each name need not be held either.
                    left = [each for each in reversed(self._at_once(text + left[::-1])) if each]
        node = self._stack[-1]
        return Place(node, None, node.path, node.state, only_directory=True)

    def _up(self) -> None:
        if len(self._stack) == 1:
            raise FileError("not-permitted")
        self._stack.pop()

    def _enter(self, name: bytes) -> list[bytes]:
        """Go down into a directory; the names of its text instead if it is a link."""
        node = self._stack[-1]
        path, state = (*node.path, name), self._judge.step(node.state, name)
        place = Place(node, name, path, state, only_directory=True)
        found = self.look(place)
        if found is not None and found.is_link:
            # A link's own path need not be allowed: where it ends is judged.
            return self._text_of(found).split(b"/")
        if not self._judge.enterable(state):
            self._scope.refuse(self.mount, path, READ)
        if found is None:
            raise FileError("no-entry")
        if not found.is_directory:
            raise FileError("not-directory")
        self._stack.append(Node(found.handle, path, state))
        return []


def _ends_still(names: list[bytes]) -> bool:
    """Whether what the last name is of must be a directory: nothing but `.` comes after it."""
    return next(name for name in reversed(names) if name) == b"."


def _checked(text: str) -> bytes:
    path = text.encode()
    if b"\0" in path:
        raise FileError("invalid")
    if not path:
        raise FileError("no-entry")
    if len(path) > MAX_TEXT:
        raise FileError("name-too-long")
    if path.startswith(b"/"):
        raise FileError("not-permitted")
    return path
