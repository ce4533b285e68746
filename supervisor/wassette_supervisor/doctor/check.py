"""One thing that was looked at, and what was found."""

from __future__ import annotations

from typing import NamedTuple

from wassette_supervisor.errors import one_line


class Found(NamedTuple):
    """Whether the system has something, and how that is known, in one line."""

    available: bool
    how: str
    detail: str | None = None  # a version, as a rule


def there(how: str, detail: str | None = None) -> Found:
    return Found(available=True, how=how, detail=detail)


def lacking(how: str) -> Found:
    return Found(available=False, how=how)


class Check(NamedTuple):
    """What people and programs are told of it."""

    name: str
    detail: str | None
    available: bool
    in_use: bool
    lost_without: str
    how: str  # how it is known, or why it is not so; one line
    remedy: str  # how to get it
    required: bool

    @property
    def holds(self) -> bool:
        return self.available and self.in_use


def check(  # noqa: PLR0913 - as many as there is to be told
    name: str,
    found: Found,
    lost_without: str,
    remedy: str,
    *,
    in_use: bool = True,
    required: bool = False,
) -> Check:
    """What isn't there is not in use either."""
    in_use = in_use and found.available
    return Check(
        name, found.detail, found.available, in_use, lost_without, one_line(found.how), remedy,
        required,
    )  # fmt: skip
