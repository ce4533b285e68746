"""What is said of an argument that does not fit its type: where, what was expected, what came.

All three go to a model and into logs: they are bounded, and hold no control characters.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MAX_TEXT = 80
# A number of more digits than this is told by its size; 64 bits have 20.
_MAX_BITS = 128


class BadValue(Exception):  # noqa: N818 - says what the value is
    """An argument that does not fit the WIT type of its place."""

    def __init__(self, pointer: str, expected: str, got: str) -> None:
        super().__init__(pointer, expected, got)
        self.pointer = pointer  # RFC 6901; it names types and indexes, never what came
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        place = f"at {self.pointer}: " if self.pointer else ""
        return f"{place}expected {self.expected}, got {self.got}"

    @classmethod
    def came(cls, expected: str, value: object) -> BadValue:
        """A value that came in the place of something else; those around it add where."""
        return cls("", expected, preview(value))

    @classmethod
    def missing(cls, name: str, expected: str) -> BadValue:
        return cls(f"/{_escape(name)}", expected, "nothing")

    def inside(self, token: str | int) -> None:
        """Say that the place is below one more field or index."""
        self.pointer = f"/{_escape(str(token))}{self.pointer}"

    def or_null(self) -> None:
        """Say that the place takes null, too; a place below it may not."""
        if not self.pointer:
            self.expected = f"null or {self.expected}"


def _escape(token: str) -> str:
    return token.replace("~", "~0").replace("/", "~1")


def one_of(names: Iterable[str]) -> str:
    """Names for a message; as many as fit."""
    text = ""
    for name in names:
        longer = f"{text}, {name}" if text else name
        if len(longer) > _MAX_TEXT:
            return f"{text}, ..." if text else "..."
        text = longer
    return text or "none"


def preview(value: object) -> str:
    """The beginning of a JSON value, on one line and in ASCII; looks no further than it shows."""
    text = ""
    for piece in _pieces(value):
        text += piece
        if len(text) > _MAX_TEXT:
            return text[: _MAX_TEXT - 3] + "..."
    return text


def _pieces(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield "{"
        for index, (key, inner) in enumerate(value.items()):
            yield f"{', ' if index else ''}{_scalar(key)}: "
            yield from _pieces(inner)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for index, inner in enumerate(value):
            yield ", " if index else ""
            yield from _pieces(inner)
        yield "]"
    else:
        yield _scalar(value)


def _scalar(value: object) -> str:
    if isinstance(value, str):  # cut first: text may be megabytes
        return json.dumps(value[: _MAX_TEXT + 1]).replace("\x7f", "\\u007f")
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return f"an integer of {value.bit_length()} bits"
    return json.dumps(value)
