"""Ways in which a file of a store is no longer what was kept."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MUCH = 1 << 30


def _cut(path: Path, _: Path) -> None:
    os.truncate(path, path.stat().st_size - 10)


def _flip(path: Path, _: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _swell(path: Path, _: Path) -> None:
    path.write_bytes(b"garbage" * 1000)
    os.truncate(path, MUCH)


def _become_folder(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "note").write_text("somebody's")


def _become_fifo(path: Path, _: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _become_link(path: Path, _: Path) -> None:
    moved = path.rename(path.with_name(f"{path.name}-moved"))
    path.symlink_to(moved)


# What is done to a file, given the same one of another component.
KINDS: dict[str, Callable[[Path, Path], object]] = {
    "empty": lambda path, _: path.write_bytes(b""),
    "cut": _cut,
    "one-bit": _flip,
    "another-component's": lambda path, other: path.write_bytes(other.read_bytes()),
    "unreadable": lambda path, _: path.chmod(0),
    "folder": _become_folder,
    "fifo": _become_fifo,
    "link": _become_link,
    "one-gibibyte": _swell,
    "no-text": lambda path, _: path.write_bytes(b"\xff\xfe{: ["),
    "another-version": lambda path, _: path.write_bytes(b'{"format": 9, "version": "9.0"}'),
    "missing": lambda path, _: path.unlink(),
}


def harmless() -> frozenset[str]:
    """The kinds that are none for this process: root may read everything."""
    with tempfile.NamedTemporaryFile() as file:
        path = Path(file.name)
        path.chmod(0)
        return frozenset({"unreadable"} if os.access(path, os.R_OK) else ())
