from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wassette_supervisor import bounded_json
from wassette_supervisor.bounded_json import TooLargeError

HARD_TEXT = st.text(alphabet='ab"\\[]{},: \n\u2028é')
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | HARD_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(HARD_TEXT, inner, max_size=4),
    max_leaves=20,
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n")])


def nodes(value: Any) -> int:
    if isinstance(value, list):
        return 1 + sum(map(nodes, value))
    if isinstance(value, dict):
        return 1 + sum(1 + nodes(inner) for inner in value.values())
    return 1


def depth(value: Any) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 0


def passes(raw: bytes, *, max_nodes: int = 1 << 30, max_depth: int = 1 << 30) -> bool:
    try:
        bounded_json.check(raw, max_nodes=max_nodes, max_depth=max_depth)
    except TooLargeError:
        return False
    return True


@given(
    value=JSON, separators=SEPARATORS, ascii_only=st.booleans(), indent=st.sampled_from([None, 2])
)
@example(value=[[], {}, [[]]], separators=(",", ":"), ascii_only=True, indent=None)
@example(value={'\\"': ['"[', "\\\\"]}, separators=(",", ":"), ascii_only=False, indent=None)
def test_passes_at_the_true_count_and_depth_and_not_one_below(
    value: Any, separators: tuple[str, str], *, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_only, indent=indent)
    raw = text.encode()
    assert passes(raw, max_nodes=nodes(value), max_depth=depth(value))
    assert not passes(raw, max_nodes=nodes(value) - 1)
    assert depth(value) == 0 or not passes(raw, max_depth=depth(value) - 1)


@given(raw=st.binary() | st.text(alphabet='[]{},:"\\ 1').map(str.encode))
def test_whatever_the_bytes_are_it_passes_or_says_too_large(raw: bytes) -> None:
    passes(raw, max_nodes=3, max_depth=2)


@given(value=JSON, rest=st.binary(max_size=30))
def test_a_mistake_further_on_hides_nothing_that_stands_before_it(value: Any, rest: bytes) -> None:
    raw = json.dumps([value]).encode()[:-1] + b" \\" + rest
    assert not passes(raw, max_nodes=nodes(value))


def test_an_honest_result_of_four_mebibytes_takes_milliseconds() -> None:
    record = {"name": 'a "quoted" name', "tags": ["a,b", "c"], "size": 12, "text": "x, y: " * 40}
    raw = json.dumps([record] * (4 * 1024 * 1024 // len(json.dumps(record)))).encode()
    assert fastest(raw) < 0.5


@pytest.mark.parametrize(
    "piece",
    [b"[],", b"[", b'"",', b'\\"', b"\\\\", b'"\\\\",', b"[ ", b"{", b'{"a":', b"1,", b'"'],
)
def test_eight_hostile_mebibytes_take_little_time_and_memory(piece: bytes) -> None:
    raw = b"[" + piece * ((8 << 20) // len(piece))
    assert fastest(raw) < 1
    tracemalloc.start()
    try:
        passes(raw, max_nodes=200_000, max_depth=128)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def fastest(raw: bytes) -> float:
    """Of three, since the machine may be busy with something else."""
    taken = []
    for _ in range(3):
        before = time.perf_counter()
        passes(raw, max_nodes=200_000, max_depth=128)
        taken.append(time.perf_counter() - before)
    return min(taken)
