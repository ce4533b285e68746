"""How a worker judges paths: by states that go along with them, as a slow reading of the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from support.slow_patterns import pattern_fits as fits
from wassette_protocol.file_rules import Clause, FileRules, Layer, Shielded
from wassette_protocol.patterns import Pattern
from wassette_worker.guards.files.judge import Access, Judge, rights_of, state_of

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = st.sampled_from([b"a", b"b", b"ab", b".env", b"*", b"a*", b"x\xff"])
PATHS = st.lists(NAMES, max_size=5).map(tuple)
SEGMENTS = st.sampled_from([b"a", b"b", b"*", b"**", b"a*", b"*b", b".env", b"*.*", b"ab"])
SOME_SEGMENTS = st.lists(SEGMENTS, max_size=4).map(tuple)
PATTERNS = st.builds(Pattern, SOME_SEGMENTS, st.booleans(), st.integers(0, 2))
CLAUSES = st.builds(Clause, PATTERNS, st.booleans(), st.booleans())
# What denies a directory denies all below it: a policy has no other.
DENIED = st.builds(Pattern, SOME_SEGMENTS, st.just(True), st.integers(0, 2))  # noqa: FBT003 - a field
DENIALS = st.builds(Clause, DENIED, st.booleans(), st.booleans())
LAYERS = st.builds(
    Layer, st.lists(CLAUSES, max_size=3).map(tuple), st.lists(DENIALS, max_size=3).map(tuple)
)
SHIELDED = st.builds(Shielded, PATTERNS, st.lists(PATTERNS, max_size=1).map(tuple))
RULES = st.builds(
    FileRules,
    st.lists(LAYERS, min_size=1, max_size=2).map(tuple),
    st.lists(SHIELDED, max_size=2).map(tuple),
)


def rights(rules: FileRules, path: tuple[bytes, ...]) -> Access:
    found = Access.READ | Access.WRITE
    for layer in rules.layers:
        found &= _united(layer.allow, path) & ~_united(layer.deny, path)
    for shield in rules.shielded:
        if fits(shield.pattern, path) and not any(fits(named, path) for named in shield.named):
            found &= ~Access.WRITE
    return found


def _united(clauses: Iterable[Clause], path: tuple[bytes, ...]) -> Access:
    found = Access.NONE
    for clause in clauses:
        if fits(clause.pattern, path):
            found |= (Access.READ if clause.read else 0) | (Access.WRITE if clause.write else 0)
    return found


@given(RULES, PATHS)
def test_a_path_has_the_rights_that_the_words_of_its_rules_give(
    rules: FileRules, path: tuple[bytes, ...]
) -> None:
    assert rights_of(Judge(rules), path) == rights(rules, path)


@given(RULES, st.lists(PATHS, max_size=8))
def test_a_judge_that_has_judged_others_judges_as_one_that_has_not(
    rules: FileRules, paths: list[tuple[bytes, ...]]
) -> None:
    judge = Judge(rules)
    assert [rights_of(judge, path) for path in paths] == [
        rights_of(Judge(rules), path) for path in paths
    ]


@given(RULES, PATHS, PATHS)
def test_a_directory_with_something_below_that_is_given_can_be_entered(
    rules: FileRules, path: tuple[bytes, ...], below: tuple[bytes, ...]
) -> None:
    judge = Judge(rules)
    if below and rights(rules, path + below) & Access.READ:
        state = state_of(judge, path)
        assert judge.enterable(state) or rights(rules, path)


@given(RULES, PATHS, PATHS, PATHS)
def test_what_is_judged_alike_has_the_same_rights_all_the_way_down(
    rules: FileRules,
    one: tuple[bytes, ...],
    other: tuple[bytes, ...],
    below: tuple[bytes, ...],
) -> None:
    judge = Judge(rules)
    if judge.judges_alike(state_of(judge, one), state_of(judge, other)):
        assert rights(rules, one + below) == rights(rules, other + below)


@given(PATTERNS, PATHS, PATHS)
def test_what_is_left_of_a_pattern_after_a_path_matches_what_comes_after_that_path(
    pattern: Pattern, path: tuple[bytes, ...], rest: tuple[bytes, ...]
) -> None:
    left = pattern.after(path)
    assert (left is not None and left.matches(rest)) == pattern.matches(path + rest)
