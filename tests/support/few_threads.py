"""A real limit on processes and threads: of a control group for root, of the user for others.

Nobody limits root by RLIMIT_NPROC (setrlimit(2)), and an ordinary user has no control group.
"""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.processes import descendants

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLACES = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))  # of version 1, and of 2


@contextmanager
def threads_left(count: int, pid: int, *, below: bool = True) -> Iterator[None]:
    """Let a process have so many more; fewer than none is none.

    Args:
        count: Processes and threads.
        pid: Whose they are.
        below: Limits what it has started already, too.
    """
    pids = [pid, *(seen.pid for seen in descendants(pid) if seen.state != "Z")] if below else [pid]
    with _in_a_group(pids, count) if os.geteuid() == 0 else _of_a_user(pids, count):
        yield


@contextmanager
def _of_a_user(pids: list[int], count: int) -> Iterator[None]:
    before = {pid: resource.prlimit(pid, resource.RLIMIT_NPROC) for pid in pids}
    most = max(0, _tasks_of_user() + count)
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_NPROC, (most, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NPROC, limits)


def _tasks_of_user() -> int:
    found = 0
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and _user(process) == os.geteuid():
                found += len(list((process / "task").iterdir()))
    return found


def _user(process: Path) -> int:
    # Not the files' owner: those of what isn't dumpable are root's.
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Uid:"))


@contextmanager
def _in_a_group(pids: list[int], count: int) -> Iterator[None]:
    group = _new_group()
    try:
        for pid in pids:
            _move(pid, group)
        most = max(0, int((group / "pids.current").read_text()) + count)
        (group / "pids.max").write_text(str(most))
        yield
    finally:
        (group / "pids.max").write_text("max")
        while left := (group / "cgroup.procs").read_text().split():
            for number in left:
                _move(int(number), group.parent)
        group.rmdir()


def _move(pid: int, group: Path) -> None:
    with suppress(ProcessLookupError):
        (group / "cgroup.procs").write_text(str(pid))


def _new_group() -> Path:
    for place in _PLACES:
        group = place / f"wassette-test-{os.getpid()}"
        with suppress(OSError):
            group.mkdir()
            if (group / "pids.max").exists():
                return group
            group.rmdir()
    pytest.skip("root's threads are limited by control groups, and none can be made here")
