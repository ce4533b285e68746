"""Files that appear whole or not at all, and memory that nobody can change any more."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from wassette_protocol.capabilities import MIB
from wassette_protocol.frames import Digest
from wassette_supervisor.store.trouble import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK_BYTES = 1 * MIB
TEMPORARY = ".tmp-"  # how the name of a file starts that a killed writer left
ASIDE = ".aside-"  # how that of a folder starts that stood in the place of a file

_NO_FILE = "it is no regular file"
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Stamp(NamedTuple):
    """Tells one content of a file from another without reading it."""

    inode: int
    size: int
    changed_ns: int


def stamp(path: Path) -> Stamp | None:
    """Another value after every change of a file; None if there is none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return Stamp(found.st_ino, found.st_size, found.st_ctime_ns)


def why(error: OSError | DamagedError) -> str:
    """What is wrong with a file, as it follows its name."""
    return f"it can't be read: {error.strerror}" if isinstance(error, OSError) else str(error)


# --- folders --------------------------------------------------------------------------------


def make_folder(folder: Path) -> None:
    """Make a folder and what is missing above it, for this user alone; on disk at return."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    with suppress(PermissionError):  # one may be allowed to write there and not to read
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def entries(folder: Path) -> list[Path]:
    """What is in a folder, in order; nothing if there is none."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


@contextmanager
def new_generation(folder: Path) -> Iterator[None]:
    """Have a change within a folder seen by its time, however coarse the clock of the disk is."""
    before = folder.stat().st_mtime_ns
    try:
        yield
    finally:
        with suppress(OSError):  # what was changed is not undone for the want of a later time
            _advance(folder, before)


def _advance(folder: Path, before: int) -> None:
    # FAT counts in steps of two seconds, ext3 of one.
    for step in (1, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000):
        later = max(time.time_ns(), before + step)
        os.utime(folder, ns=(later, later))
        if folder.stat().st_mtime_ns > before:
            return


# --- files ----------------------------------------------------------------------------------


@contextmanager
def replacing(path: Path) -> Iterator[int]:
    """A descriptor whose bytes are the file's, on disk, at the end; after an error, nothing is.

    But after an error of the folder's own sync the new file is there, whole, and may not outlast
    a loss of power.
    """
    temporary = path.with_name(TEMPORARY + secrets.token_hex(8))
    try:
        descriptor = os.open(temporary, _CREATE, 0o600)
        try:
            yield descriptor
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        put_aside_folder(path)
        temporary.rename(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def put_aside_folder(path: Path) -> Path | None:
    """Rename a folder that stands where a file belongs; its new path, None if there is none."""
    if path.is_symlink() or not path.is_dir():
        return None
    return path.rename(path.with_name(ASIDE + secrets.token_hex(8)))


def remove(path: Path) -> bool:
    """Delete a file, also from the disk, at return; whether there was one."""
    try:
        if not put_aside_folder(path):
            path.unlink()
    except FileNotFoundError:
        return False
    sync_folder(path.parent)
    return True


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor to read a file by.

    Raises:
        DamagedError: It is no regular file.
    """
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise DamagedError(_NO_FILE) from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DamagedError(_NO_FILE)
        yield descriptor
    finally:
        os.close(descriptor)


def read_bounded(path: Path, most: int) -> bytes:
    """All bytes of a small file.

    Raises:
        DamagedError: It has more, or is no regular file.
    """
    with opened(path) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise DamagedError(f"it has more than {most} bytes")
    return data


def write_all(target: int, data: bytes) -> None:
    """Write everything: a disk that fills takes a part first, and fails at the next write."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(target, rest) :]


def copy_hashed(source: int, target: int | None, size: int) -> tuple[int, Digest]:
    """Copy from the start of a file until `size` bytes or its end, and hash what was written.

    Without a target, hash only.
    The source's own offset is neither used nor moved: another process may share it.
    """
    copied, hashed = 0, hashlib.sha256()
    while copied < size:
        chunk = os.pread(source, min(CHUNK_BYTES, size - copied), copied)
        if not chunk:
            break
        hashed.update(chunk)
        if target is not None:
            write_all(target, chunk)
        copied += len(chunk)
    return copied, Digest(hashed.hexdigest())


# --- sealed memory --------------------------------------------------------------------------


@contextmanager
def new_memory(name: str) -> Iterator[int]:
    """A memfd that can be sealed; closed at the end, so `seal` it to keep it."""
    memory = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        yield memory
    finally:
        os.close(memory)


def seal(memory: int) -> int:
    """A descriptor of its own to this memory, which nobody can change from here on."""
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _SEALS)
    return fcntl.fcntl(memory, fcntl.F_DUPFD_CLOEXEC, 3)


def sealed_copy(path: Path, digest: str, most: int) -> int:
    """A sealed memfd with the bytes of a file, verified; the caller closes it.

    Raises:
        DamagedError: They are others than those of the digest, or more than `most`.
    """
    with opened(path) as source, new_memory(path.name[:64]) as memory:
        _copy_verified(source, memory, digest, most)
        return seal(memory)


def verify(path: Path, digest: str, most: int) -> None:
    """Read a file whole.

    Raises:
        DamagedError: As `sealed_copy`.
    """
    with opened(path) as source:
        _copy_verified(source, None, digest, most)


def _copy_verified(source: int, target: int | None, digest: str, most: int) -> None:
    size = os.fstat(source).st_size
    if size > most:
        raise DamagedError(f"it has {size} bytes, and {most} at most are right")
    if copy_hashed(source, target, size) != (size, digest):
        raise DamagedError("its SHA-256 is another one")
