"""A layer under the product that counts the calls that change a folder, and has one of them fail.

It takes the place of the functions of `os`, in a forked child. What it counts is all there is:
`Layer.unseen` names what changed the folder without it.
"""

# ruff: noqa: PTH102, PTH109, PTH112, PTH115, PTH117, PTH123, PTH208 - what pathlib calls is replaced

from __future__ import annotations

import errno
import gc
import os
import traceback
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from wassette_supervisor.errors import SupervisorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Deed = Literal["count", "before", "halfway", "after", "power", "ENOSPC", "EIO"]

_BY_DESCRIPTOR: Final = (
    *("write", "pwrite", "writev", "pwritev", "ftruncate", "fsync", "fdatasync", "fchmod"),
    *("fchown", "posix_fallocate", "copy_file_range", "sendfile"),
)
_BY_PATH: Final = (
    *("rename", "replace", "unlink", "remove", "rmdir", "mkdir", "utime", "link", "symlink"),
    *("chmod", "chown", "lchown", "truncate", "mknod", "mkfifo", "setxattr", "removexattr"),
)
_SYNCS: Final = ("fsync", "fdatasync")
_WRITES: Final = ("write", "pwrite")
_CREATES: Final = os.O_CREAT | os.O_TRUNC
KILLED: Final = 77


class Report(msgspec.Struct):
    """What a child says of itself, if it lived."""

    calls: list[str]  # each that changes the folder, in order
    refused: str | None  # the error that the operation ended with
    bug: str | None  # what it should never have raised
    left_open: list[str]
    unseen: list[str]


class _Bytes:
    """A file's content that survives the loss of power."""

    def __init__(self, synced: bytes) -> None:
        self.synced = synced


class _Disk:
    """What survives the loss of power at the least: what was synced, under names that were."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._files: dict[int, _Bytes] = {}
        self._names: dict[str, dict[str, _Bytes | None]] = {}  # None: a folder
        for folder, _, names in os.walk(root):
            for name in names:
                path = f"{folder}/{name}"
                self._files[os.lstat(path).st_ino] = _Bytes(_content(path))
            self._names[folder] = self._listed(folder)

    def created(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if status.st_size == 0:
            self._files[status.st_ino] = _Bytes(b"")

    def synced(self, path: str) -> None:
        if os.path.isdir(path):
            self._names[path] = self._listed(path)
        else:
            self._files[os.lstat(path).st_ino].synced = _content(path)

    def survives(self, target: str, *, names: bool) -> None:
        """Write it to another folder; with `names`, all names survive, and no more content."""
        os.mkdir(target, 0o700)
        listed = self._listed(self.root) if names else self._names.get(self.root, {})
        self._write(self.root, listed, target, names=names)

    def _write(
        self, folder: str, listed: dict[str, _Bytes | None], target: str, *, names: bool
    ) -> None:
        for name, file in listed.items():
            path = f"{target}/{name}"
            if file is None:
                os.mkdir(path, 0o700)
                inner = f"{folder}/{name}"
                within = self._listed(inner) if names else self._names.get(inner, {})
                self._write(inner, within, path, names=names)
            else:
                with open(path, "wb") as copy:
                    copy.write(file.synced)

    def _listed(self, folder: str) -> dict[str, _Bytes | None]:
        with os.scandir(folder) as entries:
            return {
                entry.name: None
                if entry.is_dir()
                else self._files.setdefault(entry.inode(), _Bytes(b""))
                for entry in entries
            }


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _looks(root: str) -> dict[str, tuple[int, int, int, int]]:
    looks = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files, "."):
            found = os.lstat(f"{folder}/{name}")
            looks[f"{folder}/{name}"] = (
                *(found.st_ino, found.st_size, found.st_mtime_ns),
                found.st_mode,
            )
    return looks


class Layer:
    """Stands in for the functions of `os` that change what is on a disk."""

    def __init__(self, root: Path, at: int, deed: Deed) -> None:
        self.calls: list[str] = []
        self.unseen: list[str] = []
        self._root = os.path.realpath(root)
        self._at = at
        self._deed = deed
        self._disk = _Disk(self._root) if deed == "power" else None
        self._lost = 0
        self._looks = _looks(self._root) if deed == "count" else {}
        self._real = {name: getattr(os, name) for name in ("open", *_BY_DESCRIPTOR, *_BY_PATH)}

    @contextmanager
    def installed(self) -> Iterator[None]:
        self._replace()
        try:
            yield
        finally:
            self._lose_power()
            self._restore()
            if self._deed == "count":
                self._compare("the end")

    def _replace(self) -> None:
        for name, function in self._real.items():
            setattr(os, name, self._standing_in(name, function))

    def _restore(self) -> None:
        for name, function in self._real.items():
            setattr(os, name, function)

    def _standing_in(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def function(*args: Any, **keywords: Any) -> Any:
            where = self._changed_by(name, args, keywords.get("dir_fd"))
            if where is None:
                return real(*args, **keywords)
            number = len(self.calls)
            if self._deed == "count":
                self._compare(f"{name} {where}")
            self.calls.append(f"{name} {os.path.relpath(where, self._root)}")
            self._lose_power()
            if number == self._at:
                self._fail(name, real, args)
            try:
                result = real(*args, **keywords)
                self._done(name, where, result)
            finally:
                if number == self._at:  # `after`, all others are over
                    os._exit(KILLED)
            return result

        return function

    def _changed_by(self, name: str, args: tuple[Any, ...], folder: int | None) -> str | None:
        """What of the root a call is about to change; None for anything else."""
        if name in _BY_DESCRIPTOR:
            path = os.readlink(f"/proc/self/fd/{args[0]}")
        elif name == "open" and not args[1] & _CREATES:
            return None
        else:
            path = os.fsdecode(args[0])
        if not os.path.isabs(path):
            path = f"{os.readlink(f'/proc/self/fd/{folder}') if folder else os.getcwd()}/{path}"
        return path if path.startswith(self._root) else None

    def _fail(self, name: str, real: Callable[..., Any], args: tuple[Any, ...]) -> None:
        match self._deed:
            case "ENOSPC" | "EIO":
                number = getattr(errno, self._deed)
                raise OSError(number, os.strerror(number))
            case "halfway" if name in _WRITES:
                real(args[0], bytes(args[1])[: len(args[1]) // 2], *args[2:])
                os._exit(KILLED)
            case "before" | "halfway":
                os._exit(KILLED)
            case _:
                pass

    def _lose_power(self) -> None:
        """Write down what would survive if the power went now."""
        if self._disk is None:
            return
        for names in (False, True):
            kind = "names" if names else "synced"
            target = f"{self._root}.{kind}.{self._lost}"
            self._restore()
            self._disk.survives(target, names=names)
        self._lost += 1
        self._replace()

    def _done(self, name: str, where: str, result: Any) -> None:
        if self._disk is not None:
            if name == "open":
                self._disk.created(result)
            elif name in _SYNCS:
                self._disk.synced(where)
        if self._deed == "count":
            self._looks = _looks(self._root)

    def _compare(self, when: str) -> None:
        now = _looks(self._root)
        for path in sorted({path for path, _ in self._looks.items() ^ now.items()}):
            self.unseen.append(f"{path} before {when}")
        self._looks = now


class Attempt(NamedTuple):
    """An operation on a folder, in which one call fails or is the last."""

    # With `power` there is beside it, for each call and the end, what survives if the power goes
    # before it: `.synced.N` (what was synced and no more) and `.names.N` (all names, and of what
    # is in files only what was synced).
    root: Path
    operation: Callable[[Path], None]
    deed: Deed
    at: int = -1  # which call, from 0


def run(*attempts: Attempt) -> list[Report] | None:
    """Do them in a child, one after the other.

    Returns:
        What it said of each; None if it died at that call.
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of earlier tests
        child = os.fork()
    if child == 0:
        try:
            gc.disable()  # it would copy all pages
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(msgspec.json.encode([_done_in_child(each) for each in attempts]))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == KILLED:
        return None
    return msgspec.json.decode(said, type=list[Report])


def _done_in_child(attempt: Attempt) -> Report:
    layer = Layer(attempt.root, attempt.at, attempt.deed)
    report = Report(layer.calls, None, None, [], layer.unseen)
    before = _descriptors()
    with layer.installed():
        try:
            attempt.operation(attempt.root)
        except SupervisorError as error:
            report.refused = str(error)
        except BaseException:  # noqa: BLE001 - told to the parent
            report.bug = traceback.format_exc()
    report.left_open = sorted(_descriptors() - before)
    return report


def _descriptors() -> set[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that lists
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
    return found
