"""YAML without its surprises: what is taken, what is refused and where, and how long it takes."""

from __future__ import annotations

import contextlib
import time

import pytest

from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy import strict_yaml
from wassette_supervisor.policy.strict_yaml import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    Mapping,
    Position,
    Scalar,
    Sequence,
)


def refusal(text: bytes) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        strict_yaml.load(text)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "text", ["no", "010", "1:30", "1.0", "0x1f", "2001-01-01", "1_000", ".inf"]
)
def test_a_value_is_the_text_that_was_written(text: str) -> None:
    assert strict_yaml.load(text.encode()) == Scalar(text, plain=True, at=Position(1, 1))


def test_every_value_has_its_place_in_characters() -> None:
    tree = strict_yaml.load("\ufeffä: \"b\"\nlist:\n- ö: [x, 'y']\n".encode())
    assert isinstance(tree, Mapping)
    assert tree.entries["ä"].key_at == (1, 1)
    assert tree.entries["ä"].value == Scalar("b", plain=False, at=Position(1, 4))
    items = tree.entries["list"].value
    assert isinstance(items, Sequence)
    assert isinstance(items.items[0], Mapping)
    inner = items.items[0].entries["ö"].value
    assert isinstance(inner, Sequence)
    assert [item.at for item in inner.items] == [(3, 7), (3, 10)]


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        pytest.param(b"a: &x 1", 1, 4, "an anchor", id="anchor"),
        pytest.param(b"a: 1\nb: *x", 2, 4, "an alias", id="alias"),
        pytest.param(b"*x : 1", 1, 1, "an alias", id="alias as key"),
        pytest.param(b"a: !!str 1", 1, 4, "a tag", id="tag"),
        pytest.param(b"a: ! 1", 1, 4, "a tag", id="non-specific tag"),
        pytest.param(b"a: !!python/object:x 1", 1, 4, "a tag", id="python tag"),
        pytest.param(b"a: 1\n<<: {b: 2}", 2, 1, "a merge", id="merge"),
        pytest.param(b"a: 1\nb: 2\na: 3", 3, 1, "the key 'a' a second time", id="duplicate"),
        pytest.param(b"{a: 1, 'a': 1}", 1, 8, "the key 'a' a second time", id="duplicate in flow"),
        pytest.param(b"a: 1\n---\nb: 1", 2, 1, "a second document", id="documents"),
        pytest.param(b"a: \xff", 1, 4, "not UTF-8", id="UTF-8"),
        pytest.param(b"\xc3\xa9\n\xc3\xa9\xff", 2, 2, "not UTF-8", id="UTF-8 in line 2"),
        pytest.param(b"\xff\xfea\0", 1, 1, "not UTF-8", id="UTF-16"),
        pytest.param(b"a: 1\nb: \x07", 2, 4, "a control character", id="control character"),
        pytest.param(b'a: "\\0"', 1, 4, "a text with a control", id="escaped NUL"),
        pytest.param(b'a: "\\e"', 1, 4, "a text with a control", id="escaped escape"),
        pytest.param(b'a: "\\ud800"', 1, 4, "a text with a control", id="half a surrogate pair"),
        pytest.param(b"? [a]\n: 1", 1, 3, "a key that is not a text", id="list as key"),
        pytest.param(b"{{a: 1}: 1}", 1, 2, "a key that is not a text", id="mapping as key"),
        pytest.param(b"%YAML 1.1\n---\na: 1", 1, 1, "a % directive", id="directive"),
        pytest.param(b"%TAG ! tag:x,1:\n---\na: 1", 1, 1, "a % directive", id="tag directive"),
        pytest.param(b"a: [1", 1, 6, "not YAML", id="no end"),
        pytest.param(b"a: 1\n\tb: 2", 2, 1, "not YAML", id="tab"),
        pytest.param(b"a: b: c", 1, 5, "not YAML", id="mapping in a value"),
    ],
)
def test_what_is_not_taken_is_refused_with_its_place(
    text: bytes, line: int, column: int, what: str
) -> None:
    error = refusal(text)
    assert (error.line, error.column) == (line, column)
    assert what in error.what


@pytest.mark.parametrize("text", [b"", b"# a comment\n", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_text_is_refused_with_how_to_begin(text: bytes) -> None:
    assert str(refusal(text)) == 'the policy is empty; begin it with version: "1.0"'


@pytest.mark.parametrize(
    "text",
    [b'"\\UFFFFFFFF"', b'"\\U00110000"', b"%YAML 1." + b"1" * 6000 + b"\n---\na", b'"\\xZZ"'],
    ids=["beyond Unicode", "just beyond Unicode", "version", "no digits"],
)
def test_what_the_parser_stumbles_over_is_refused_like_anything_else(text: bytes) -> None:
    assert "not YAML" in refusal(text).what


def test_the_bounds_hold_at_and_beyond_the_limit() -> None:
    strict_yaml.load(b"a" + b" " * (MAX_BYTES - 1))
    assert "KiB" in refusal(b"a" + b" " * MAX_BYTES).what
    strict_yaml.load(b"[" * (MAX_DEPTH - 1) + b"a" + b"]" * (MAX_DEPTH - 1))
    assert "deeper" in refusal(b"[" * MAX_DEPTH + b"a" + b"]" * MAX_DEPTH).what
    strict_yaml.load(b"[" + b"a," * (MAX_NODES - 1) + b"]")
    assert "more than" in refusal(b"[" + b"a," * MAX_NODES + b"]").what
    assert "deeper" in refusal(b"".join(b" " * n + b"a:\n" for n in range(MAX_DEPTH + 1))).what


HOSTILE = {
    "brackets": b"[",
    "braces": b"{",
    "brackets in lines": b"[\n",
    "dashes": b"- ",
    "question marks": b"? ",
    "keys in a list": b"[a: b, ",
    "pairs": b"a: b\n",
    "long plain text": b"a ",
    "lines of text": b" a\n",
    "comments": b"#\n",
    "quotes": b"'",
    "escapes": b'"\\x41',
    "folded": b">\n a\n\n",
    "directives": b"%a b\n",
    "tags": b"!%41",
    "anchors": b"&a ",
    "documents": b"---\n",
    "ends": b"...\n",
    "spaces": b" ",
    "colons": b"a,b:",
    "unicode lines": b"\xe2\x80\xa8",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("before", [b"", b"x: |\n  ", b"["], ids=["top", "block", "flow"])
def test_no_text_takes_long(piece: bytes, before: bytes) -> None:
    """Time that grew faster than the text would be minutes at 256 KiB; it is one second."""
    text = (before + piece * MAX_BYTES)[: MAX_BYTES // 8]
    began = time.process_time()
    with contextlib.suppress(PolicyError):
        strict_yaml.load(text)
    assert time.process_time() - began < 5
