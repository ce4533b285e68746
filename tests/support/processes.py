"""What the processes of a supervisor look like from outside, in /proc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 10


class Seen(NamedTuple):
    pid: int
    parent: int
    name: str
    state: str
    started: int  # clock ticks since the system's start

    def read(self, file: str) -> str:
        return Path(f"/proc/{self.pid}/{file}").read_text()

    def descriptors(self) -> dict[int, str]:
        folder = Path(f"/proc/{self.pid}/fd")
        return {int(entry.name): str(entry.readlink()) for entry in folder.iterdir()}

    def namespace(self, kind: str) -> str:
        return namespace_of(self.pid, kind)

    def owner_of(self, file: str) -> int:
        return Path(f"/proc/{self.pid}/{file}").stat().st_uid

    def status(self, field: str) -> str:
        for line in self.read("status").splitlines():
            if line.startswith(f"{field}:"):
                return line.split(":", 1)[1].strip()
        raise LookupError(field)


def namespace_of(pid: int, kind: str) -> str:
    return str(Path(f"/proc/{pid}/ns/{kind}").readlink())


def descendants(root: int | None = None) -> list[Seen]:
    """Every process below `root` (this one), zombies too."""
    everybody = {seen.pid: seen for seen in _everybody()}
    found: list[Seen] = []
    wanted = {root or os.getpid()}
    while wanted:
        wanted = {pid for pid, seen in everybody.items() if seen.parent in wanted}
        found += [everybody[pid] for pid in sorted(wanted)]
    return found


def named(name: str, root: int | None = None) -> list[Seen]:
    """The living descendants of this name, as `ps -o comm` shows it."""
    return [seen for seen in descendants(root) if seen.name == name and seen.state != "Z"]


def _everybody() -> list[Seen]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            head, _, tail = text.rpartition(")")
            fields = tail.split()
            name = head.split("(", 1)[1]
            found.append(Seen(int(entry.name), int(fields[1]), name, fields[0], int(fields[19])))
    return found


def open_descriptors() -> dict[int, str]:
    """This process' descriptors and what they are."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[int(entry.name)] = str(entry.readlink())
        except OSError:
            continue
    return found


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait until the system shows it: no event of ours tells what /proc holds."""
    with anyio.move_on_after(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - see above
            await anyio.sleep(0.01)
        return
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")


async def running_worker() -> Seen:
    """The worker of the one call that runs: the older of two, the other is its spare.

    The spare is asked for when the first is handed its call.
    """
    found: list[Seen] = []

    def are_there() -> bool:
        found[:] = sorted(named("wassette-worker"), key=lambda seen: seen.started)
        return len(found) == 2

    await until(are_there, "a worker in the middle of a call, and a spare")
    return found[0]
