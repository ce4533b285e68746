"""Giving up this process's rights, in the one order that works.

Every list is irrevocable and ordered; a failed step ends the process. The names of the steps
taken are told to the supervisor, which refuses a process with fewer than it requires.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, NamedTuple

from wassette_worker.sandbox import identity
from wassette_worker.sandbox.libc import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, check, libc, prctl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wassette_worker.sandbox.placement import Placement


_CLONE_THREAD = 0x00010000  # linux/sched.h


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


def birth(placement: Placement, keep: Callable[[], None]) -> list[Step]:
    """What a child of the zygote does first, whatever it will be.

    `keep` leaves only the descriptors that it needs.
    """
    steps = [
        Step("session", _leave_session),
        Step("descriptors", keep),
        Step("death-signal", lambda: die_with_parent(placement.parent)),
        Step("no-new-privileges", identity.forbid_new_privileges),
    ]
    if placement.namespaces:
        steps.append(Step("namespaces", placement.assert_in_force))
    return steps


def surrender(placement: Placement, limit: Callable[[], None]) -> list[Step]:
    """What comes last, when nothing has to be loaded any more."""
    steps = []
    wanted = placement.identity
    if wanted is not None:
        steps.append(Step("identity", lambda: identity.become(wanted)))
    if wanted is not None or placement.namespaces:
        steps.append(Step("capabilities", identity.drop_capabilities))
    steps += [
        # A change of identity cleared it (prctl(2)).
        Step("death-signal-again", lambda: die_with_parent(placement.parent)),
        Step("not-dumpable", lambda: prctl(PR_SET_DUMPABLE, 0)),
        Step("rlimits", limit),
        Step("one-thread", _assert_one_thread),
    ]
    return steps


def forked_worker(keep: Callable[[], None], parent: int, limit: Callable[[], None]) -> list[Step]:
    """What a worker adds to what its template gave up."""
    return [
        Step("session", _leave_session),
        Step("descriptors", keep),
        Step("death-signal", lambda: die_with_parent(parent)),
        Step("not-dumpable", lambda: prctl(PR_SET_DUMPABLE, 0)),
        Step("rlimits", limit),
        Step("one-thread", _assert_one_thread),
    ]


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


def _leave_session() -> None:
    """No controlling terminal; a forked worker is no group leader, so this never fails."""
    os.setsid()


def _assert_one_thread() -> None:
    # Rights are given up by the calling thread alone: another would keep them. This does
    # nothing, and fails in a process with more than one thread (unshare(2), CLONE_THREAD).
    check(libc.unshare(_CLONE_THREAD), "more than one thread")
