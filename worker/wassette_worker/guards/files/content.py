"""What a guest does with an open file, beside its streams: by the very descriptor of the engine."""

from __future__ import annotations

import os
from typing import NamedTuple

from wassette_worker.guards.files.codes import FileError, code_of
from wassette_worker.guards.files.judge import NONE, READ, WRITE
from wassette_worker.guards.files.scope import Directory, File

# As the engine: a guest that wants more asks again.
MAX_READ = 64 << 10

_ADVICE = {
    "normal": os.POSIX_FADV_NORMAL,
    "sequential": os.POSIX_FADV_SEQUENTIAL,
    "random": os.POSIX_FADV_RANDOM,
    "will-need": os.POSIX_FADV_WILLNEED,
    "dont-need": os.POSIX_FADV_DONTNEED,
    "no-reuse": os.POSIX_FADV_NOREUSE,
}
_MAX_OFFSET = (1 << 63) - 1


class Chunk(NamedTuple):
    data: bytes
    at_end: bool


def file_of(each: Directory | File, access: int = NONE) -> File:
    """A file that was opened with these accesses.

    Raises:
        FileError: It is none, or was opened with less.
    """
    if isinstance(each, Directory):
        raise FileError("is-directory" if access else "bad-descriptor")
    if each.access & access != access:
        raise FileError("bad-descriptor")
    return each


def read(each: Directory | File, length: int, offset: int) -> Chunk:
    file = file_of(each, READ)
    try:
        data = os.pread(file.number, min(length, MAX_READ), _offset(offset))
    except OSError as error:
        raise FileError(code_of(error)) from error
    return Chunk(data, at_end=not data)


def write(each: Directory | File, data: bytes, offset: int) -> int:
    file = file_of(each, WRITE)
    try:
        return os.pwrite(file.number, data, _offset(offset))
    except OSError as error:
        raise FileError(code_of(error)) from error


def set_size(each: Directory | File, size: int) -> None:
    file = file_of(each, WRITE)
    try:
        os.ftruncate(file.number, _offset(size))
    except OSError as error:
        raise FileError(code_of(error)) from error


def sync(each: Directory | File, *, data_only: bool) -> None:
    try:
        if isinstance(each, File):
            (os.fdatasync if data_only else os.fsync)(each.number)
            return
        number = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=each.handle)
        try:
            os.fsync(number)
        finally:
            os.close(number)
    except OSError as error:
        raise FileError(code_of(error)) from error


def advise(each: Directory | File, offset: int, length: int, advice: str) -> None:
    file = file_of(each)
    try:
        os.posix_fadvise(file.number, _offset(offset), _offset(length), _ADVICE[advice])
    except OSError as error:
        raise FileError(code_of(error)) from error


def _offset(value: int) -> int:
    if value > _MAX_OFFSET:
        raise FileError("invalid")
    return value
