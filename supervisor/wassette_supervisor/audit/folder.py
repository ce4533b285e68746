"""The folder of the audit log: its files, in their order, and the errors of the system."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from wassette_supervisor.errors import AuditError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER: Final = "audit"  # in the folder of the components
HEAD: Final = "head"
HEAD_BYTES: Final = 20 + 1 + 64 + 1

# O_NONBLOCK: a FIFO in the place of a file is refused, and not waited for.
_SAFE: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_NAME: Final = re.compile(r"audit-([0-9]{6,15})\.jsonl")
_HEAD: Final = re.compile(rb"(00[0-9]{18}) ([0-9a-f]{64})\n")
_ELSEWHERE: Final = "give this user access to it, or choose another folder with --component-dir"
_IN_PLACE: Final = "something else is in its place; look at what it is, and move it away"
_ADVICE: Final = {
    errno.ENOSPC: "free some space on its disk and try again",
    errno.EDQUOT: "free some of this user's quota on its disk and try again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) and try again",
    errno.EIO: "its disk may be failing; choose another folder with --component-dir",
    errno.ELOOP: _IN_PLACE,
    errno.ENOTDIR: _IN_PLACE,
    errno.EEXIST: _IN_PLACE,
    errno.EISDIR: _IN_PLACE,
    errno.ENXIO: _IN_PLACE,  # a FIFO, or a socket
}


class Head(NamedTuple):
    """The last entry of the log, kept apart so that its loss shows."""

    seq: int
    hash: str

    def encode(self) -> bytes:
        return b"%020d %s\n" % (self.seq, self.hash.encode())


def parse_head(data: bytes) -> Head | None:
    found = _HEAD.fullmatch(data)
    return Head(int(found[1]), found[2].decode()) if found else None


def file_name(number: int) -> str:
    return f"audit-{number:06}.jsonl"


def open_folder(path: Path, *, make: bool = False) -> int:
    """A descriptor of the folder, which is no symbolic link.

    Raises:
        OSError: There is none, or it can't be opened.
    """
    if make:
        _make(path)
    descriptor = os.open(path, _SAFE | os.O_RDONLY | os.O_DIRECTORY)
    try:
        if make and os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o700)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _make(path: Path) -> None:
    if not path.parent.is_dir():
        _make(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)


def open_file(folder: int, name: str, flags: int) -> int:
    """A descriptor of a regular file in the folder.

    Raises:
        OSError: There is none, or something else is in its place.
    """
    descriptor = os.open(name, flags | _SAFE, 0o600, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ENXIO, "it is no regular file")
    return descriptor


def numbers(folder: int) -> list[int]:
    """Which files the log has, in their order."""
    found = (_NAME.fullmatch(name) for name in os.listdir(folder))
    return sorted(
        int(match[1]) for match in found if match and match[0] == file_name(int(match[1]))
    )


@contextmanager
def explained(doing: str, path: Path) -> Iterator[None]:
    """Make an AuditError of what the system refuses."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, _ELSEWHERE)
        raise AuditError(
            f"can't {doing} the audit log {one_line(str(path))}: {error.strerror}; {advice}"
        ) from error
