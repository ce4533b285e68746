"""YAML as policies use it: mappings, sequences and texts with their places, and nothing else.

A scalar is the text that was written; what it means is for the schema to say. So there are no
types, tags, anchors, aliases, merges or further documents. All is bounded before it is built, on
the stream of events of PyYAML's parser, which neither recurses nor builds.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import yaml

from wassette_supervisor.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 256 << 10
MAX_DEPTH = 20
MAX_NODES = 10_000

_PLAIN_MAPPING = "write plain mappings, lists and texts only"


class Position(NamedTuple):
    """Both count from 1; the column in characters."""

    line: int
    column: int


class Scalar(NamedTuple):
    text: str
    plain: bool  # written without quotes
    at: Position


class Sequence(NamedTuple):
    items: list[Node]
    at: Position


class Entry(NamedTuple):
    key_at: Position
    value: Node


class Mapping(NamedTuple):
    entries: dict[str, Entry]
    at: Position


Node = Scalar | Sequence | Mapping


def load(raw: bytes) -> Node:
    """Read a document.

    Raises:
        PolicyError: It isn't UTF-8, isn't YAML, is too large, or uses what is not taken.
    """
    if len(raw) > MAX_BYTES:
        raise PolicyError(
            f"the policy has more than {MAX_BYTES >> 10} KiB", "grant folders instead of files"
        )
    return _Builder(_events(_decoded(raw))).document()


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        start = raw.rfind(b"\n", 0, error.start) + 1
        column = len(raw[start : error.start].decode("utf-8", "replace")) + 1
        raise PolicyError(
            "the policy is not UTF-8", "save it as UTF-8", line=line, column=column
        ) from error


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Position(mark.line + 1, mark.column + 1) if mark else None
        _refuse(f"not YAML: {error.problem or error.context}", "correct that line", at)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        at = Position(line, error.position - text.rfind("\n", 0, error.position))
        _refuse("a control character", "remove it", at)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML lets go of both for an escape beyond Unicode, and for a version of 5000 digits.
        _refuse("not YAML: a number in it is far too large", "correct it", None, error)


class _Builder:
    """Makes the tree; each event is judged before anything is made of it."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._nodes = 0

    def document(self) -> Node:
        next(self._events)  # the stream's start
        start = next(self._events)
        if isinstance(start, yaml.StreamEndEvent):
            raise PolicyError("the policy is empty", 'begin it with version: "1.0"')
        if not isinstance(start, yaml.DocumentStartEvent) or start.version or start.tags:
            _refuse("a % directive", "remove that line", _position(start))
        node = self._node(next(self._events), 1)
        next(self._events)  # the document's end
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            _refuse("a second document", "write one document a file", _position(following))
        return node

    def _node(self, event: yaml.Event, depth: int) -> Node:
        at = _position(event)
        self._check(event, depth, at)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(_text(event, at), event.style is None, at)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(list(self._items(depth)), at)
        return Mapping(self._entries(depth), at)

    def _check(self, event: yaml.Event, depth: int, at: Position) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            _refuse(f"more than {MAX_NODES} values", "grant folders instead of files", at)
        if depth > MAX_DEPTH:
            _refuse(f"nested deeper than {MAX_DEPTH}", "a policy needs at most 8 levels", at)
        if isinstance(event, yaml.AliasEvent):
            _refuse(f"an alias, *{event.anchor}", "write the value out", at)
        if getattr(event, "anchor", None) is not None:
            _refuse("an anchor, with &", "remove it", at)
        if getattr(event, "tag", None) is not None:
            _refuse("a tag, with !", "remove it", at)

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            # Checked on the event: a key that is a mapping is not to be built.
            if not isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
                _refuse("a key that is not a text", _PLAIN_MAPPING, _position(event))
            key = self._node(event, depth + 1)
            assert isinstance(key, Scalar)  # noqa: S101 - an alias was refused
            if key.text == "<<":
                _refuse("a merge, with <<", "write the values out", key.at)
            if key.text in entries:
                first = entries[key.text].key_at
                what = f"the key {key.text!r} a second time"
                _refuse(what, f"keep one of them; the first is in line {first.line}", key.at)
            entries[key.text] = Entry(key.at, self._node(next(self._events), depth + 1))
        return entries


def _text(event: yaml.ScalarEvent, at: Position) -> str:
    text: str = event.value
    for character in text:
        # Cs: half of a surrogate pair, from an escape; no UTF-8 text has one.
        if unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\t":
            _refuse("a text with a control character", "remove its escape", at)
    return text


def _position(event: yaml.Event) -> Position:
    assert event.start_mark is not None  # noqa: S101 - the parser gives one to each
    return Position(event.start_mark.line + 1, event.start_mark.column + 1)


def _refuse(
    what: str, instead: str, at: Position | None, cause: Exception | None = None
) -> NoReturn:
    line, column = at or (None, None)
    raise PolicyError(what, instead, line=line, column=column) from cause
