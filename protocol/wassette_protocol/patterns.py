"""Patterns of paths: `*` within a segment, `**` for any number of segments, decided in one pass.

Both halves judge by them: what the supervisor explains is what a worker keeps to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

ANY = b"**"


class Pattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """`below`: what lies below a path that matches, matches too.

    A pattern is a small state machine: a state is the set of places in it that may come next, as
    bits. It never goes back, so that the time is that of the path times that of the pattern.
    """

    segments: tuple[bytes, ...]
    below: bool
    literal: int = 0  # so many first segments are names as they are, even with a * in them
    entered: tuple[int, ...] = (0,)  # the places in it that may come first

    def matches(self, path: Iterable[bytes]) -> bool:
        state = self.start()
        for segment in path:
            state = self.step(state, segment)
        return self.accepts(state)

    def start(self) -> int:
        return self._skipping(sum(1 << place for place in self.entered))

    def after(self, path: Iterable[bytes]) -> Pattern | None:
        """The pattern of a path's rest after this one; None if none can match."""
        state = self.start()
        for segment in path:
            state = self.step(state, segment)
        places = [place for place in range(len(self.segments) + 1) if state >> place & 1]
        if not places:
            return None
        gone = places[0]
        entered = tuple(place - gone for place in places)
        literal = max(0, self.literal - gone)
        return Pattern(self.segments[gone:], self.below, literal, entered)

    def step(self, state: int, segment: bytes) -> int:
        end = 1 << len(self.segments)
        following = state & end if self.below else 0
        for place, expected in enumerate(self.segments):
            if not state >> place & 1:
                continue
            if place < self.literal:
                following |= (expected == segment) << (place + 1)
            elif expected == ANY:
                following |= 1 << place
            elif segment_matches(expected, segment):
                following |= 2 << place
        return self._skipping(following)

    def accepts(self, state: int) -> bool:
        return bool(state >> len(self.segments))

    def reaches_below(self, state: int) -> bool:
        """Whether something strictly below could match."""
        end = 1 << len(self.segments)
        return bool(state & (end - 1)) or (self.below and bool(state & end))

    def covers(self, other: Pattern) -> bool:
        """Whether all that the other matches is matched; False where that is not plain."""
        state = self.start()
        names = (1 << self.literal) - 1
        for place, segment in enumerate(other.segments):
            if place < other.literal or b"*" not in segment:
                state = self.step(state, segment)
            elif segment == ANY:
                state = self._step_any(state)
            else:
                # `*` of the other is a text to this one: only its own `*` can take it.
                state = self.step(state & ~names, segment)
        return self.accepts(state) and (self.below or not other.below)

    def _step_any(self, state: int) -> int:
        """The places where it stays, however many segments come."""
        kept = state & (1 << len(self.segments)) if self.below else 0
        for place, expected in enumerate(self.segments):
            kept |= state & (1 << place) if expected == ANY and place >= self.literal else 0
        return self._skipping(kept)

    def next_segments(self, state: int) -> list[bytes]:
        """What may come next, but for `**`."""
        return [
            expected
            for place, expected in enumerate(self.segments)
            if state >> place & 1 and expected != ANY
        ]

    def next_names(self, state: int) -> list[tuple[bytes, bool]]:
        """What a name has to be for another state than other names; whether with a `*`."""
        return [
            (expected, place >= self.literal and b"*" in expected)
            for place, expected in enumerate(self.segments)
            if state >> place & 1 and (place < self.literal or expected != ANY)
        ]

    def _skipping(self, state: int) -> int:
        for place, expected in enumerate(self.segments):
            if expected == ANY and place >= self.literal and state >> place & 1:
                state |= 2 << place  # none of the segments that it stands for
        return state


def segment_matches(pattern: bytes, segment: bytes) -> bool:
    first, *middle = pattern.split(b"*")
    if not middle:
        return pattern == segment
    last = middle.pop()
    if len(segment) < len(first) + len(last) or not segment.startswith(first):
        return False
    if not segment.endswith(last):
        return False
    place, end = len(first), len(segment) - len(last)
    for piece in middle:
        # The first place where a piece fits leaves the most room for the others.
        found = segment.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True
