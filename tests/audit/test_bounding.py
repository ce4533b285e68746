from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from wassette_supervisor.audit.bounding import bounded
from wassette_supervisor.audit.log import MAX_DETAIL_BYTES

HOSTILE = [
    "a\nb\u2028c",
    "\x1b[2J",
    "\u202eevil",
    "x" * (1 << 20),
    '"},\\"' * 1000,
    "\ud800",
    "🦀" * 999,
]
TEXT = st.text(max_size=20) | st.sampled_from(HOSTILE)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(TEXT, JSON, max_size=5))
@settings(deadline=None)
def test_whatever_a_detail_has_it_becomes_bounded_json(detail: dict[str, Any]) -> None:
    for most in (400, MAX_DETAIL_BYTES):
        kept = bounded(detail, most)
        encoded = msgspec.json.encode(kept)
        assert len(encoded) <= most
        assert msgspec.json.decode(encoded) == kept
        assert encoded.decode().isprintable()


def test_what_is_left_out_of_a_detail_is_counted() -> None:
    kept = bounded({"a": list(range(10_000)), "b": 1, "c": 2}, 500)
    assert kept["a"][:3] == [0, 1, 2]
    assert kept["a"][-1] == f"… {10_000 - len(kept['a']) + 1} more"
    assert kept["…"] == "2 more"


def test_odd_values_of_a_detail_are_named_and_never_stop_an_entry() -> None:
    deep: dict[str, Any] = {}
    for _ in range(10_000):
        deep = {"d": deep}
    odd: dict[Any, Any] = {
        "bytes": b"x",
        "huge": 10**5000,
        "nan": float("nan"),
        "deep": deep,
        7: 7,
        "t": (1, 2),
    }
    kept = bounded(odd, MAX_DETAIL_BYTES)
    assert kept["bytes"] == "[bytes]"
    assert kept["huge"] == "[a number of 16610 bits]"
    assert kept["nan"] == "nan"
    assert kept["[int]"] == 7
    assert kept["t"] == [1, 2]
    assert json.dumps(kept["deep"]).count("{") == 5


def test_names_that_become_alike_hide_nothing() -> None:
    assert bounded({"a": 1, "a\n": 2, "a\r": 3}, 500) == {"a": 1, "a'": 2, "a''": 3}
