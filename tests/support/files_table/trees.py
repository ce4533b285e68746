"""What stands on disk before a row of the table, and what of it is another afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Link(NamedTuple):
    to: str | bytes


Node: TypeAlias = "str | bytes | Link | Callable[[Path], None] | None"  # None: a directory
Tree: TypeAlias = "Mapping[str, Node]"  # by the path below the granted directory

SECRET = "SECRET"  # noqa: S105 - the content of what is denied
GRANTED, OUTSIDE, SIGNALS = "d", "beside", "s"
# In each row: `beside` is outside of what is granted.
USUAL: Tree = {
    "file": "inside",
    ".env": SECRET,
    "sub/file": "below",
    "sub/.env": SECRET,
    "empty": None,
    f"../{OUTSIDE}/file": "outside",
}

GONE = "gone"
DIRECTORY = "directory"
_MAX_DEPTH = 6  # what is deeper is too deep for a path
_MAX_SHOWN = 1000
_OLD_S = 1000  # who sets times in a row sets earlier ones


def plant(base: Path, tree: Tree) -> None:
    """Make what stands there: the usual, and this."""
    (base / GRANTED).mkdir()
    (base / SIGNALS).mkdir()
    for name, node in {**USUAL, **tree}.items():
        path = Path(os.path.normpath(base / GRANTED / name))
        path.parent.mkdir(parents=True, exist_ok=True)
        match node:
            case str():
                path.write_text(node)
            case bytes():
                path.write_bytes(node)
            case Link(to):
                os.symlink(os.fsencode(to), os.fsencode(path))  # noqa: PTH211 - of any bytes
            case None:
                path.mkdir(exist_ok=True)
            case _:
                node(path)


def uproot(base: Path) -> None:
    """Delete it, however deep it is."""
    subprocess.run(["rm", "-rf", "--", base], check=True)  # noqa: S603, S607 - ours, of the system


def seen(base: Path) -> dict[str, str]:
    """All that stands there but signals, by its path below the granted directory."""
    found = {}
    for folder, names, others in os.walk(base):
        if folder == str(base):
            names.remove(SIGNALS)
        if len(Path(folder).relative_to(base).parts) >= _MAX_DEPTH:
            names.clear()
        for name in names + others:
            path = os.path.join(folder, name)  # noqa: PTH118 - of any bytes
            found[os.path.relpath(path, base / GRANTED)] = _told(path)
    return found


def changed(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    """What is there now, or GONE, of all that was changed."""
    differ = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    return {path: after.get(path, GONE) for path in sorted(differ)}


def _told(path: str) -> str:
    found = os.lstat(path)
    times = f" @{int(found.st_mtime)}" if found.st_mtime < _OLD_S else ""
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFREG:
        if found.st_size > _MAX_SHOWN:
            return f"{found.st_size} bytes{times}"
        return Path(path).read_bytes().decode("utf-8", "surrogateescape") + times
    if kind == stat.S_IFLNK:
        return f"-> {os.readlink(path)}{times}"  # noqa: PTH115 - of any bytes
    return _KINDS.get(kind, "something else") + times


_KINDS = {stat.S_IFDIR: DIRECTORY, stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}


# --- what can't be said in a word ------------------------------------------------------------


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        # By a short way to it: a socket's path has 107 bytes at most (unix(7)).
        folder = os.open(path.parent, os.O_PATH)
        try:
            made.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)


def second_name_of(other: str) -> Callable[[Path], None]:
    """A hard link."""
    return lambda path: os.link(os.path.normpath(path.parent / other), path)


def sparse(size: int, end: bytes) -> Callable[[Path], None]:
    """Nothing but a few bytes at its end."""

    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(size)
            file.seek(size - len(end))
            file.write(end)

    return make


def deep(name: str, levels: int) -> Callable[[Path], None]:
    """Directories in each other, made by handles; a file, and what is denied, in the last."""

    def make(path: Path) -> None:
        path.mkdir()
        handle = os.open(path, os.O_PATH)
        for _ in range(levels):
            os.mkdir(name, dir_fd=handle)
            below = os.open(name, os.O_PATH, dir_fd=handle)
            os.close(handle)
            handle = below
        for each, content in {"file": "deep", ".env": SECRET}.items():
            number = os.open(each, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=handle)
            os.write(number, content.encode())
            os.close(number)
        os.close(handle)

    return make


# --- what another process does meanwhile -----------------------------------------------------


def moved(old: str, new: str) -> Callable[[Path], None]:
    def move(folder: Path) -> None:
        os.rename(os.path.normpath(folder / old), os.path.normpath(folder / new))  # noqa: PTH104 - `..`

    return move


def deleted(name: str) -> Callable[[Path], None]:
    return lambda folder: shutil.rmtree(folder / name)


def replaced_by(name: str, node: Node) -> Callable[[Path], None]:
    """Something else under its name; what it was is called `old`."""

    def replace(folder: Path) -> None:
        (folder / name).rename(folder / "old")
        if isinstance(node, Link):
            (folder / name).symlink_to(os.fsdecode(node.to))
        else:
            (folder / name).write_text(str(node))

    return replace
