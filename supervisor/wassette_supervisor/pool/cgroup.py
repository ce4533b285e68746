"""A control group for each template: the memory and the processes of all its workers together.

Used where a group of version 2 was delegated to this server alone: whoever manages the groups of a
system has said so (kernel: admin-guide/cgroup-v2; systemd: CGROUP_DELEGATION). Limits of single
processes hold with and without it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

import structlog

log = structlog.get_logger(__name__)

MOUNT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")

_WANTED = ("memory", "pids")
# What says that a group's manager leaves it to us; its files may belong to root all the same.
_DELEGATED = ("trusted.delegate", "user.delegate")

_PREFIX = "template-"

# What a worker's process needs beside its guest's memory, as its own limit has it.
_HOST_OVERHEAD = 384 << 20
# Of a worker: the engine starts one for each processor, and one for each file that it waits for.
_THREADS = 128


class UnavailableError(Exception):
    """There is no group to divide; the text says why."""


class Room(NamedTuple):
    """What all processes of a group may have together."""

    memory: int  # bytes
    processes: int  # threads count as well

    @classmethod
    def of(cls, memory: int, calls: int) -> Room:
        """For so many calls at once, each with so many bytes of linear memory, and their spare."""
        workers = calls + 1
        return cls((memory + _HOST_OVERHEAD) * workers + _HOST_OVERHEAD, _THREADS * workers)


class Groups:
    """The group that was delegated to this process, which has moved into a group below it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, number: int, room: Room) -> Group:
        """A new group.

        Raises:
            OSError: The kernel refuses it.
        """
        folder = self._folder / f"{_PREFIX}{os.getpid()}-{number}"
        folder.mkdir()
        (folder / "memory.max").write_text(str(room.memory))
        (folder / "pids.max").write_text(str(room.processes))
        return Group(folder)

    def clear(self) -> None:
        """Remove what ended templates have left; what is in use stays."""
        for folder in self._folder.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                folder.rmdir()


class Group:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, pid: int) -> None:
        """Move a process into it; what it starts is in it as well.

        Raises:
            OSError: The kernel refuses it.
        """
        (self._folder / "cgroup.procs").write_text(str(pid))


def find(own: Path = OWN, mount: Path = MOUNT) -> Path:
    """The group that was delegated to this process.

    Raises:
        UnavailableError: There is none.
    """
    try:
        lines = own.read_text().splitlines()
        path = next(line[3:] for line in lines if line.startswith("0::"))
        folder = mount / path.lstrip("/")
        controllers = (folder / "cgroup.controllers").read_text().split()
        members = (folder / "cgroup.procs").read_text().split()
    except (OSError, StopIteration):
        raise UnavailableError("there is no cgroup v2 of this process") from None
    missing = [wanted for wanted in _WANTED if wanted not in controllers]
    if missing:
        raise UnavailableError(f"the group {path} has no controller of {' or '.join(missing)}")
    if not _is_delegated(folder):
        raise UnavailableError(f"the group {path} was not delegated to this user")
    if set(members) - {str(os.getpid())}:
        raise UnavailableError(f"the group {path} has other processes")
    return folder


def enter(folder: Path) -> Groups:
    """Divide the group: this process moves below it, since only leaves may have processes.

    Raises:
        OSError: The kernel refuses it.
    """
    server = folder / "server"
    server.mkdir(exist_ok=True)
    (server / "cgroup.procs").write_text(str(os.getpid()))
    (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in _WANTED))
    return Groups(folder)


def enter_own() -> Groups | None:
    """Divide this process' group, if it was delegated."""
    try:
        return enter(find())
    except UnavailableError as error:
        log.debug("cgroup.none", why=str(error))
    except OSError as error:
        log.warning("cgroup.unusable", why=str(error))
    return None


def _is_delegated(folder: Path) -> bool:
    files = ("", "cgroup.procs", "cgroup.subtree_control")
    if not all(os.access(folder / file, os.W_OK) for file in files):
        return False
    # Root may write to any group: it is its manager's unless that says otherwise.
    return os.geteuid() != 0 or any(_attribute(folder, name) == b"1" for name in _DELEGATED)


def _attribute(folder: Path, name: str) -> bytes:
    try:
        return os.getxattr(folder, name)
    except OSError:
        return b""
