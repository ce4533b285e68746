"""Processes below this one, as /proc shows them."""

from __future__ import annotations

import os
from pathlib import Path

_WORKER, _BROKER = "wassette-worker", "wassette-broker"


def workers() -> list[dict[str, str]]:
    """The fields of /proc/PID/status of each living worker, the latest generation first."""
    return _named(_WORKER)


def brokers() -> list[dict[str, str]]:
    """The same of each living broker."""
    return _named(_BROKER)


def _named(name: str) -> list[dict[str, str]]:
    statuses = map(_status, reversed(_below(os.getpid())))
    return [
        fields
        for fields in statuses
        if fields.get("Name") == name and not fields["State"].startswith("Z")
    ]


def _below(root: int) -> list[int]:
    """The processes that are descendants of one, in no order that matters."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _status(int(entry.name))):
            parents[int(entry.name)] = int(fields["PPid"])
    found, latest = list[int](), {root}
    while latest:
        latest = {pid for pid, parent in parents.items() if parent in latest}
        found += sorted(latest)
    return found


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:  # it has ended
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name: value.strip() for name, _, value in pairs}
