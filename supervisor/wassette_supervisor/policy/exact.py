"""What a call is given where each path that its guest names is judged; pure.

A guest's whole folders are opened natively and kept by the kernel: plain mode. What the kernel
can't keep, as a deny within a folder, makes it exact mode: the folders come with their rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from wassette_protocol.file_rules import Clause, FileRules, Layer, Shielded
from wassette_protocol.patterns import Pattern
from wassette_supervisor.policy.directories import (
    guest_path,
    host_path,
    outermost,
    reach_at,
    text,
    upwards,
)
from wassette_supervisor.policy.shielded import keeps, shielded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from wassette_protocol.capabilities import Reach
    from wassette_supervisor.policy import effective as rights
    from wassette_supervisor.policy.directories import Anchor
    from wassette_supervisor.policy.document import Access
    from wassette_supervisor.policy.effective import Effective, Path, StorageClause

Kind = Literal["directory", "file"]

_ITSELF = Pattern((), below=False)


class ExactDirectory(NamedTuple):
    """`places`: paths of the host that the kernel opens to a worker for it, each that far."""

    guest_path: str
    host_path: str
    writable: bool
    rules: FileRules
    places: tuple[tuple[str, Reach], ...]


# --- which mode -----------------------------------------------------------------------------


def why_exact(
    effective: Effective,
    found: Sequence[Anchor],
    kinds: Mapping[Path, Kind],
    *,
    plain_writes: bool,
    audit_files: bool = False,
) -> str | None:
    """Why each path has to be judged, in a clause of a sentence; None: the kernel alone can do it.

    Args:
        effective: The layers.
        found: Their anchors.
        kinds: What these are on the disk.
        plain_writes: What is never written to under a grant of more may be given up.
        audit_files: Each open is recorded.
    """
    if audit_files:
        return "--audit-files"
    return (
        _by_words(effective)
        or _by_kind(kinds)
        or _by_reach(found)
        or (None if plain_writes else _by_writing(found))
    )


def _by_words(effective: Effective) -> str | None:
    for layer in effective.layers:
        for rule in (*layer.storage_deny, *layer.storage_allow):
            number = f"rule {rule.rule.number} of {layer.name}"
            if rule.rule.kind == "deny":
                return f"{number} denies something"
            if rule.has_glob:
                return f"{number} is a pattern"
        if layer.resources.storage_file or layer.resources.storage_files:
            return f"{layer.name} limits what is stored"
    return None


def _by_kind(kinds: Mapping[Path, Kind]) -> str | None:
    file = next((path for path, kind in kinds.items() if kind == "file"), None)
    return None if file is None else f"{text(file)} is a single file"


def _by_reach(found: Sequence[Anchor]) -> str | None:
    reaches = {anchor.path: anchor.reach for anchor in found}
    for anchor in found:
        if not anchor.reach.read:
            return f"{text(anchor.path)} is written to without being read"
        for above in upwards(anchor.path):
            if reaches.get(above, anchor.reach) != anchor.reach:
                return f"{text(anchor.path)} lies in {text(above)} and has another access"
    return None


def _by_writing(found: Sequence[Anchor]) -> str | None:
    first = next((anchor for anchor in found if anchor.reach.write), None)
    return None if first is None else f"{text(first.path)} may be written to"


# --- what is given --------------------------------------------------------------------------


class _Rule(NamedTuple):
    clause: StorageClause
    is_file: bool  # nothing lies below what it names

    @property
    def whole(self) -> Pattern:
        whole = self.clause.whole
        return Pattern(whole.segments, whole.below and not self.is_file, whole.literal)

    def below(self, folder: Path) -> Clause | None:
        """What it says of a folder; None if nothing."""
        if not self.clause.touches(folder):
            return None
        left, access = _left(self.whole, folder), self.clause.access
        return None if left is None else Clause(left, "read" in access, "write" in access)


class _Rules(NamedTuple):
    """Those of a layer, as things are now."""

    allow: list[_Rule]
    deny: list[_Rule]

    def below(self, folder: Path) -> Layer:
        return Layer(tuple(_below(self.allow, folder)), tuple(_below(self.deny, folder)))


def exact_directories(
    effective: Effective, named: Sequence[Anchor], kinds: Mapping[Path, Kind]
) -> list[ExactDirectory]:
    """The outermost folders with something allowed in them, and their rules.

    Args:
        effective: The layers.
        named: Their anchors.
        kinds: What these are now; a rule that names one that isn't there grants nothing.
    """
    there = [anchor for anchor in named if is_there(anchor, kinds)]
    missing = {anchor.path for anchor in named} - {anchor.path for anchor in there}
    layers = [_now(layer, kinds, missing) for layer in effective.layers]
    writing = (rule.whole for rule in layers[0].allow if "write" in rule.clause.access)
    shields = shielded(writing)
    found = []
    for root, head in outermost((root, _folder(a, kinds)) for a in there for root in a.roots):
        places = dict(_places(head, reach_at(effective, head), there))
        writable = any(reach.write for reach in places.values())
        kept = tuple(_shields_below(shields, head)) if writable else ()
        rules = FileRules(tuple(layer.below(head) for layer in layers), kept)
        paths = tuple((host_path(path), reach) for path, reach in places.items())
        names = guest_path(head, root), host_path(head)
        found.append(ExactDirectory(*names, writable, rules, paths))
    return found


def everything(*, write: bool) -> FileRules:
    """Rules that allow all, for a folder that is judged for the others' sake."""
    return FileRules((Layer((Clause(Pattern((), below=True), read=True, write=write),)),))


def allows(rules: FileRules, path: Path, access: Access) -> bool:
    """Whether rules allow something of a path below their folder."""

    def matches(clauses: Iterable[Clause]) -> bool:
        return any(getattr(each, access) and each.pattern.matches(path) for each in clauses)

    if not all(matches(layer.allow) and not matches(layer.deny) for layer in rules.layers):
        return False
    return access == "read" or not any(keeps(shield, path) for shield in rules.shielded)


def is_there(anchor: Anchor, kinds: Mapping[Path, Kind]) -> bool:
    """Whether the rules that begin there can grant anything now: below a file there is nothing."""
    kind = kinds.get(anchor.path)
    return kind == "directory" or (kind == "file" and anchor.is_literal)


def _folder(anchor: Anchor, kinds: Mapping[Path, Kind]) -> Path:
    return anchor.path[:-1] if kinds[anchor.path] == "file" else anchor.path


def _now(layer: rights.Layer, kinds: Mapping[Path, Kind], missing: set[Path]) -> _Rules:
    allow = [
        _Rule(clause, is_file=not clause.has_glob and kinds.get(clause.anchor) == "file")
        for clause in layer.storage_allow
        if clause.has_glob or clause.anchor not in missing
    ]
    return _Rules(allow, [_Rule(clause, is_file=False) for clause in layer.storage_deny])


def _left(pattern: Pattern, folder: Path) -> Pattern | None:
    """What is left of a pattern in a folder: of what lies below it, or the folder itself."""
    return pattern.after(folder) or (_ITSELF if pattern.matches(folder) else None)


def _below(rules: Iterable[_Rule], folder: Path) -> Iterator[Clause]:
    found = (rule.below(folder) for rule in rules)
    yield from dict.fromkeys(clause for clause in found if clause is not None)


def _shields_below(shields: Iterable[Shielded], folder: Path) -> Iterator[Shielded]:
    for shield in shields:
        pattern = _left(shield.pattern, folder)
        named = (_left(each, folder) for each in shield.named)
        if pattern is not None:
            yield Shielded(pattern, tuple(each for each in named if each is not None))


def _places(head: Path, reach: Reach, there: Sequence[Anchor]) -> Iterator[tuple[Path, Reach]]:
    """What the kernel has to open of a folder; it opens all below a place as far as that."""
    yield head, reach
    given = {head: reach}
    for anchor in there:
        if anchor.path == head or anchor.path[: len(head)] != head:
            continue
        above = [given[path] for path in upwards(anchor.path[:-1]) if path in given]
        if not any(_is_within(anchor.reach, each) for each in above):
            given[anchor.path] = anchor.reach
            yield anchor.path, anchor.reach


def _is_within(reach: Reach, other: Reach) -> bool:
    return reach.read <= other.read and reach.write <= other.write
