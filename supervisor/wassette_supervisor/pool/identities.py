"""Whom workers become when the supervisor is root: nobody else, or the owner of their files."""

from __future__ import annotations

import os
import pwd
import secrets
from pathlib import Path

from wassette_protocol.frames import Identity
from wassette_supervisor.errors import IsolationUnavailableError

# Beyond what systemd gives to users, services and containers (systemd.io, UIDS-GIDS).
_PREFERRED = range(0x7000_0000, 0x7001_0000)
# Behind them: these stay with the component whose files belong to them.
_LASTING = range(0x7001_0000, 0x7002_0000)
# Where fewer are mapped: near the end of the range, below nobody and its neighbours.
_FEW = 1000
_FROM_END = 1600
_LASTING_FROM_END = _FROM_END + _FEW

# To give files away, to signal what became somebody else, and to become it (linux/capability.h).
_NEEDED = sum(1 << number for number in (0, 5, 6, 7))


def spare_ids() -> range | None:
    """Ids for workers; None if this process can't become anybody else.

    Root of a user namespace (a container without privileges, `unshare -r`) has those ids that
    its maps give it, perhaps its own alone (user_namespaces(7)). Root without the capabilities
    for it, or that can't give up its groups, has none.
    """
    return _ids(_PREFERRED, _FROM_END)


def lasting_ids() -> range | None:
    """As `spare_ids`, for owners of what is kept from call to call: nobody else's in any case."""
    return _ids(_LASTING, _LASTING_FROM_END)


def _ids(preferred: range, from_end: int) -> range | None:
    if os.geteuid() != 0 or not _may_change() or kept_groups():
        return None
    mapped = [_mapped(file) for file in ("uid_map", "gid_map")]
    if all(_covers(ranges, preferred) for ranges in mapped):
        return preferred
    for ids in sorted(mapped[0], key=len, reverse=True):
        fewer = range(ids.stop - from_end, ids.stop - from_end + _FEW)
        if len(ids) > 2 * _FROM_END and _covers(mapped[1], fewer):
            return fewer
    return None


def kept_groups() -> set[int]:
    """Groups that no process of ours could give up: those of a namespace that denies setgroups.

    Whoever made it had no privileges, and might be kept out of files by a group of theirs
    (user_namespaces(7)). Groups without a number there are all 65534.
    """
    try:
        denied = Path("/proc/self/setgroups").read_text().strip() == "deny"
    except FileNotFoundError:  # a kernel without user namespaces
        denied = False
    return set(os.getgroups()) if denied else set()


def identity_of(uid: int) -> Identity | None:
    """The user, in the group that the system has for them: what they create is then as theirs is.

    A number would be somebody else's group: 6 is a user that keeps manuals, and the group of
    those who read whole disks. May ask a directory service.

    Returns:
        None for whom this process is itself and can't stop to be: its children stay who it is,
        with its groups, as those of an ordinary user do.

    Raises:
        IsolationUnavailableError: No process of ours can become this user.
    """
    try:
        gid = pwd.getpwuid(uid).pw_gid
    except KeyError:  # no such user here; files can belong to any number
        ids = spare_ids()
        gid = os.getegid() if ids is None else ids[uid % len(ids)]
    mapped = zip((uid, gid), map(_mapped, ("uid_map", "gid_map")), strict=True)
    if os.geteuid() != 0 or not all(_covers(ids, range(own, own + 1)) for own, ids in mapped):
        raise IsolationUnavailableError(f"no process here can become user {uid} of group {gid}")
    why = _why_not(gid)
    if why and uid == os.geteuid():
        return None
    if why:
        raise IsolationUnavailableError(f"no process here can become user {uid}: {why}")
    return Identity(uid, gid)


def _why_not(gid: int) -> str:
    """Why no process of ours can become somebody else with this group alone, if so."""
    if not _may_change():
        return "the server is root without the capabilities chown, kill, setgid and setuid"
    if kept_groups() - {gid}:
        return "the server's groups would stay, since its user namespace denies setgroups"
    return ""


def _may_change() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16) & _NEEDED == _NEEDED
    return False


class Identities:
    """Hands out a different id to each child, in a round that starts anywhere."""

    def __init__(self, ids: range | None) -> None:
        self._ids = ids
        self._first = secrets.randbelow(len(ids)) if ids else 0

    def of(self, child: int) -> Identity | None:
        if self._ids is None:
            return None
        number = self._ids[(self._first + child) % len(self._ids)]
        return Identity(number, number)


def _mapped(file: str) -> list[range]:
    found = []
    for line in Path("/proc/self", file).read_text().splitlines():
        inside, _, count = map(int, line.split())
        found.append(range(inside, inside + count))
    return found


def _covers(ranges: list[range], wanted: range) -> bool:
    return any(wanted.start in ids and wanted.stop - 1 in ids for ids in ranges)
