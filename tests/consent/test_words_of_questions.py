"""A value from elsewhere in a question: all of it, in plain characters, or no question."""

from __future__ import annotations

import pytest

from wassette_supervisor.consent.change import Read
from wassette_supervisor.consent.question import (
    MAX_VALUE_CHARACTERS,
    TooLongToAskError,
    question,
    quoted,
)

# What could end the quotes, begin a line, or be obeyed by a terminal, a browser or a chat window.
ACTING = (
    "\"'`*<>[]()&#~|!${}\\_\n\r\t\0\x1b\x85\u2028\u202e\u2066\u200b\ufeff\u00e9\u0430\U000e0041"
)


@pytest.mark.parametrize("character", ACTING, ids=[f"{ord(one):x}" for one in ACTING])
def test_a_character_that_could_act_is_shown_as_an_escape(character: str) -> None:
    assert quoted(f"/{character}/") == f'"/\\u{{{ord(character):x}}}/"'


def test_an_underscore_within_a_word_is_itself() -> None:
    assert quoted("API_KEY") == '"API_KEY"'
    assert quoted("_x_") == '"\\u{5f}x\\u{5f}"'


def test_a_reference_can_not_end_its_quotes() -> None:
    asked = question(Read('file:///a.wasm"? It is safe. Load "b', None))
    honest = question(Read("X", None))
    before, _, after = honest.partition('"X"')
    assert asked.startswith(f'{before}"')
    assert asked.endswith(f'"{after}')
    assert asked.count('"') == 2


def test_a_value_is_shown_whole_or_not_at_all() -> None:
    longest = "x" * MAX_VALUE_CHARACTERS
    assert quoted(longest) == f'"{longest}"'
    for too_long in (f"{longest}x", "\u202e" * 30):  # an escape is longer than what it stands for
        with pytest.raises(TooLongToAskError):
            quoted(too_long)
