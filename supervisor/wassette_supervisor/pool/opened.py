"""Files that guests open, as their workers tell them: checked, and put on record."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from wassette_protocol.codec import PeerViolation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wassette_protocol.frames import FileOpened
    from wassette_supervisor.pool.grants import Directory


class OpenedFile(NamedTuple):
    """An open of a guest's, or an attempt, in its worker's words."""

    directory: Directory  # of those that were granted
    path: str  # below that directory; empty: that itself
    access: tuple[str, ...]
    outcome: str


class FileRecords(Protocol):
    """Where opens are recorded."""

    def opened(self, file: OpenedFile, *, ahead: bool) -> None:
        """Record an open before the guest has what it gives.

        Args:
            file: What is opened.
            ahead: Whether the component was still being instantiated: perhaps for a later call.

        Raises:
            AuditError: It can't be recorded.
        """
        ...


def checked(told: FileOpened, directories: Sequence[Directory]) -> OpenedFile:
    """What a worker told, if it lies in something that it was given.

    Raises:
        PeerViolation: No guard tells that.
    """
    names = told.path.split(b"/") if told.path else []
    if told.directory >= len(directories) or _UNTOLD.intersection(names) or b"\0" in told.path:
        raise PeerViolation("an open of what no guest was given")
    access = tuple(name for name in ("read", "write") if getattr(told, name))
    path = told.path.decode("utf-8", "surrogateescape")
    return OpenedFile(directories[told.directory], path, access, told.outcome)


# What no path has that a guard has walked.
_UNTOLD = {b"", b".", b".."}
