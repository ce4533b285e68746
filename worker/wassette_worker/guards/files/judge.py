"""What the rules of a directory say of the paths below it. Pure: no file is touched here.

A path is judged by a state that moves on with each of its names, so that the judgement of a
directory is where that of its entries begins.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, TypeAlias

from wassette_protocol.patterns import segment_matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wassette_protocol.file_rules import Clause, FileRules, Layer
    from wassette_protocol.patterns import Pattern


class Access(enum.IntFlag):
    NONE = 0
    READ = 1
    WRITE = 2


# The same as plain numbers: to combine two of the enumeration costs more than a system call.
NONE, READ, WRITE, BOTH = 0, 1, 2, 3


State: TypeAlias = tuple[int, ...]  # one of each pattern
_Ranges = list[tuple[int, int]]  # what a clause says, and the number of its pattern


class _Moves:
    """Where names lead from one state: all that the same parts of patterns take lead alike.

    So that a name costs no more with many patterns than with one.
    """

    def __init__(self, plain: set[bytes], globs: list[bytes]) -> None:
        self._plain = plain
        self._globs = [_Glob(glob) for glob in globs]
        self._known: dict[object, State] = {}

    def get(self, name: bytes) -> State | None:
        return self._known.get(self._key(name))

    def add(self, name: bytes, state: State) -> State:
        self._known[self._key(name)] = state
        return state

    def _key(self, name: bytes) -> object:
        plain = name if name in self._plain else None
        if not self._globs:
            return plain
        return plain, tuple([glob.matches(name) for glob in self._globs])


class _Glob:
    """One with a single `*`, as most are, is looked at without taking it apart each time."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._first, _, self._last = text.partition(b"*")
        self._is_simple = b"*" not in self._last

    def matches(self, name: bytes) -> bool:
        if not self._is_simple:
            return segment_matches(self._text, name)
        return (
            name.endswith(self._last)
            and name.startswith(self._first)
            and len(name) >= len(self._first) + len(self._last)
        )


class Judge:
    """The rules of one directory."""

    def __init__(self, rules: FileRules) -> None:
        self._patterns: list[Pattern] = []
        self._layers = [self._layer(layer) for layer in rules.layers]
        self._shielded = [
            (self._number(shield.pattern), [self._number(each) for each in shield.named])
            for shield in rules.shielded
        ]
        self._moves: dict[State, _Moves] = {}
        self._judged: dict[State, int] = {}
        self._below: dict[State, int] = {}
        self.start: State = tuple(pattern.start() for pattern in self._patterns)
        self._denied = 0
        for layer in rules.layers:
            for clause in layer.deny:
                self._denied |= _says(clause)
        if rules.shielded:
            self._denied |= WRITE

    def step(self, state: State, name: bytes) -> State:
        """The state of an entry of a directory in this state."""
        moves = self._moves.get(state)
        if moves is None:
            moves = self._moves[state] = self._moves_from(state)
        return moves.get(name) or moves.add(name, self._stepped(state, name))

    def _stepped(self, state: State, name: bytes) -> State:
        return tuple(
            pattern.step(places, name) if places else 0
            for pattern, places in zip(self._patterns, state, strict=True)
        )

    def _moves_from(self, state: State) -> _Moves:
        following = {
            segment
            for pattern, places in zip(self._patterns, state, strict=True)
            for segment in pattern.next_names(places)
        }
        plain = {text for text, is_glob in following if not is_glob}
        return _Moves(plain, sorted(text for text, is_glob in following if is_glob))

    def rights(self, state: State) -> int:
        """What may be done with the file or directory itself."""
        found = self._judged.get(state)
        if found is None:
            found = self._judged[state] = self._rights(state)
        return found

    def reach(self, state: State) -> int:
        """What something strictly below may have: a directory on the way to it can be entered."""
        found = self._below.get(state)
        if found is None:
            found = self._below[state] = self._reach(state)
        return found

    def enterable(self, state: State) -> bool:
        return bool(self.rights(state) or self.reach(state))

    def judges_alike(self, state: State, other: State) -> bool:
        """Whether all below one path is judged as it is below the other."""
        return state == other

    def denies_any(self, accesses: int) -> bool:
        """Whether any path is denied one of these: a file must then have no second name."""
        return bool(self._denied & accesses)

    def _rights(self, state: State) -> int:
        rights = BOTH
        for allow, deny in self._layers:
            given = 0
            for says, number in allow:
                if self._patterns[number].accepts(state[number]):
                    given |= says
            rights &= given & ~self._taken(deny, state)
        return rights & ~WRITE if rights & WRITE and self._is_shielded(state) else rights

    def _taken(self, deny: _Ranges, state: State) -> int:
        taken = 0
        for says, number in deny:
            if self._patterns[number].accepts(state[number]):
                taken |= says
        return taken

    def _is_shielded(self, state: State) -> bool:
        for number, named in self._shielded:
            if self._patterns[number].accepts(state[number]) and not any(
                self._patterns[each].accepts(state[each]) for each in named
            ):
                return True
        return False

    def _reach(self, state: State) -> int:
        reach = BOTH
        for allow, deny in self._layers:
            given = 0
            for says, number in allow:
                if self._patterns[number].reaches_below(state[number]):
                    given |= says
            # A deny of a directory is one of all below it.
            reach &= given & ~self._taken(deny, state)
        return reach

    def _layer(self, layer: Layer) -> tuple[_Ranges, _Ranges]:
        allow = [(_says(each), self._number(each.pattern)) for each in layer.allow]
        deny = [(_says(each), self._number(each.pattern)) for each in layer.deny]
        return allow, deny

    def _number(self, pattern: Pattern) -> int:
        self._patterns.append(pattern)
        return len(self._patterns) - 1


def _says(clause: Clause) -> int:
    return (READ if clause.read else 0) | (WRITE if clause.write else 0)


def state_of(judge: Judge, path: Sequence[bytes]) -> State:
    state = judge.start
    for name in path:
        state = judge.step(state, name)
    return state


def rights_of(judge: Judge, path: Sequence[bytes]) -> Access:
    """What a whole path may be used for."""
    return Access(judge.rights(state_of(judge, path)))
