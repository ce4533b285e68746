"""Which directory or file a storage grant means right now, and whether it may be granted at all.

Judged when a policy is set, and again for each call: links, mounts and owners change.
"""

from __future__ import annotations

import importlib.util
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.authority import mounts
from wassette_supervisor.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# What the kernel shows there is no tree of files of anybody's.
_OURS = ("wassette_supervisor", "wassette_worker", "wassette_protocol")
_IMPORTED = ("anyio", "mcp", "msgspec", "structlog", "wasmtime", "yaml")
_MAX_LINKS = 40
_KERNEL = ("/proc", "/sys", "/dev", "/run")


class Found(NamedTuple):
    path: str  # canonical
    device: int
    inode: int
    owner: int
    is_file: bool = False  # a regular one; else it is a directory


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
    """What to keep out of every grant: what is ours, the interpreter's, the kernel's.

    Args:
        own: Our folders and files, there or not yet, and what each is called.
    """
    roots = [
        *own,
        (Path(sys.prefix), "the interpreter's folder"),
        (Path(sys.base_prefix), "the interpreter's folder"),
        *((place, "this program's code") for place in _code()),
        *((Path(name), "the kernel's own files") for name in _KERNEL),
    ]
    found = {Protected(place, what) for path, what in roots for place in _ways(path)}
    return sorted(found)


def _code() -> Iterator[Path]:
    """Where we and what we import stand: not always within the interpreter's folder."""
    for name in (*_OURS, *_IMPORTED):
        spec = importlib.util.find_spec(name)  # which loads nothing
        if spec is not None and spec.origin is not None:
            package = Path(spec.origin).parent
            yield package if name in _OURS else package.parent


def _ways(path: Path) -> Iterator[str]:
    """A path as it is written, each link on its way, and where it leads in the end.

    Whoever may replace a link decides what the path means.
    """
    written = str(path.absolute())
    yield written
    for _ in range(_MAX_LINKS):
        link = next((each for each in _upwards(written) if os.path.islink(each)), None)  # noqa: PTH114 - a string
        if link is None:
            break
        yield link
        target = os.path.join(os.path.dirname(link), os.readlink(link))  # noqa: PTH115, PTH118, PTH120 - strings
        written = os.path.normpath(target + written[len(link) :])
    yield os.path.realpath(path)


def _upwards(path: str) -> list[str]:
    """The folders on the way to a path, the outermost first, and the path."""
    return [str(each) for each in (*reversed(Path(path).parents), Path(path))]


def find(path: str, keep_out: Sequence[Protected]) -> Found | Missing | Forbidden:
    """Settle what an absolute path means now.

    Args:
        path: As the grant has it. What reaches it through a link is no grant: rules are compared
            by their words, and who may change a link could lead them anywhere.
        keep_out: What may not be granted.
    """
    try:
        canonical = os.path.realpath(path, strict=True)
        status = os.stat(canonical)  # noqa: PTH116 - beside realpath, which pathlib spells resolve
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it can't be followed"
        return Missing(one_line(f"{path}: {reason}"))
    is_file = stat.S_ISREG(status.st_mode)
    if not is_file and not stat.S_ISDIR(status.st_mode):
        return Forbidden(
            f"{one_line(path)} is no directory and no regular file", "grant what is one of them"
        )
    kept_out = overlapping(canonical, keep_out)
    if kept_out is not None:
        return Forbidden(
            f"{one_line(path)} overlaps {kept_out.what} ({one_line(kept_out.path)})",
            "grant what neither holds it nor lies in it",
        )
    if canonical != path:
        return Forbidden(
            f"{one_line(path)} leads through a link to {one_line(canonical)}",
            "grant that path itself, if it is meant",
        )
    return Found(canonical, status.st_dev, status.st_ino, status.st_uid, is_file)


def overlapping(path: str, keep_out: Sequence[Protected]) -> Protected | None:
    """What of it a canonical path holds, is or lies in, by name or by a mount."""
    if not keep_out:
        return None
    by_name = next((each for each in keep_out if mounts.overlap(path, each.path)), None)
    if by_name is not None:
        return by_name
    known = mounts.read()
    ours = mounts.place(path, known)
    if ours is None:
        return None
    places = [ours, *mounts.places_below(path, known)]
    for each in keep_out:
        theirs = mounts.place(each.path, known)
        if theirs is not None and any(place.overlaps(theirs) for place in places):
            return each
    return None
