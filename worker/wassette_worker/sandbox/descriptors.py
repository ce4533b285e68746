"""Which descriptors a process holds: the ones it needs, at known numbers, and no others."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

# Numbers that every process of ours uses alike.
CONTROL = 3  # its socket to the supervisor
FIRST_EXTRA = 4  # a component, an artefact


def extras(count: int, after: int = 0) -> list[int]:
    """The numbers of so many extras, behind `after` others."""
    return list(range(FIRST_EXTRA + after, FIRST_EXTRA + after + count))


def keep_only(control: int, output: int, extras: list[int]) -> None:
    """Move the descriptors to 0 (null), 1 and 2 (`output`), 3 (`control`), 4… (`extras`).

    Everything else is closed. Descriptors 0 to 2 of the starting process may be a terminal: a
    process that holds one can type into it (TIOCSTI).
    """
    _arrange([os.open(os.devnull, os.O_RDONLY), output, output, control, *extras], frozenset())


def keep_of_template(control: int, output: int, held: frozenset[int]) -> None:
    """As `keep_only`, for a fork of a process that did so: 0 and `held` stay as they are."""
    _arrange([0, output, output, control], held)


def _arrange(wanted: list[int], held: frozenset[int]) -> None:
    # First out of the way of the target numbers, then into place.
    parked = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, len(wanted)) for number in wanted]
    for target, number in enumerate(parked):
        os.dup2(number, target, inheritable=False)
    lowest = len(wanted)
    for number in sorted(held):
        os.closerange(lowest, number)
        lowest = max(lowest, number + 1)
    os.closerange(lowest, HIGHEST)
    assert_only(len(wanted), beside=held)


def assert_only(count: int, beside: Collection[int] = ()) -> None:
    """Check that the descriptors below `count`, and `beside`, are open and the next ones not.

    Raises:
        OSError: One is missing or one is too many.
    """
    for number in range(count + 64):
        wanted = number < count or number in beside
        if _is_open(number) != wanted:
            raise OSError(f"descriptor {number} is {'missing' if wanted else 'left open'}")


# os.closerange uses close_range(2) where the kernel has it, which takes any upper end.
HIGHEST = 1 << 30
_FEW = 256


def all_open() -> set[int]:
    """The open descriptors of a process that has few of them."""
    return {number for number in range(_FEW) if _is_open(number)}


def _is_open(number: int) -> bool:
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
    except OSError:
        return False
    return True
