from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wassette_supervisor.broker import masking

# Few letters, so that secrets overlap each other and themselves.
NEEDLES = st.lists(st.text("ab*", min_size=4, max_size=7).map(str.encode), max_size=3)
PIECES = st.lists(st.text("ab*c", max_size=9).map(str.encode), max_size=12)


def covered(body: bytes, needles: list[bytes]) -> bytes:
    """What masking means, written down without a thought of speed or pieces."""
    places = {
        place
        for needle in needles
        for start in range(len(body))
        if body.startswith(needle, start)
        for place in range(start, start + len(needle))
    }
    return bytes(ord("*") if place in places else byte for place, byte in enumerate(body))


@given(NEEDLES, PIECES)
def test_a_body_is_masked_as_a_whole_in_whatever_pieces_it_comes(
    needles: list[bytes], pieces: list[bytes]
) -> None:
    mask = masking.Mask(needles)
    told = b"".join([*map(mask.feed, pieces), mask.flush()])
    assert told == covered(b"".join(pieces), needles) == masking.whole(b"".join(pieces), needles)


@given(NEEDLES.filter(bool), PIECES)
def test_no_more_is_held_back_than_may_become_a_secret(
    needles: list[bytes], pieces: list[bytes]
) -> None:
    mask = masking.Mask(needles)
    come = b""
    told = 0
    for piece in pieces:
        come += piece
        told += len(mask.feed(piece))
        held = come[told:]
        assert any(needle.startswith(held) and needle != held for needle in needles)


def test_a_piece_that_ends_as_no_secret_begins_is_told_at_once() -> None:
    assert masking.Mask([b"secret"]).feed(b"data: 1\n\n") == b"data: 1\n\n"


def test_a_value_is_masked_whole_and_without_its_scheme() -> None:
    secrets = masking.secrets([("authorization", "Bearer abcd"), ("x-key", "k1 k2345")])
    assert secrets == (b"Bearer abcd", b"abcd", b"k1 k2345", b"k2345")
    assert masking.whole(b"Bearer abcd/abcd/abc", secrets) == b"***********/****/abc"


def test_what_is_too_short_to_be_a_secret_is_not_looked_for() -> None:
    assert masking.secrets([("x-key", "abc"), ("authorization", "Bearer abc")]) == (b"Bearer abc",)


def test_values_and_names_of_headers_are_masked_and_keep_their_length() -> None:
    said = [(b"x-echo", b"<s3cret>"), (b"x-s3cret", b"")]
    assert masking.of_headers(said, [b"s3cret"]) == [(b"x-echo", b"<******>"), (b"x-******", b"")]


def test_a_secret_that_is_cut_anywhere_is_masked_in_both_pieces() -> None:
    body = b"the secret: sesame!"
    for cut in range(len(body)):
        mask = masking.Mask([b"sesame"])
        told = mask.feed(body[:cut]) + mask.feed(body[cut:]) + mask.flush()
        assert told == b"the secret: ******!"
