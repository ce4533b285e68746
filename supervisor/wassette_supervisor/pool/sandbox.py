"""What a child must have given up before it is given anything, and what this system lacks of it.

The names are those of the steps that a child tells (worker/wassette_worker/sandbox/lists.py).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import structlog

from wassette_protocol.codec import PeerViolation
from wassette_supervisor.errors import IsolationUnavailableError, one_line
from wassette_supervisor.pool.identities import spare_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)

# An init handles no untrusted byte: it lets its children become somebody else.
STARTS_INTERPRETERS = frozenset(
    {"session", "descriptors", "death-signal", "no-new-privileges", "rlimits", "first-to-be-killed"}
)
# What every other child must have done before it sees an untrusted byte.
MAPS = STARTS_INTERPRETERS | frozenset(
    {"capabilities", "not-dumpable", "one-thread", "landlock", "seccomp"}
)
# The broker maps no code after its start.
SPEAKS_WITH_THE_WORLD = MAPS | {"no-executable-memory"}
# And before its component is instantiated.
RUNS_GUESTS = MAPS | {"own-seccomp", "no-executable-memory"}
# A fork shares its template's layer of Landlock with its siblings.
IS_FORKED = frozenset({"own-landlock"})

# What `--sandbox required` asks of the kernel: its name for people, and what brings it.
_BASIC = {
    "landlock": ("Landlock", "Linux from 5.13 on, with `landlock` among its lsm="),
    "seccomp": ("seccomp filters", "Linux with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64"),
}


class Sandbox:
    """The requirements of one supervisor; with `available`, less where the kernel has less."""

    def __init__(self, *, available: bool) -> None:
        self.lacking: Mapping[str, str] = {}
        self.namespaces = False
        self._available = available
        self._warned = False

    def learn(self, namespaces: str, lacking: Mapping[str, str]) -> None:
        """Take what a zygote found: why there are no namespaces, and which steps there are not."""
        self.namespaces = not namespaces
        self.lacking = lacking
        if not self._warned:
            self._warned = True
            self._warn(namespaces)

    def _warn(self, namespaces: str) -> None:
        if namespaces:
            log.warning(
                "isolation.no-namespaces",
                why=one_line(namespaces),
                lost="the second layer: filters and fence hold workers without it",
            )
        if os.geteuid() == 0 and spare_ids() is None:
            log.warning(
                "isolation.same-user",
                lost="workers stay the server's user; filters and fence hold them as they are",
            )
        for step, why in self.lacking.items() if self._available else ():
            if step in _BASIC:
                log.warning("isolation.less", without=_BASIC[step][0], why=one_line(why))

    def refuse_if_lacking(self) -> None:
        """Let nothing start where something basic is not there, unless the operator said so.

        Raises:
            IsolationUnavailableError: It is not there.
        """
        missing = [] if self._available else [step for step in _BASIC if step in self.lacking]
        if missing:
            name, remedy = _BASIC[missing[0]]
            why = one_line(self.lacking[missing[0]])[:80]
            raise IsolationUnavailableError(
                f"the kernel has no {name} ({why}); use {remedy}, or start the server with "
                "--sandbox available to run without"
            )

    def network_lacks(self) -> str:
        """Why no worker can be given a network of the broker's alone; empty if it can.

        A template that was broken into before its workers lock themselves down could listen to its
        own doorbell. That it can't answer it is one row of a filter: so there is a second layer, or
        no network.
        """
        if why := self.lacking.get("doorbell"):
            return f"its connections can't be answered by another process ({one_line(why)[:80]})"
        if not self.namespaces and "own-landlock" in self.lacking:
            return "there are neither namespaces nor Landlock's rules of ports (Linux 6.7)"
        return ""

    def refuse_network_if_lacking(self) -> None:
        """Let nothing start that was granted a host, where nothing would keep it to that.

        Raises:
            IsolationUnavailableError: Nothing would.
        """
        if why := self.network_lacks():
            raise IsolationUnavailableError(
                f"a tool with a network can't be kept to it here: {why}; `doctor` has more, and a "
                "policy without network rules runs"
            )

    def of_init(self) -> frozenset[str]:
        return self._where_namespaces(STARTS_INTERPRETERS)

    def of_mapper(self, *, becomes_other: bool) -> frozenset[str]:
        """Of a template or a compile worker."""
        return self._where_namespaces(self._that_there_are(MAPS) | self._of_root(becomes_other))

    def of_broker(self, *, becomes_other: bool) -> frozenset[str]:
        """It needs the system's network, so it has no namespaces."""
        return self._that_there_are(SPEAKS_WITH_THE_WORLD) | self._of_root(becomes_other)

    def of_worker(self, *, becomes_other: bool, is_forked: bool) -> frozenset[str]:
        steps = RUNS_GUESTS | IS_FORKED if is_forked else RUNS_GUESTS
        return self._where_namespaces(self._that_there_are(steps) | self._of_root(becomes_other))

    def _that_there_are(self, steps: frozenset[str]) -> frozenset[str]:
        # Of the basic ones nothing is started without, unless the operator said so.
        return steps - self.lacking.keys()

    def _of_root(self, becomes_other: bool) -> frozenset[str]:  # noqa: FBT001 - of one caller each
        return frozenset({"identity"}) if becomes_other else frozenset()

    def _where_namespaces(self, steps: frozenset[str]) -> frozenset[str]:
        return steps | {"namespaces"} if self.namespaces else steps


def check(steps: list[str], required: frozenset[str]) -> None:
    """Refuse a child that gave up less than it must.

    Raises:
        PeerViolation: A step is missing.
    """
    if missing := required - set(steps):
        raise PeerViolation(f"a process without {', '.join(sorted(missing))}")
