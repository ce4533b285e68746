"""What the kernel has of what is used where it is there: asked once, by calls that change nothing.

A step that the kernel can't take is left out of the lists, and named here; whether a process
without it may see an untrusted byte is the supervisor's to say.
"""

from __future__ import annotations

from functools import cache

from wassette_worker.sandbox import landlock, seccomp
from wassette_worker.sandbox.libc import PR_GET_MDWE, prctl

# Names of steps, as the supervisor is told them.
LANDLOCK = "landlock"
OWN_LANDLOCK = "own-landlock"
SECCOMP = "seccomp"
OWN_SECCOMP = "own-seccomp"
NO_EXEC_GAIN = "no-executable-memory"
# No step, but what a worker's network needs: asked for by the zygote alone.
DOORBELL = "doorbell"


@cache
def lacking() -> dict[str, str]:
    """The steps that no process here can take, each with the reason."""
    found: dict[str, str] = {}
    if why := seccomp.refusal():
        found |= {SECCOMP: why, OWN_SECCOMP: why}
    try:
        reaches = landlock.has_reach()
    except OSError as error:
        found |= {LANDLOCK: str(error), OWN_LANDLOCK: str(error)}
    else:
        if not reaches:
            found[OWN_LANDLOCK] = f"its ABI is {landlock.abi()}"
    try:
        prctl(PR_GET_MDWE)
    except OSError as error:
        found[NO_EXEC_GAIN] = str(error)
    return found


def has(step: str) -> bool:
    return step not in lacking()
