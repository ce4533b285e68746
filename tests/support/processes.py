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

    def read(self, file: str) -> str:
        return Path(f"/proc/{self.pid}/{file}").read_text()

    def status(self, field: str) -> str:
        for line in self.read("status").splitlines():
            if line.startswith(f"{field}:"):
                return line.split(":", 1)[1].strip()
        raise LookupError(field)


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
            found.append(Seen(int(entry.name), int(fields[1]), name, fields[0]))
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
        while not condition():
            await anyio.sleep(0.01)
        return
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")


async def running_worker() -> Seen:
    """The worker of the call that runs: unlike a spare, it has a thread for its deadline."""
    found: list[Seen] = []

    def is_there() -> bool:
        found[:] = [seen for seen in named("wassette-worker") if _threads(seen) > 1]
        return bool(found)

    await until(is_there, "a worker in the middle of a call")
    return found[0]


def _threads(seen: Seen) -> int:
    try:
        return int(seen.status("Threads"))
    except OSError:
        return 0
