"""Where a child of the zygote lives: its namespaces and the user it becomes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wassette_protocol.frames import Identity


@dataclass(frozen=True)
class Placement:
    """How the child was made, and by whom."""

    namespaces: bool  # made with its own
    identity: Identity | None  # what to become; None for an ordinary user, who stays what it is
    parent: int | None  # its parent's pid as it sees it, if it can

    def assert_in_force(self) -> None:
        """Check from inside that this is the first process, and that no network is here.

        Raises:
            OSError: It is not so.
        """
        if os.getpid() != 1 and os.getppid() != 1:
            raise OSError(f"pid {os.getpid()} in the PID namespace")
        # The loopback device exists in every network namespace, and is down in a new one.
        lines = Path("/proc/self/net/dev").read_text().splitlines()[2:]
        names = [line.split(":")[0].strip() for line in lines]
        if names != ["lo"]:
            raise OSError(f"network devices {names}")
