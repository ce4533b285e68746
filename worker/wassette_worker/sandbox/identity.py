"""Who a process is: no capabilities, no way to gain any, and as root another user."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from wassette_worker.sandbox.libc import (
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAPBSET_DROP,
    PR_CAPBSET_READ,
    PR_SET_NO_NEW_PRIVS,
    check,
    libc,
    prctl,
)

if TYPE_CHECKING:
    from wassette_protocol.frames import Identity

_CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h
_CAPABILITIES = 64  # more than the kernel has
_UNMAPPED = 65534  # linux/highuid.h: DEFAULT_OVERFLOWGID


def forbid_new_privileges() -> None:
    """No later exec gains anything, by whatever file (PR_SET_NO_NEW_PRIVS)."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def become(identity: Identity) -> None:
    """Take this user and this group, and no further groups. Clears the death signal."""
    # Now: whoever was root by its number loses with it the right to change the bounding set.
    _empty_bounding_set()
    _leave_groups(identity.gid)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)


def _leave_groups(gid: int) -> None:
    """Have no group but this one.

    A user namespace that was made without privileges denies setgroups for good, and so do those
    below it (user_namespaces(7)). That is no loss for a process that has no other group anyway.

    Raises:
        OSError: It would keep a group that gives it access.
    """
    try:
        os.setgroups([])
    except PermissionError:
        # A group that the namespace doesn't map has no number of its own: it may be any.
        if set(os.getgroups()) - ({gid} - {_UNMAPPED}):
            raise


def drop_capabilities() -> None:
    """Give up every capability, also the ones that a later exec could bring (capabilities(7))."""
    _empty_bounding_set()
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    check(libc.capset(header, bytes(24)), "capset")


def _empty_bounding_set() -> None:
    """As far as it may be changed; without that right, no_new_privs keeps an exec from gaining."""
    for capability in range(_CAPABILITIES):
        # The last one that the kernel knows isn't told: EINVAL ends the list.
        if libc.prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
