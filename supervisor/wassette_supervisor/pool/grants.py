"""What a call is granted: decided before it comes to the pool, in force from the next call on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from wassette_protocol.capabilities import (
    MAX_HULL,
    Limits,
    Preopen,
    Reach,
    Storage,
    grant_fault,
)
from wassette_supervisor.errors import CallError, one_line

if TYPE_CHECKING:
    from wassette_protocol.file_rules import FileRules


class GrantError(CallError):
    """What was granted can't be given to a worker; the call was not started."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the tool was not run because what it is granted can't be given: {one_line(reason)}; "
            "the operator has to look into it"
        )


class DirectoryChangedError(CallError):
    """A granted directory is no longer the one that was judged; the call was not started."""

    def __init__(self, directory: str, how: str) -> None:
        self.directory = directory
        super().__init__(
            f"the granted directory {one_line(directory)!r} changed while the call started: "
            f"{one_line(how)}; call again"
        )


class RevokedError(CallError):
    """What a running or waiting call was granted has been revoked; its worker is gone."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the call was ended because {one_line(reason)}")


class Place(NamedTuple):
    """A directory or a file that workers may reach, by whatever name their guests know it."""

    path: str  # canonical path on the host
    device: int
    inode: int
    reach: Reach
    is_file: bool = False


@dataclass(frozen=True)
class Directory:
    """A directory of the host as it was when it was judged: its path and what stood there."""

    guest: str  # path as the guest sees it
    path: str  # canonical path on the host
    device: int
    inode: int
    writable: bool
    # What of it is granted, and the places that the kernel opens to a worker for that; without
    # rules, all of it.
    rules: FileRules | None = None
    places: tuple[Place, ...] = ()

    def __post_init__(self) -> None:
        for path in (self.path, *(place.path for place in self.places)):
            _check_canonical(path)

    @property
    def preopen(self) -> Preopen:
        return Preopen(self.guest, self.writable, self.rules)

    @property
    def reached(self) -> tuple[Place, ...]:
        """The hull of this directory."""
        if self.rules is not None:
            return self.places
        return (Place(self.path, self.device, self.inode, Reach(read=True, write=self.writable)),)


def _check_canonical(path: str) -> None:
    first, *segments = path.split("/") if path != "/" else ("", "root")
    if first or not segments or {"", ".", ".."} & set(segments) or "\0" in path:
        raise GrantError(f"{path!r} is no canonical path")


@dataclass(frozen=True, repr=False)
class Grants:
    """All that one call is given; two that are equal let their workers do the same.

    Raises:
        GrantError: It is more than a worker takes, or has names that can't be used.
    """

    limits: Limits
    environment: tuple[tuple[str, str], ...] = ()  # also exactly what wasi:config/store serves
    directories: tuple[Directory, ...] = ()
    uid: int | None = None  # the user whose files these are, when the supervisor is root
    file_size: int | None = None  # bytes of the largest file that it may write, if that is limited
    files: int | None = None  # what it may create, if that is limited
    audited: bool = False  # whether each open is recorded before the guest has what it gives
    network: bool = False  # whether it may have connections, each for a request that was decided

    def __post_init__(self) -> None:
        fault = grant_fault(self.environment, self.preopens)
        if fault is None and len(self.hull) > MAX_HULL:
            fault = f"{len(self.hull)} places of files are more than {MAX_HULL}"
        if self.audited and any(one.rules is None for one in self.directories):
            fault = "opens can be recorded only where each path is judged"
        if fault is not None:
            raise GrantError(fault)

    def __repr__(self) -> str:
        # The values may be secrets: they stand in no text.
        names = [name for name, _ in self.environment]
        return (
            f"Grants({self.limits!r}, environment of {names!r}, "
            f"directories={self.directories!r}, uid={self.uid!r}, file_size={self.file_size!r}, "
            f"network={self.network})"
        )

    @property
    def preopens(self) -> list[Preopen]:
        return [directory.preopen for directory in self.directories]

    @property
    def hull(self) -> frozenset[Place]:
        """Beyond these a worker reaches no file, whatever it does."""
        return frozenset(place for one in self.directories for place in one.reached)

    @property
    def exact(self) -> bool:
        """Whether each path that the guest names is judged, and not the directories alone."""
        return any(one.rules is not None for one in self.directories)

    @property
    def storage(self) -> Storage:
        if any(directory.writable for directory in self.directories):
            return Storage.WRITE
        return Storage.READ if self.directories else Storage.NONE
