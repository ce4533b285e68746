"""Reading a tree of nodes: what is unknown or of the wrong kind is refused with its place."""

from __future__ import annotations

import difflib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Never

from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy.strict_yaml import Mapping, Node, Position, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from collections.abc import Mapping as AbstractMapping

MAX_DESCRIPTION = 4096

_NOTHING = {"", "~", "null"}  # what YAML has for it; Wassette writes the last
_KINDS = {Scalar: "a text", Sequence: "a list", Mapping: "a mapping"}


def refuse(at: Position, what: str, instead: str) -> Never:
    raise PolicyError(what, instead, line=at.line, column=at.column)


@contextmanager
def placed(at: Position) -> Iterator[None]:
    """Give the place to what is refused within without one."""
    try:
        yield
    except PolicyError as error:
        if error.line is not None:
            raise
        raise PolicyError(error.what, error.instead, line=at.line, column=at.column) from error


def is_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and node.plain and node.text in _NOTHING


def fields(
    node: Node, what: str, known: Collection[str], hints: AbstractMapping[str, str] | None = None
) -> dict[str, Node]:
    """The values of a mapping by their keys; nothing is an empty one.

    Args:
        node: The mapping.
        what: It, as messages name it.
        known: The keys that it may have.
        hints: What to write in place of certain others.

    Raises:
        PolicyError: It is no mapping, or has another key.
    """
    if isinstance(node, Mapping):
        for key, entry in node.entries.items():
            if key not in known:
                instead = (hints or {}).get(key) or _nearest(key, known)
                refuse(entry.key_at, f"{what} has no key {shortened(key)!r}", instead)
    return mapping(node, what, f"write a mapping of {_all(known)}")


def mapping(node: Node, what: str, instead: str = "write a mapping") -> dict[str, Node]:
    """The values of a mapping with any keys; nothing is an empty one.

    Raises:
        PolicyError: It is no mapping.
    """
    if is_nothing(node):
        return {}
    if not isinstance(node, Mapping):
        refuse(node.at, f"{what} is {_KINDS[type(node)]}", instead)
    return {key: entry.value for key, entry in node.entries.items()}


def _nearest(key: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(key[:64], known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"write {_all(known)}"


def _all(known: Collection[str]) -> str:
    return ", ".join(sorted(known)) if len(known) > 1 else "".join(known)


def items(node: Node, what: str) -> list[Node]:
    """The values of a list; nothing is an empty one.

    Raises:
        PolicyError: It is no list.
    """
    if is_nothing(node):
        return []
    if not isinstance(node, Sequence):
        refuse(node.at, f"{what} is {_KINDS[type(node)]}", "write a list, each line with a -")
    return node.items


def text(node: Node, what: str) -> str:
    """A text, which may be empty if it stands in quotes.

    Raises:
        PolicyError: It is none.
    """
    if not isinstance(node, Scalar) or is_nothing(node):
        kind = "nothing" if isinstance(node, Scalar) else _KINDS[type(node)]
        refuse(node.at, f"{what} is {kind}", 'write a text, as "..."')
    return node.text


def word(node: Node, what: str) -> str:
    """A text of one line.

    Raises:
        PolicyError: It is none.
    """
    found = text(node, what)
    if "\n" in found or "\t" in found:
        refuse(node.at, f"{what} has a line break or a tab in it", "write it in one line")
    return found


def words(node: Node, what: str) -> list[tuple[str, Position]]:
    """A list of at least one text, each once.

    Raises:
        PolicyError: It is none.
    """
    found = [(word(item, what), item.at) for item in items(node, what)]
    if not found:
        refuse(node.at, f"{what} is empty", "name at least one, or leave the key out")
    seen = set()
    for value, at in found:
        if value in seen:
            refuse(at, f"{what} has {shortened(value)!r} twice", "keep one of them")
        seen.add(value)
    return found


def description(values: AbstractMapping[str, Node], key: str = "description") -> str | None:
    """A text for people, or None.

    Raises:
        PolicyError: It is none, or too long to be read.
    """
    node = values.get(key)
    if node is None or is_nothing(node):
        return None
    found = text(node, key)
    if len(found) > MAX_DESCRIPTION:
        refuse(node.at, f"{key} has more than {MAX_DESCRIPTION} characters", "shorten it")
    return found


def shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
