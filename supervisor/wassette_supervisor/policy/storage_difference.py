"""How two sets of storage rules differ in what they grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wassette_protocol.patterns import Pattern
from wassette_supervisor.policy import storage_uri, witnesses
from wassette_supervisor.policy.numbering import shown
from wassette_supervisor.policy.right_changes import Change, Rules, changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wassette_supervisor.policy.document import Access, Storage

# Begins the paths of each root, so that paths of several can be walked together.
_ROOTS = {"absolute": b"\x02", "workspace": b"\x03", "state": b"\x04"}
_ACCESSES: tuple[Access, ...] = ("read", "write")


class _Key(NamedTuple):
    owner: str  # "rules" are compared, "before" and "after" say what is of interest
    deny: bool
    uri: str  # in its one form


def storage_changes(
    old: Storage, new: Storage, within: tuple[Storage, Storage] | None
) -> Iterator[tuple[bool, str]]:
    """What was gained (True) and lost (False), by the rules that did it.

    Args:
        old: The rules before.
        new: The rules after.
        within: Only what both of these allow is of interest; None: all is.
    """
    found: dict[tuple[str, bool, bool], list[Access]] = {}
    for access in _ACCESSES:
        for change in _changes(old, new, within, access):
            key = (change.key.uri, change.gained, change.deny)
            found.setdefault(key, []).append(access)
    for (uri, gained, deny), accesses in sorted(found.items()):
        reason = (", no longer denied" if gained else ", now denied") if deny else ""
        yield gained, f"{', '.join(accesses)} {shown(uri)}{reason}"


def _changes(
    old: Storage, new: Storage, within: tuple[Storage, Storage] | None, access: Access
) -> list[Change[_Key]]:
    patterns: dict[_Key, Pattern] = {}
    before, after = (_rules(storage, "rules", access, patterns) for storage in (old, new))
    if before == after:
        return []
    limits = [
        _rules(storage, owner, access, patterns)
        for owner, storage in zip(("before", "after"), within or (), strict=False)
    ]
    try:
        ways = witnesses.ways(patterns)
    except witnesses.TooManyError:
        return changes(before, after, None)
    return changes(before, after, [w for w in ways if all(rules.permit(w) for rules in limits)])


def _rules(
    storage: Storage, owner: str, access: Access, patterns: dict[_Key, Pattern]
) -> Rules[_Key]:
    """The rules of one access by their keys; adds their patterns."""
    keys: dict[bool, set[_Key]] = {False: set(), True: set()}
    for deny, rules in ((False, storage.allow), (True, storage.deny)):
        for rule in rules:
            if access not in rule.access:
                continue
            uri = storage_uri.parse(rule.uri, deny=deny)
            key = _Key(owner, deny, uri.text)
            keys[deny].add(key)
            below = uri.pattern
            patterns[key] = Pattern((_ROOTS[uri.root], *below.segments), below.below)
    return Rules(frozenset(keys[False]), frozenset(keys[True]))
