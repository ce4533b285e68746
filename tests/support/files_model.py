"""What a guest can do with files, as a pure function on canonical paths: to compare a guard with.

A tree is a mapping of paths to nodes; what the rules say is read slowly from their words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

from wassette_worker.guards.files.codes import FileError
from wassette_worker.guards.files.judge import Access

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wassette_protocol.file_rules import FileRules
    from wassette_protocol.patterns import Pattern

Path = tuple[bytes, ...]
BOTH = Access.READ | Access.WRITE
DIRECTORY = None  # its node
MAX_LINKS = 40


@dataclass
class FileNode:
    content: bytes = b""


@dataclass(frozen=True)
class LinkNode:
    text: bytes


Node = FileNode | LinkNode | None


# --- rules by their words -------------------------------------------------------------------


@cache
def fits(pattern: Pattern, path: Path) -> bool:
    """Try every way."""
    if pattern.below and any(_fits(pattern, 0, path[:length]) for length in range(len(path))):
        return True
    return _fits(pattern, 0, path)


def _fits(pattern: Pattern, place: int, path: Path) -> bool:
    if place == len(pattern.segments):
        return not path
    expected = pattern.segments[place]
    if place < pattern.literal:
        return path[:1] == (expected,) and _fits(pattern, place + 1, path[1:])
    if expected == b"**":
        return any(_fits(pattern, place + 1, path[skip:]) for skip in range(len(path) + 1))
    glob = b"[^/]*".join(map(re.escape, expected.split(b"*")))
    return (
        bool(path)
        and re.fullmatch(glob, path[0], re.DOTALL) is not None
        and _fits(pattern, place + 1, path[1:])
    )


def rights(rules: FileRules, path: Path) -> Access:
    found = BOTH
    for layer in rules.layers:
        found &= _united(layer.allow, path) & ~_united(layer.deny, path)
    for shield in rules.shielded:
        if fits(shield.pattern, path) and not any(fits(named, path) for named in shield.named):
            found &= ~Access.WRITE
    return found


def reach(rules: FileRules, path: Path) -> Access:
    """What something strictly below may have, by each layer."""
    found = BOTH
    for layer in rules.layers:
        below = Access.NONE
        for clause in layer.allow:
            if _fits_below(clause.pattern, path):
                below |= _says(clause.read, clause.write)
        found &= below & ~_united(layer.deny, path)
    return found


@cache
def _fits_below(pattern: Pattern, path: Path) -> bool:
    """Whether any path below fits: names that the pattern has itself are enough to try."""
    names = {each.replace(b"*", b"") or b"-" for each in pattern.segments} | {b"-"}
    lengths = range(1, len(pattern.segments) + 2)
    return any(
        fits(pattern, path + rest) for length in lengths for rest in product(names, repeat=length)
    )


def _united(clauses: Iterable[object], path: Path) -> Access:
    found = Access.NONE
    for clause in clauses:
        if fits(clause.pattern, path):  # type: ignore[attr-defined]  # of both kinds
            found |= _says(clause.read, clause.write)  # type: ignore[attr-defined]  # as above
    return found


def _says(read: bool, write: bool) -> Access:  # noqa: FBT001 - as a clause has them
    return (Access.READ if read else Access.NONE) | (Access.WRITE if write else Access.NONE)


# --- what is done ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """How a path is to be opened."""

    follow: bool = False
    create: bool = False
    directory: bool = False
    exclusive: bool = False
    truncate: bool = False
    read: bool = False
    write: bool = False

    @property
    def access(self) -> Access:
        access = Access.WRITE if self.write or self.create or self.truncate else Access.NONE
        return access | Access.READ if self.read or not self.write else access


@dataclass
class Model:
    rules: FileRules
    tree: dict[Path, Node] = field(default_factory=lambda: {(): DIRECTORY})
    denied: int = 0  # operations that the rules refused
    linked: int = 0  # operations that went through a link

    def open(self, text: str, **given: bool) -> object:
        wish = Wish(**given)
        if wish.directory and (wish.create or wish.exclusive or wish.truncate):
            raise FileError("invalid")
        path, _, slash = self._end(text, follow=wish.follow and not wish.exclusive)
        if self._is(path, DIRECTORY):
            return self._open_directory(path, wish)
        self._need(path, wish.access)
        node = self.tree.get(path)
        if node is None:
            node = self._create(path, wish, slash=slash)
        elif wish.create and wish.exclusive:
            raise FileError("exist")
        if isinstance(node, LinkNode):
            raise FileError("loop")
        if wish.directory or slash:
            raise FileError("not-directory")
        if wish.truncate:
            node.content = b""
        return node.content if wish.access & Access.READ else "write only"

    def _open_directory(self, path: Path, wish: Wish) -> object:
        if not self._enterable(path):
            self._deny()
        if wish.create and wish.exclusive:
            raise FileError("exist")
        if wish.access & Access.WRITE:
            raise FileError("is-directory")
        return "directory"

    def _create(self, path: Path, wish: Wish, *, slash: bool) -> FileNode:
        if not wish.create:
            raise FileError("no-entry")
        if slash:
            raise FileError("is-directory")
        node = self.tree[path] = FileNode()
        return node

    def stat(self, text: str, *, follow: bool) -> object:
        path, _, slash = self._end(text, follow=follow)
        is_directory = self._is(path, DIRECTORY)
        known = self._enterable(path) if is_directory else bool(rights(self.rules, path))
        if not known:
            self._deny()
        if path not in self.tree:
            raise FileError("no-entry")
        if slash and not is_directory:
            raise FileError("not-directory")
        return _kind(self.tree[path])

    def readlink(self, text: str) -> object:
        path, _, _ = self._end(text, follow=False)
        self._need(path, Access.READ)
        if path not in self.tree:
            raise FileError("no-entry")
        node = self.tree[path]
        if not isinstance(node, LinkNode):
            raise FileError("invalid")
        if node.text.startswith(b"/"):
            raise FileError("not-permitted")
        return node.text.decode()

    def names(self, text: str) -> object:
        if self.open(text, follow=True, read=True) != "directory":
            raise FileError("not-directory")
        path, _, _ = self._end(text, follow=True)
        if not (rights(self.rules, path) | reach(self.rules, path)) & Access.READ:
            self._deny()
        below = [each for each in self.tree if each and each[:-1] == path]
        return sorted(
            (each[-1].decode(), _kind(self.tree[each]))
            for each in below
            if rights(self.rules, each) & Access.READ
        )

    def make_directory(self, text: str) -> None:
        path, named, _ = self._entry(text)
        if not named or path in self.tree:
            raise FileError("exist")
        self.tree[path] = DIRECTORY

    def remove_directory(self, text: str) -> None:
        path, named, _ = self._entry(text)
        if not named:
            raise FileError("invalid")
        if path not in self.tree:
            raise FileError("no-entry")
        if not self._is(path, DIRECTORY):
            raise FileError("not-directory")
        if self._below(path):
            raise FileError("not-empty")
        del self.tree[path]

    def unlink(self, text: str) -> None:
        path, named, slash = self._entry(text)
        if not named:
            raise FileError("is-directory")
        if path not in self.tree:
            raise FileError("no-entry")
        if self._is(path, DIRECTORY):
            raise FileError("is-directory")
        if slash:
            raise FileError("not-directory")
        del self.tree[path]

    def symlink(self, target: str, text: str) -> None:
        path, named, slash = self._entry(text)
        if not named:
            raise FileError("exist")
        if slash:
            raise FileError("no-entry")
        _check_target(target, path)
        if path in self.tree:
            raise FileError("exist")
        self.tree[path] = LinkNode(target.encode())

    def rename(self, text: str, to: str) -> None:
        old, old_named, old_slash = self._entry(text)
        new, new_named, new_slash = self._entry(to)
        if not (old_named and new_named):
            raise FileError("busy")
        if rights(self.rules, new) & ~rights(self.rules, old):
            self._deny()
        if old not in self.tree:
            raise FileError("no-entry")
        node = self.tree[old]
        if isinstance(node, LinkNode):
            _check_target(node.text.decode(), new)
        if node is DIRECTORY:
            if not self._judged_alike(old, new) or len(new) < len(old):
                raise FileError("cross-device")
        elif old_slash or new_slash:
            raise FileError("not-directory")
        self._move(old, new)

    def _move(self, old: Path, new: Path) -> None:
        if old == new:
            return
        if new[: len(old)] == old:
            raise FileError("invalid")
        if old[: len(new)] == new:
            raise FileError("not-empty")
        self._check_target(old, new)
        moved = {each: node for each, node in self.tree.items() if each[: len(old)] == old}
        for each in moved:
            del self.tree[each]
        for each, node in moved.items():
            self.tree[new + each[len(old) :]] = node

    def _check_target(self, old: Path, new: Path) -> None:
        if new not in self.tree:
            return
        if self._is(old, DIRECTORY) and not self._is(new, DIRECTORY):
            raise FileError("not-directory")
        if self._is(new, DIRECTORY) and not self._is(old, DIRECTORY):
            raise FileError("is-directory")
        if self._below(new):
            raise FileError("not-empty")

    def _judged_alike(self, old: Path, new: Path) -> bool:
        """Whether the rules can't tell what is below the one from what is below the other."""
        left = [(pattern.after(old), pattern.after(new)) for pattern in self.rules.patterns]
        return all(one == other for one, other in left)

    # --- where a path leads

    def _entry(self, text: str) -> tuple[Path, bool, bool]:
        path, named, slash = self._walk(_names(text), (), [MAX_LINKS], slash=text.endswith("/"))
        self._need(path, Access.WRITE)
        return path, named, slash

    def _end(self, text: str, *, follow: bool) -> tuple[Path, bool, bool]:
        left = [MAX_LINKS]
        path, named, slash = self._walk(_names(text), (), left, slash=text.endswith("/"))
        while named and isinstance(node := self.tree.get(path), LinkNode) and (follow or slash):
            slash = slash or node.text.endswith(b"/")
            names = self._link(node, left)
            path, named, slash = self._walk(names, path[:-1], left, slash=slash)
        return path, named, slash

    def _walk(
        self, names: list[bytes], start: Path, left: list[int], *, slash: bool
    ) -> tuple[Path, bool, bool]:
        at, todo = start, [name for name in names if name]
        while todo:
            name, *todo = todo
            if name == b".":
                continue
            if name == b"..":
                if not at:
                    raise FileError("not-permitted")
                at = at[:-1]
            elif not todo:
                return (*at, name), True, slash
            else:
                at, todo = self._enter((*at, name), todo, left)
        return at, False, True

    def _enter(self, path: Path, todo: list[bytes], left: list[int]) -> tuple[Path, list[bytes]]:
        node = self.tree.get(path)
        if isinstance(node, LinkNode):
            return path[:-1], [*filter(None, self._link(node, left)), *todo]
        if not self._enterable(path):
            self._deny()
        if path not in self.tree:
            raise FileError("no-entry")
        if node is not DIRECTORY:
            raise FileError("not-directory")
        return path, todo

    def _link(self, node: LinkNode, left: list[int]) -> list[bytes]:
        self.linked += 1
        left[0] -= 1
        if left[0] < 0:
            raise FileError("loop")
        if node.text.startswith(b"/"):
            raise FileError("not-permitted")
        return node.text.split(b"/")

    # --- what is there

    def _is(self, path: Path, node: None) -> bool:
        return path in self.tree and self.tree[path] is node

    def _below(self, path: Path) -> bool:
        return any(len(each) > len(path) and each[: len(path)] == path for each in self.tree)

    def _enterable(self, path: Path) -> bool:
        return bool(rights(self.rules, path) or reach(self.rules, path))

    def _need(self, path: Path, access: Access) -> None:
        if rights(self.rules, path) & access != access:
            self._deny()

    def _deny(self) -> None:
        self.denied += 1
        raise FileError("access")


def _kind(node: Node) -> str:
    if node is DIRECTORY:
        return "directory"
    return "symbolic-link" if isinstance(node, LinkNode) else "regular-file"


def _check_target(target: str, path: Path) -> None:
    names = [name for name in target.split("/") if name not in {"", "."}]
    ups = _ups(names)
    if not target:
        raise FileError("no-entry")
    if target.startswith("/") or ups > len(path) - 1 or ".." in names[ups:]:
        raise FileError("not-permitted")


def _ups(names: list[str]) -> int:
    return next((at for at, name in enumerate(names) if name != ".."), len(names))


def _names(text: str) -> list[bytes]:
    if not text:
        raise FileError("no-entry")
    if text.startswith("/"):
        raise FileError("not-permitted")
    return text.encode().split(b"/")
