"""Looking at a directory of local components, and reading a file of it whole or not at all."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from wassette_supervisor.components import source
from wassette_supervisor.errors import LoadError, SupervisorError, one_line
from wassette_supervisor.store.noticed import Noticed, Stamp
from wassette_supervisor.store.record import MAX_COMPONENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wassette_supervisor.components.source import Fetched

SUFFIX: Final = ".wasm"
# Components of one directory, and entries of any name: whoever may write there sizes no memory.
MAX_FILES = 1000
MAX_ENTRIES = 10_000

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW


class UnusableDirectoryError(SupervisorError):
    """The directory can't be followed as it is; what was loaded from it stays."""


class UnsettledError(SupervisorError):
    """The file is being written, or is another one by now."""


class ChangedFileError(LoadError):
    """The file is no longer what was noticed."""


class Seen(NamedTuple):
    """An entry of the directory."""

    stamp: Stamp
    is_file: bool  # a regular one
    odd: str  # why it can't be a component's file; empty if it can


class Look(NamedTuple):
    """What was there; `missing` if there was no directory, `more` if there were too many files."""

    files: dict[str, Seen]  # in the order of their names
    missing: bool = False
    more: int = 0


def look(directory: Path) -> Look:
    """See which components a directory has; one that isn't there has none.

    Raises:
        UnusableDirectoryError: It can't be followed as it is.
    """
    try:
        with _opened(directory) as descriptor:
            _require_private(os.fstat(descriptor), directory)
            seen = _entries(descriptor, directory)
    except FileNotFoundError:
        return Look({}, missing=True)
    except OSError as error:
        raise UnusableDirectoryError(
            f"{one_line(str(directory))} can't be read: {error.strerror}; let this user read it, "
            "or name another directory"
        ) from error
    names = sorted(seen, key=os.fsencode)
    return Look({name: seen[name] for name in names[:MAX_FILES]}, more=len(names[MAX_FILES:]))


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, _DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _require_private(status: os.stat_result, directory: Path) -> None:
    # As with the store: whoever can write there chooses what this user is asked to run.
    if status.st_mode & 0o022 or status.st_uid not in (os.geteuid(), 0):
        raise UnusableDirectoryError(
            f"others than this user may write to {one_line(str(directory))}; run `chmod go-w` on "
            "it as its owner, or name another directory"
        )


def _entries(descriptor: int, directory: Path) -> dict[str, Seen]:
    found: dict[str, Seen] = {}
    with os.scandir(descriptor) as entries:
        for number, entry in enumerate(entries):
            if number >= MAX_ENTRIES:
                raise UnusableDirectoryError(
                    f"{one_line(str(directory))} has more than {MAX_ENTRIES} entries; name a "
                    "directory that has components alone"
                )
            if not entry.name.endswith(SUFFIX) or entry.name.startswith("."):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # gone meanwhile
                continue
            found[entry.name] = Seen(stamp_of(status), stat.S_ISREG(status.st_mode), _odd(status))
    return found


def stamp_of(status: os.stat_result) -> Stamp:
    return Stamp(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def _odd(status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return "it is a symbolic link, and where it leads may change unseen; put the file there"
    if not stat.S_ISREG(status.st_mode):
        return "it is no regular file; put a component there, or give it another name"
    if status.st_size == 0:
        return "it is empty"
    if status.st_size > MAX_COMPONENT_BYTES:
        return (
            f"it has {status.st_size} bytes, and a component may have {MAX_COMPONENT_BYTES} "
            "(100 MiB) at most; build it without debug information"
        )
    return ""


# --- reading --------------------------------------------------------------------------------


def read(path: Path, stamp: Stamp) -> Fetched:
    """Copy a settled file into sealed memory; the caller closes it.

    Raises:
        UnsettledError: It is being written, or is no longer the one of the stamp.
        LoadError: It can't be read.
    """
    shown = one_line(str(path))
    try:
        with _opened(path.parent) as directory:
            descriptor = os.open(path.name, _FILE, dir_fd=directory)
        try:
            _require_settled(descriptor, stamp, shown)
            fetched = source.copied(descriptor, path.stem, shown)
            if stamp_of(os.fstat(descriptor)) != stamp:
                os.close(fetched.descriptor)
                raise UnsettledError(f"{shown} changed while it was read")
            return fetched
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise UnsettledError(f"{shown} is gone") from error
    except BlockingIOError as error:  # fcntl(2): somebody has a lease to write it
        raise UnsettledError(f"{shown} is being written") from error
    except OSError as error:
        raise LoadError(
            f"{shown} could not be read: {error.strerror}; let this user read the file"
        ) from error


def read_noticed(noticed: Noticed) -> Fetched:
    """As `read`, of a file that was noticed: only if it still has the same bytes.

    Raises:
        ChangedFileError: It has others, or is being written.
        LoadError: It can't be read.
    """
    try:
        fetched = read(path_of(noticed.source), noticed.stamp)
    except UnsettledError as error:
        raise ChangedFileError(f"{error}; list the components again") from error
    if fetched.digest != noticed.digest:
        os.close(fetched.descriptor)
        raise ChangedFileError(f"{noticed.source} has other bytes now; list the components again")
    return fetched


def path_of(uri: str) -> Path:
    """The path of a URI that `Path.as_uri` made."""
    return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix("file://"))))


def is_in(uri: str, directory: Path) -> bool:
    """Whether a file's URI is that of one in this directory, and in none below."""
    return uri.rpartition("/")[0] == directory.as_uri().rstrip("/")


def _require_settled(descriptor: int, stamp: Stamp, shown: str) -> None:
    if stamp_of(os.fstat(descriptor)) != stamp:
        raise UnsettledError(f"{shown} is another file by now")
    if is_written(descriptor):
        raise UnsettledError(f"{shown} is open to be written")


def is_written(descriptor: int) -> bool:
    """Whether anybody has a file open to be written; False where the system can't tell.

    fcntl(2): a read lease is given only on a file that nobody can write to. It can be had on
    one's own files, on local disks.
    """
    try:
        # Whoever opens the file in this moment waits, and we are sent a signal: one that is
        # ignored, in place of SIGIO, which would end this process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
