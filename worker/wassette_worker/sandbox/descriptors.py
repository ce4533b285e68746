"""Which descriptors a process holds: the ones it needs, at known numbers, and no others."""

from __future__ import annotations

import fcntl
import os

# Numbers that every process of ours uses alike.
CONTROL = 3  # its socket to the supervisor
FIRST_EXTRA = 4  # a component, an artefact


def keep_only(control: int, output: int, extras: list[int]) -> None:
    """Move the descriptors to 0 (null), 1 and 2 (`output`), 3 (`control`), 4… (`extras`).

    Everything else is closed. Descriptors 0 to 2 of the starting process may be a terminal: a
    process that holds one can type into it (TIOCSTI).
    """
    null = os.open(os.devnull, os.O_RDONLY)
    wanted = [null, output, output, control, *extras]
    # First out of the way of the target numbers, then into place.
    parked = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, len(wanted)) for number in wanted]
    for target, number in enumerate(parked):
        os.dup2(number, target, inheritable=False)
    os.closerange(len(wanted), _HIGHEST)
    assert_only(len(wanted))


def assert_only(count: int, beside: tuple[int, ...] = ()) -> None:
    """Check that the descriptors below `count`, and `beside`, are open and the next ones not.

    Raises:
        OSError: One is missing or one is too many.
    """
    for number in range(count + 64):
        wanted = number < count or number in beside
        if _is_open(number) != wanted:
            raise OSError(f"descriptor {number} is {'missing' if wanted else 'left open'}")


# os.closerange uses close_range(2) where the kernel has it, which takes any upper end.
_HIGHEST = 1 << 30


def _is_open(number: int) -> bool:
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
    except OSError:
        return False
    return True
