"""What one set of rules grants more and less than another, over all ways to match them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

Key = TypeVar("Key", bound="Hashable")


class Rules(msgspec.Struct, Generic[Key], frozen=True):
    """The rules of one policy for one kind of request, by keys that mean the same in both."""

    allow: frozenset[Key]
    deny: frozenset[Key]

    def permit(self, way: frozenset[Key]) -> bool:
        return bool(way & self.allow) and not way & self.deny


class Change(NamedTuple, Generic[Key]):
    gained: bool
    deny: bool  # it comes of a deny rule
    key: Key


def changes(
    old: Rules[Key], new: Rules[Key], ways: Iterable[frozenset[Key]] | None
) -> list[Change[Key]]:
    """The rules that came or went and make a difference.

    Args:
        old: The rules before.
        new: The rules after.
        ways: Which rules one request can match together, for all requests of interest. None if
            they are too many: then each rule that came or went is taken to make a difference.
    """
    gained = _by_rules(old, new, _among(ways, lambda way: new.permit(way) and not old.permit(way)))
    lost = _by_rules(new, old, _among(ways, lambda way: old.permit(way) and not new.permit(way)))
    return [Change(gained=True, deny=deny, key=key) for deny, key in gained] + [
        Change(gained=False, deny=deny, key=key) for deny, key in lost
    ]


def _among(
    ways: Iterable[frozenset[Key]] | None, condition: Callable[[frozenset[Key]], bool]
) -> list[frozenset[Key]] | None:
    return None if ways is None else [way for way in ways if condition(way)]


def _by_rules(
    less: Rules[Key], more: Rules[Key], gained: list[frozenset[Key]] | None
) -> list[tuple[bool, Key]]:
    """The rules by which `more` permits what it gained: an allow that came, a deny that went.

    What was gained was either allowed by no rule before, so that a new rule allows it, or was
    denied, so that a deny is gone: each is found.
    """
    came, went = more.allow - less.allow, less.deny - more.deny
    if gained is None:
        return [(False, key) for key in came] + [(True, key) for key in went]
    newly = frozenset().union(*(way for way in gained if not way & less.allow))
    again = frozenset().union(*(way for way in gained if way & less.allow))
    return [(False, key) for key in came & newly] + [(True, key) for key in went & again]
