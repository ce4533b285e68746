"""Folders in which one file has many names: what is denied by one would be had by another."""

from __future__ import annotations

import fcntl
import os
import struct

from wassette_supervisor.authority import mounts

# That compare names without their case, or may, by how they were made or mounted.
_KINDS = frozenset(
    {
        "msdos", "vfat", "exfat",  # filesystems/vfat.rst of the kernel
        "ntfs", "ntfs3", "fuseblk",  # the last is ntfs-3g and exfat-fuse, among others
        "cifs", "smb3", "smbfs",  # as the server does: mount.cifs(8), nocase
        "hfs", "hfsplus", "apfs",
        "vboxsf", "prl_fs",  # folders of a host that is no Linux
    }
)  # fmt: skip
# include/uapi/linux/fs.h: set on a single directory of ext4 or f2fs, inherited by new ones.
_GET_FLAGS = 0x80086601
_CASEFOLD = 0x40000000


def why_folded(path: str, known: list[mounts.Mount]) -> str | None:
    """Why a canonical folder may have other names for its files, of all mounts; None if not."""
    on = mounts.mount(path, known)
    if on is not None and on.kind in _KINDS:
        return f"it is on {on.kind}, which knows a file by capitals as well as by small letters"
    if _is_flagged(path) or _has_another_name(path):
        return "it knows a file by capitals as well as by small letters"
    return None


def _is_flagged(path: str) -> bool:
    try:
        number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False  # nobody of its user's can open it either
    try:
        found = fcntl.ioctl(number, _GET_FLAGS, bytes(struct.calcsize("l")))
    except OSError:  # its file system has no such flags
        return False
    finally:
        os.close(number)
    return bool(struct.unpack("l", found)[0] & _CASEFOLD)


def _has_another_name(path: str) -> bool:
    """Whether it is found by its own name in other letters: a disk of Windows in a Linux of it."""
    above, name = os.path.split(path)
    if name.swapcase() == name:
        return False
    try:
        other = os.lstat(os.path.join(above, name.swapcase()))  # noqa: PTH118 - a string
        return os.path.samestat(other, os.lstat(path))
    except OSError:
        return False
