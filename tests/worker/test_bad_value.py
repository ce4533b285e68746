from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wassette_worker.bad_value import BadValue, one_of, preview


def test_what_is_said_has_three_parts() -> None:
    bad = BadValue.came("a string", 7)
    assert str(bad) == "expected a string, got 7"
    bad.inside(3)
    bad.inside("a/b")
    assert str(bad) == "at /a~1b/3: expected a string, got 7"


def test_names_are_listed_as_far_as_they_fit() -> None:
    assert one_of([]) == "none"
    assert one_of(["a", "b"]) == "a, b"
    assert one_of(f"name-{n}" for n in range(1000)).endswith("name-9, ...")
    assert one_of(["x" * 81]) == "..."


@pytest.mark.parametrize(
    "value",
    [
        "\x1b[31m" * 1000,
        "\u202e\u200b\U000e0041\x7f\x85" * 1000,
        {"\x00" * 1000: "x"},
        [[[["x" * 1000]]]] * 1000,
        -(10**4000),
    ],
)
def test_what_came_is_shown_short_and_without_control_characters(value: Any) -> None:
    shown = preview(value)
    assert len(shown) <= 80
    assert shown.isascii()
    assert shown.isprintable()


@example(value="plain")
@given(value=st.recursive(st.none() | st.text(max_size=4) | st.integers(), st.lists, max_leaves=4))
def test_what_came_is_shown_as_json_if_it_is_short(value: Any) -> None:
    shown = preview(value)
    assert shown.endswith("...") or json.loads(shown) == value
