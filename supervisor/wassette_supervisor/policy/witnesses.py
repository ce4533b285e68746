"""All the ways in which paths can match a number of patterns, each found by an example.

Two sets of rules grant the same if they decide alike for every way. The search walks all patterns
at once, segment by segment, and tries for each segment what one of them could tell from others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    from wassette_protocol.patterns import Pattern

Key = TypeVar("Key", bound="Hashable")

MAX_STEPS = 200_000  # of one pattern by one segment: a second at most

# No rule can have this byte in it, so that it stands for all that no rule names.
_OTHER = b"\x01"


class TooManyError(Exception):
    """The patterns can be matched in more ways than there is time for."""


def ways(patterns: Mapping[Key, Pattern], max_steps: int = MAX_STEPS) -> set[frozenset[Key]]:
    """Which patterns one path can match together, for all paths.

    Raises:
        TooManyError: There are too many.
    """
    keys, machines = tuple(patterns), tuple(patterns.values())
    start = tuple(machine.start() for machine in machines)
    seen, left = {start}, [start]
    found: set[frozenset[Key]] = set()
    steps = 0
    while left:
        state = left.pop()
        judged = zip(keys, machines, state, strict=True)
        found.add(frozenset(key for key, machine, at in judged if machine.accepts(at)))
        segments = {segment for m, at in zip(machines, state, strict=True) if at
                    for segment in m.next_segments(at)}  # fmt: skip
        for segment in _examples(segments):
            steps += len(machines)
            if steps > max_steps:
                raise TooManyError
            following = tuple(m.step(at, segment) for m, at in zip(machines, state, strict=True))
            if following not in seen:
                seen.add(following)
                left.append(following)
    return found


def _examples(segments: Iterable[bytes]) -> Iterator[bytes]:
    """A segment for each choice of the expected ones that can match together."""
    yield _OTHER
    globs = []
    for segment in segments:
        if b"*" not in segment:
            yield segment
        elif segment != b"*":  # which matches whatever the others do
            globs.append(segment)
    yield from map(_example, globs)
    # Of a third glob, an example of two could be matched for a reason that not all have.
    if len(globs) == 2:
        yield from _common(*globs)
    elif len(globs) > 2 and not _nest(globs):
        raise TooManyError


def _example(glob: bytes) -> bytes:
    """A segment that this glob matches, and no other that need not."""
    return glob.replace(b"*", _OTHER)


def _common(one: bytes, other: bytes) -> Iterator[bytes]:
    """A segment that both globs match, if there is any."""
    parts, others = one.split(b"*"), other.split(b"*")
    first = max(parts[0], others[0], key=len)
    last = max(parts[-1], others[-1], key=len)
    starts = first.startswith(parts[0]) and first.startswith(others[0])
    if starts and last.endswith(parts[-1]) and last.endswith(others[-1]):
        yield _OTHER.join([first, *parts[1:-1], *others[1:-1], last])


def _nest(globs: Iterable[bytes]) -> bool:
    """Whether all are endings like `*.pem`, or all beginnings: then one example each is enough."""
    single = all(glob.count(b"*") == 1 for glob in globs)
    endings = all(glob.startswith(b"*") for glob in globs)
    return single and (endings or all(glob.endswith(b"*") for glob in globs))
