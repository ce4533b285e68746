"""Which user ids workers may become when the supervisor is root: ones that nobody else has."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

# Beyond what systemd gives to users, services and containers (systemd.io, UIDS-GIDS).
_PREFERRED = range(0x7000_0000, 0x7001_0000)
# Where fewer are mapped: near the end of the range, below nobody and its neighbours.
_FEW = 1000
_FROM_END = 1600


def spare_ids() -> range | None:
    """Ids for workers; None if this process can't become anybody else.

    Root of a user namespace (a container without privileges, `unshare -r`) has those ids that
    its maps give it, perhaps its own alone (user_namespaces(7)).
    """
    if os.geteuid() != 0:
        return None
    mapped = [_mapped(file) for file in ("uid_map", "gid_map")]
    if all(_covers(ranges, _PREFERRED) for ranges in mapped):
        return _PREFERRED
    for ids in sorted(mapped[0], key=len, reverse=True):
        fewer = range(ids.stop - _FROM_END, ids.stop - _FROM_END + _FEW)
        if len(ids) > 2 * _FROM_END and _covers(mapped[1], fewer):
            return fewer
    return None


class Identities:
    """Hands out a different id to each child, in a round that starts anywhere."""

    def __init__(self, ids: range | None) -> None:
        self._ids = ids
        self._first = secrets.randbelow(len(ids)) if ids else 0

    def of(self, child: int) -> int | None:
        if self._ids is None:
            return None
        return self._ids[(self._first + child) % len(self._ids)]


def _mapped(file: str) -> list[range]:
    found = []
    for line in Path("/proc/self", file).read_text().splitlines():
        inside, _, count = map(int, line.split())
        found.append(range(inside, inside + count))
    return found


def _covers(ranges: list[range], wanted: range) -> bool:
    return any(wanted.start in ids and wanted.stop - 1 in ids for ids in ranges)
