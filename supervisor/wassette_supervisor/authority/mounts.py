"""Where a path lies on its file system, whatever it is mounted as; proc_pid_mountinfo(5)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_MOUNTINFO = Path("/proc/self/mountinfo")
_ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


class Place(NamedTuple):
    """A folder as its file system knows it: two mounts of one folder are one place."""

    device: str
    path: str

    def overlaps(self, other: Place) -> bool:
        return self.device == other.device and overlap(self.path, other.path)


class Mount(NamedTuple):
    device: str
    root: str  # what of the file system is mounted
    point: str
    kind: str  # of the file system, as ext4


def read() -> list[Mount]:
    """All mounts that this process sees, in the order in which they were made; none elsewhere."""
    try:
        text = _MOUNTINFO.read_text(errors="surrogateescape")
    except OSError:
        return []
    fields = (line.split(" ") for line in text.splitlines())
    return [
        # After the mount point: options, fields that there may be or not, a dash, and the kind.
        Mount(found[2], _plain(found[3]), _plain(found[4]), found[found.index("-", 6) + 1])
        for found in fields
    ]


def place(path: str, mounts: list[Mount]) -> Place | None:
    """Where a canonical path lies; None where the mounts aren't known."""
    nearest = mount(path, mounts)
    if nearest is None:
        return None
    return Place(nearest.device, _joined(nearest.root, os.path.relpath(path, nearest.point)))


def mount(path: str, mounts: list[Mount]) -> Mount | None:
    """What a canonical path is on; None where the mounts aren't known."""
    above = [mount for mount in mounts if lies_in(path, mount.point)]
    # Of two on one point the later hides the earlier.
    return max(reversed(above), key=lambda mount: len(mount.point), default=None)


def places_below(path: str, mounts: list[Mount]) -> list[Place]:
    """What else is mounted somewhere within a folder."""
    return [
        Place(mount.device, mount.root)
        for mount in mounts
        if mount.point != path and lies_in(mount.point, path)
    ]


def lies_in(path: str, folder: str) -> bool:
    """Whether a canonical path is this folder, or something below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def overlap(one: str, other: str) -> bool:
    """Whether one of two canonical paths holds the other."""
    return lies_in(one, other) or lies_in(other, one)


def _joined(root: str, below: str) -> str:
    return root if below == "." else f"{root.rstrip('/')}/{below}"


def _plain(field: str) -> str:
    for escape, character in _ESCAPES.items():
        field = field.replace(escape, character)
    return field
