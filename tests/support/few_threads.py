"""A real limit on processes and threads: of a control group for root, of the user for others.

Nobody limits root by RLIMIT_NPROC (setrlimit(2)), and an ordinary user has no control group.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.processes import descendants

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLACES = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))  # of version 1, and of 2
_ROOM = 200


@contextmanager
def limited() -> Iterator[None]:
    """Have an ordinary user's limit in force for what is started from now on.

    A namespace keeps the limit that its maker had then: `threads_left` only fills it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if os.geteuid() != 0:
        resource.setrlimit(resource.RLIMIT_NPROC, (_tasks_of_user() + _ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))


@contextmanager
def threads_left(count: int, pid: int) -> Iterator[None]:
    """Let a process, and all that it started, have so many more; within `limited`."""
    with _in_a_group(pid, count) if os.geteuid() == 0 else _beside_others(count):
        yield


# Takes all that there is, and gives back what it is told to.
_FILLER = """
import sys, threading
back, last = threading.Semaphore(0), threading.Semaphore(0)
def hold(until):
    until.acquire()
count, threads = int(sys.argv[1]), []
try:
    while True:
        threads.append(threading.Thread(target=hold, args=[back if len(threads) < count else last]))
        threads[-1].start()
except RuntimeError:
    threads.pop()
for thread in threads[:count]:
    back.release()
for thread in threads[:count]:
    thread.join()
print("full", flush=True)
sys.stdin.read()
for thread in threads:
    last.release()
"""


@contextmanager
def _beside_others(count: int) -> Iterator[None]:
    """All but so many threads of the user are taken by another program of that user's."""
    with subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-I", "-c", _FILLER, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as filler:
        assert filler.stdout is not None
        assert filler.stdout.readline() == b"full\n"
        yield
        filler.communicate()


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
def _in_a_group(pid: int, count: int) -> Iterator[None]:
    group = _new_group()
    try:
        for each in (pid, *(seen.pid for seen in descendants(pid) if seen.state != "Z")):
            _move(each, group)
        most = int((group / "pids.current").read_text()) + count
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
