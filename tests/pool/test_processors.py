"""Which processor a call with files runs on."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from wassette_supervisor.pool.process import Process
from wassette_supervisor.pool.processors import Processors

if TYPE_CHECKING:
    from collections.abc import Iterator

# Two threads, which say so and wait for the end of their input.
_TWO_THREADS = """
import sys, threading
threading.Thread(target=sys.stdin.read).start()
print("ready", flush=True)
"""


@contextmanager
def two_threads() -> Iterator[tuple[Process, int]]:
    with subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-c", _TWO_THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        pidfd = os.pidfd_open(child.pid)
        try:
            yield Process(pidfd), child.pid
        finally:
            os.close(pidfd)
            child.stdin.close()


def allowed(pid: int) -> list[set[int]]:
    """The processors of each thread."""
    threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - names alone
    return [os.sched_getaffinity(int(thread)) for thread in threads]


def test_all_threads_of_a_worker_are_kept_on_one_processor() -> None:
    with two_threads() as (process, pid), Processors().one_for(process):
        first, *others = allowed(pid)
        assert len(first) == 1
        assert others == [first]


def test_two_calls_are_on_two_processors() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one processor alone")
    processors = Processors()
    with two_threads() as (one, pid), two_threads() as (other, other_pid):
        with processors.one_for(one), processors.one_for(other):
            assert allowed(pid)[0].isdisjoint(allowed(other_pid)[0])
        with processors.one_for(other):  # those that have ended don't count
            assert allowed(other_pid)[0] == allowed(pid)[0]


def test_a_worker_that_has_ended_is_no_error_here() -> None:
    with two_threads() as (process, _):
        process.kill()
        os.waitid(os.P_PIDFD, process._pidfd, os.WEXITED | os.WNOWAIT)
        with Processors().one_for(process):
            pass
