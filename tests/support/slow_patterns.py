"""What patterns and storage URIs mean, by their words alone: a slow reading, to compare with."""

from __future__ import annotations

import posixpath
import re
import time
from functools import cache, wraps
from typing import TYPE_CHECKING, NamedTuple, ParamSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from wassette_protocol.patterns import Pattern

Path = tuple[bytes, ...]
_Words = ParamSpec("_Words")

# Seconds of the processor that these readings took: no part of what is held to a time.
spent = [0.0]


def _aside(reading: Callable[_Words, bool]) -> Callable[_Words, bool]:
    @wraps(reading)
    def read(*args: _Words.args, **kwargs: _Words.kwargs) -> bool:
        began = time.thread_time()
        try:
            return reading(*args, **kwargs)
        finally:
            spent[0] += time.thread_time() - began

    return read


@_aside
def name_fits(pattern: bytes, name: bytes) -> bool:
    """Whether a segment with `*` is this name: try every length of every `*`."""
    return _name_fits(pattern, name)


def _name_fits(pattern: bytes, name: bytes) -> bool:

    @cache
    def fits(at: int, of: int) -> bool:
        if at == len(pattern):
            return of == len(name)
        if pattern[at : at + 1] == b"*":
            return any(fits(at + 1, then) for then in range(of, len(name) + 1))
        return name[of : of + 1] == pattern[at : at + 1] and fits(at + 1, of + 1)

    return fits(0, 0)


@_aside
def pattern_fits(pattern: Pattern, path: Path) -> bool:
    """Whether a pattern that begins at its first segment matches: try every way."""
    ends = range(len(path) + 1) if pattern.below else [len(path)]
    return any(_all_fit(pattern.segments, pattern.literal, path[:end]) for end in ends)


def _all_fit(segments: Path, literal: int, path: Path) -> bool:
    @cache
    def fits(place: int, of: int) -> bool:
        if place == len(segments):
            return of == len(path)
        expected = segments[place]
        if expected == b"**" and place >= literal:
            return any(fits(place + 1, then) for then in range(of, len(path) + 1))
        if of == len(path):
            return False
        same = path[of] == expected if place < literal else _name_fits(expected, path[of])
        return same and fits(place + 1, of + 1)

    return fits(0, 0)


class Meaning(NamedTuple):
    """Of a storage URI."""

    root: str
    segments: Path
    below: bool

    @_aside
    def matches(self, path: Path) -> bool:
        """Whether it means a path below its root."""
        ends = range(len(path) + 1) if self.below else [len(path)]
        return any(_all_fit(self.segments, 0, path[:end]) for end in ends)


_SEGMENT = r"(?!\.{1,2}(?:/|\Z))(?:\*\*(?=/|\Z)|(?:(?!\*\*)[^/?\[{\x00-\x1f\x7f])+)"
_URI = re.compile(rf"fs://(?P<root>/?)(?P<path>(?:{_SEGMENT})(?:/{_SEGMENT})*)?(?P<slash>/?)")


def meaning(text: str, *, deny: bool) -> Meaning | None:
    """What a URI means in an allow rule or in a deny rule; None: it may not be written."""
    try:
        too_long = len(text.encode("utf-8", "surrogateescape")) > 4096
    except UnicodeEncodeError:
        return None
    found = _URI.fullmatch(text)
    if found is None or too_long:
        return None
    absolute, path = bool(found["root"]), found["path"]
    if path is None:  # the root alone, and written once
        return Meaning("absolute", (), below=True) if absolute and not found["slash"] else None
    names = path.split("/")
    if not absolute and names[0] == "state":
        return Meaning("state", (), below=True) if names[1:] in ([], ["**"]) else None
    if not absolute and not deny and "*" in names[0]:
        return None
    below = deny or "*" not in names[-1] or names[-1] == "**"
    segments = tuple(name.encode("utf-8", "surrogateescape") for name in names)
    return Meaning("absolute" if absolute else "workspace", segments, below)


def is_canonical(path: bytes) -> bool:
    """Whether it is absolute, and nothing in it leads nowhere or up."""
    plain = path.startswith(b"/") and not path.startswith(b"//") and b"\0" not in path
    return plain and posixpath.normpath(path) == path
