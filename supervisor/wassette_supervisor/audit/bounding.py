"""Any value as a small JSON value: bounded in bytes and depth, each text one harmless line.

Total: whatever comes, something comes out, because a record that can't be written stops a call.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wassette_supervisor.errors import MAX_DETAIL_CHARACTERS, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_DEPTH: Final = 6
MAX_NAME_CHARACTERS: Final = 64
MORE: Final = "…"
HIDDEN: Final = "[redacted]"
TOO_DEEP: Final = "[nested deeper]"

# What stands for the rest of a container, as a member, with the largest number.
_MORE_BYTES: Final = len(f'"{MORE}":"{1 << 63} more",'.encode())
_MAX_INT: Final = (1 << 63) - 1

Hides = Callable[[Any, Any], bool]


class _FullError(Exception):
    """There is no room for one more value."""


def short_line(text: str) -> str:
    """Make any text one harmless line, which is fast for what is one already."""
    fine = len(text) <= MAX_DETAIL_CHARACTERS and text.isprintable()
    return text if fine else one_line(text)


def _nothing(_: Any, __: Any) -> bool:
    return False


def bounded(
    members: Mapping[str, Any],
    most: int,
    *,
    text: Callable[[str], str] = short_line,
    hides: Hides = _nothing,
) -> dict[str, Any]:
    """Keep as much of an object as fits; what doesn't is counted.

    Args:
        members: JSON values; what is of another type is named by its type.
        most: Bytes of the result as JSON, some hundred at least.
        text: Makes one short line of a text.
        hides: Whether a container's member, given by its name or index, is not to be kept.
    """
    return _Room(most - (MAX_DEPTH + 1) * _MORE_BYTES, text, hides).members(members, 1)


class _Room:
    def __init__(self, left: int, text: Callable[[str], str], hides: Hides) -> None:
        self._left = left
        self._text = text
        self._hides = hides

    def members(self, container: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        self._take(3)
        for key, value in container.items():
            name = _name(key)
            while name in kept:  # two names that differ only in what a line can't hold
                name += "'"
            try:
                self._take(len(msgspec.json.encode(name)) + 1)
                kept[name] = self._member(container, key, value, depth)
            except _FullError:
                kept[MORE] = f"{len(container) - len(kept)} more"
                break
        return kept

    def _items(self, container: Sequence[Any], depth: int) -> list[Any]:
        kept: list[Any] = []
        self._take(3)
        for index, value in enumerate(container):
            try:
                kept.append(self._member(container, index, value, depth))
            except _FullError:
                kept.append(f"{MORE} {len(container) - index} more")
                break
        return kept

    def _member(self, container: object, key: object, value: object, depth: int) -> object:
        hidden = self._hides(container, key)
        match value:
            case dict() if depth < MAX_DEPTH and not hidden:
                return self.members(value, depth + 1)
            case list() | tuple() if depth < MAX_DEPTH and not hidden:
                return self._items(value, depth + 1)
        plain = HIDDEN if hidden else self._plain(value)
        self._take(len(msgspec.json.encode(plain)) + 1)
        return plain

    def _plain(self, value: object) -> object:
        match value:
            case None | bool():
                return value
            case str():
                return self._text(value)
            case int():
                big = not -_MAX_INT <= value <= _MAX_INT
                return f"[a number of {value.bit_length()} bits]" if big else value
            case float():
                return value if math.isfinite(value) else str(value)
            case dict() | list() | tuple():
                return TOO_DEEP
        return f"[{type(value).__name__}]"

    def _take(self, size: int) -> None:
        if size > self._left:
            self._left = 0  # a later and smaller value would hide that one is missing
            raise _FullError
        self._left -= size


def _name(key: object) -> str:
    if not isinstance(key, str):
        return f"[{type(key).__name__}]"
    if len(key) <= MAX_NAME_CHARACTERS:
        return short_line(key)
    return short_line(key[: MAX_NAME_CHARACTERS - 1]) + MORE
