"""Steps of giving up rights, and taking them one after the other.

Every list is irrevocable and ordered; a failed step ends the process. The names of the steps
taken are told to the supervisor, which refuses a process with fewer than it requires.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wassette_worker.sandbox.libc import (
    PR_MDWE_REFUSE_EXEC_GAIN,
    PR_SET_DUMPABLE,
    PR_SET_MDWE,
    PR_SET_PDEATHSIG,
    check,
    libc,
    prctl,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_CLONE_THREAD = 0x00010000  # linux/sched.h
_NICER = 5
_OOM_SCORE = Path("/proc/self/oom_score_adj")


class Step(NamedTuple):
    name: str
    apply: Callable[[], object]


class LockdownError(Exception):
    """A step failed; the process must end without touching an untrusted byte."""


def lock_down(steps: Sequence[Step]) -> list[str]:
    """Apply every step; return their names.

    Raises:
        LockdownError: A step failed.
    """
    done = []
    for step in steps:
        try:
            step.apply()
        except OSError as error:
            raise LockdownError(f"{step.name}: {error}") from error
        done.append(step.name)
    return done


def forbid_dumps() -> None:
    """No core file, no tracer, and files in /proc that are root's."""
    prctl(PR_SET_DUMPABLE, 0)


def refuse_executable_memory() -> None:
    """No memory becomes executable any more, by whatever call (PR_SET_MDWE)."""
    prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN)


def die_with_parent(parent: int | None) -> None:
    """SIGKILL when the parent ends; a parent that is gone already ends us now.

    `parent` is its pid as seen from here, None if it lives outside of our PID namespace and so
    has no number: the supervisor then ends what an ended zygote leaves.

    Raises:
        OSError: The parent is gone.
    """
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        raise OSError("the parent is gone")


def leave_session() -> None:
    """No controlling terminal; a forked worker is no group leader, so this never fails."""
    os.setsid()


def be_killed_first() -> None:
    """Let a system without memory end this before anything else (proc_pid_oom_score_adj(5))."""
    # The file is root's while the process isn't dumpable.
    prctl(PR_SET_DUMPABLE, 1)
    _OOM_SCORE.write_text("1000")


def give_way() -> None:
    """Take a processor only a third as often as the supervisor and the zygote, if they want it."""
    os.nice(_NICER)  # weights 335 and 1024: sched_prio_to_weight in the kernel


def assert_one_thread() -> None:
    # Rights are given up by the calling thread alone: another would keep them. This does
    # nothing, and fails in a process with more than one thread (unshare(2), CLONE_THREAD).
    check(libc.unshare(_CLONE_THREAD), "more than one thread")
