"""Which directory a storage grant means right now, and whether it may be granted at all.

Judged when a policy is set, and again for each call: links, mounts and owners change.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.authority import mounts
from wassette_supervisor.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

# What the kernel shows there is no tree of files of anybody's.
_KERNEL = ("/proc", "/sys", "/dev", "/run")


class Found(NamedTuple):
    path: str  # canonical
    device: int
    inode: int
    owner: int


class Missing(NamedTuple):
    """Grants nothing, today; that is no mistake."""

    why: str


class Forbidden(NamedTuple):
    """May never be granted as it is."""

    why: str
    instead: str


class Protected(NamedTuple):
    """A folder that no grant may hold, lie in or reach."""

    path: str  # canonical
    what: str


def protected(own: Iterable[tuple[Path, str]]) -> list[Protected]:
    """What to keep out of every grant: these folders of ours, the interpreter's, the kernel's.

    Args:
        own: Our folders, there or not yet, and what each is called.
    """
    package = Path(__file__).resolve().parents[1]
    roots = [
        *own,
        (Path(sys.prefix), "the interpreter's folder"),
        (Path(sys.base_prefix), "the interpreter's folder"),
        # In an editable installation the three packages stand outside of the interpreter's.
        (package, "this program's own code"),
        *((Path(name), "the kernel's own files") for name in _KERNEL),
    ]
    return [Protected(os.path.realpath(path), what) for path, what in roots]


def find(path: str, keep_out: Iterable[Protected]) -> Found | Missing | Forbidden:
    """Settle what an absolute path means now.

    Args:
        path: As the grant has it; links in it are followed.
        keep_out: What may not be granted.
    """
    try:
        canonical = os.path.realpath(path, strict=True)
        status = os.stat(canonical)  # noqa: PTH116 - beside realpath, which pathlib spells resolve
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Missing(one_line(f"{path}: {reason}"))
    if not stat.S_ISDIR(status.st_mode):
        return Forbidden(
            f"{one_line(path)} is no directory, and single files can't be granted yet",
            "grant the directory that it is in",
        )
    for kept_out in keep_out:
        if _reaches(canonical, kept_out):
            return Forbidden(
                f"{one_line(path)} overlaps {kept_out.what} ({one_line(kept_out.path)})",
                "grant a directory that neither holds it nor lies in it",
            )
    return Found(canonical, status.st_dev, status.st_ino, status.st_uid)


def _reaches(path: str, kept_out: Protected) -> bool:
    if mounts.overlap(path, kept_out.path):
        return True
    known = mounts.read()
    theirs = mounts.place(kept_out.path, known)
    ours = mounts.place(path, known)
    if theirs is None or ours is None:
        return False
    return any(place.overlaps(theirs) for place in [ours, *mounts.places_below(path, known)])
