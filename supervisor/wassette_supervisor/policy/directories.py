"""The folders and files that all layers of a call may allow something of; pure, of words alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wassette_protocol.capabilities import Reach
from wassette_supervisor.policy.numbering import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wassette_supervisor.policy.document import Access
    from wassette_supervisor.policy.effective import Effective, Layer, Path, StorageClause


ABSOLUTE = -1  # the root of what the guest names by its absolute path


class Anchor(NamedTuple):
    """A place at or below which something is allowed: a rule's path up to its first `*`."""

    path: Path
    reach: Reach  # the most that all layers together may allow at or below it
    # How the guest names it: below the workspace, whose path has that many segments, or ABSOLUTE.
    roots: tuple[int, ...]
    is_literal: bool  # a rule names just this; else it is only where a pattern begins

    @property
    def host_path(self) -> str:
        return host_path(self.path)


class GrantedDirectory(NamedTuple):
    guest_path: str
    host_path: str
    writable: bool


def anchors(effective: Effective) -> list[Anchor]:
    """All places with something allowed; each path that is allowed is at or below one of them.

    Sorted, so that those above come before those below.
    """
    named: dict[Path, bool] = {}
    for layer in effective.layers:
        for clause in layer.storage_allow:
            anchor = clause.anchor
            named[anchor] = named.get(anchor, False) or not clause.has_glob
    found = []
    for path, is_literal in sorted(named.items()):
        reach = reach_at(effective, path)
        if reach != Reach(read=False, write=False):
            found.append(Anchor(path, reach, tuple(_roots(effective, path)), is_literal))
    return found


def reach_at(effective: Effective, path: Path) -> Reach:
    """The most that could be allowed at a path or below it."""
    return Reach(read=_may(effective, path, "read"), write=_may(effective, path, "write"))


def directories(effective: Effective, found: Iterable[Anchor]) -> list[GrantedDirectory]:
    """The outermost folders, each to be given whole with one access: as `exact.why` allows it."""
    return [
        GrantedDirectory(guest_path(path, root), host_path(path), reach_at(effective, path).write)
        for root, path in outermost((root, each.path) for each in found for root in each.roots)
    ]


def outermost(places: Iterable[tuple[int, Path]]) -> list[tuple[int, Path]]:
    """Those that lie in no other one that the guest names in the same way."""
    kept: dict[tuple[int, Path], None] = {}
    for root, path in sorted(places, key=lambda place: (len(place[1]), place[1], place[0])):
        if not any((root, above) in kept for above in upwards(path)):
            kept[root, path] = None
    return list(kept)


def upwards(path: Path) -> Iterator[Path]:
    """The path itself and those above it, the nearest first."""
    for length in range(len(path), -1, -1):
        yield path[:length]


def host_path(path: Path) -> str:
    return "/" + _decoded(path)


def guest_path(path: Path, root: int) -> str:
    """What the guest calls it; the workspace itself is its current directory."""
    return host_path(path) if root == ABSOLUTE else _decoded(path[root:]) or "."


def text(path: Path) -> str:
    return shown(host_path(path))


def _decoded(path: Path) -> str:
    return b"/".join(path).decode("utf-8", "surrogateescape")


def _may(effective: Effective, path: Path, access: Access) -> bool:
    return all(_may_in(layer, path, access) for layer in effective.layers)


def _may_in(layer: Layer, path: Path, access: Access) -> bool:
    # A deny reaches below what it names, so one that matches leaves nothing.
    if any(access in clause.access and clause.matches(path) for clause in layer.storage_deny):
        return False
    return any(access in clause.access and _around(clause, path) for clause in layer.storage_allow)


def _around(clause: StorageClause, path: Path) -> bool:
    """Whether the clause begins at or above a path, and may mean something there."""
    anchor = clause.anchor
    return path[: len(anchor)] == anchor and clause.touches(path)


def _roots(effective: Effective, path: Path) -> Iterator[int]:
    clauses = [clause for clause in effective.policy.storage_allow if _around(clause, path)]
    found = {len(clause.root) if clause.below_workspace else ABSOLUTE for clause in clauses}
    yield from sorted(found)
