from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wassette_supervisor.audit.redaction import MAX_ARGUMENTS_BYTES, is_secret, redacted

HIDDEN = "[redacted]"
MARK = "hunter2"


RISKY = """
    password Password PASSWORD db_password userPassword passwd passphrase secret client-secret
    clientSecret token access_token idToken max_tokens key api_key apiKey APIKey x-api-key sshKeys
    encryptionkey authorization Authorization proxy-authorization cookie Set-Cookie credential
    credentials auth basicAuth pwd pin otp jwt signature
"""
HARMLESS = "path url query text keyword keywords author passenger title pinned city"
FULLWIDTH = "".join(chr(ord(letter) + 0xFEE0) for letter in "password")


@pytest.mark.parametrize("name", [*RISKY.split(), FULLWIDTH, "pass\u200bword"])
def test_what_is_named_like_a_secret_is_taken_out_wherever_it_is(name: str) -> None:
    for value in (MARK, [MARK], {"deep": MARK}):
        kept = redacted({name: value, "in": [{"a": {name: value}}], "text": "fine"})
        assert MARK not in repr(kept)
        assert kept["text"] == "fine"
        assert list(kept["in"][0]["a"].values()) == [HIDDEN]


@pytest.mark.parametrize("name", HARMLESS.split())
def test_other_arguments_are_kept(name: str) -> None:
    assert redacted({name: "value"}) == {name: "value"}


@pytest.mark.parametrize(
    "headers",
    [
        [["Authorization", MARK], ["accept", "text/html"]],
        [("cookie", MARK), ("accept", "text/html")],
        [{"name": "X-Api-Key", "value": MARK}, {"name": "accept", "value": "text/html"}],
        [{"header": "authorization", "value": [MARK]}, {"header": "accept", "value": "text/html"}],
    ],
    ids=["lists", "tuples", "name and value", "header and value"],
)
def test_headers_are_looked_into(headers: Any) -> None:
    kept = repr(redacted({"headers": headers}))
    assert MARK not in kept
    assert "text/html" in kept


def test_a_text_of_200_characters_is_kept_and_a_longer_one_is_cut_and_its_length_told() -> None:
    kept = redacted({"just": "x" * 200, "more": "x" * 201, "most": "y" * 1_000_000})
    assert kept["just"] == "x" * 200
    assert kept["more"] == "x" * 200 + "… (201 characters)"
    assert kept["most"] == "y" * 200 + "… (1000000 characters)"


def test_a_text_that_would_break_the_line_does_not() -> None:
    assert redacted({"a": "b\n\x1b[2J\u202ec"}) == {"a": "b [2J c"}


def test_huge_arguments_are_bounded_and_what_is_left_out_is_counted() -> None:
    kept = redacted({"rows": [{"name": f"n{number}"} for number in range(100_000)]})
    assert len(msgspec.json.encode(kept)) <= MAX_ARGUMENTS_BYTES
    assert kept["rows"][-1].endswith(" more")


TEXT = st.text(max_size=10) | st.just("password") | st.just("x" * 1000)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def secrets_in(value: Any) -> list[Any]:
    """What is still there under a secret's name."""
    match value:
        case dict():
            own = [item for key, item in value.items() if is_secret(key)]
            return own + [found for item in value.values() for found in secrets_in(item)]
        case list():
            return [found for item in value for found in secrets_in(item)]
    return []


@given(st.dictionaries(TEXT, VALUES, max_size=6))
@settings(deadline=None)
def test_no_value_under_a_secret_name_is_left_in_any_arguments(arguments: dict[str, Any]) -> None:
    kept = redacted(arguments)
    assert set(secrets_in(kept)) <= {HIDDEN}
    assert len(msgspec.json.encode(kept)) <= MAX_ARGUMENTS_BYTES
