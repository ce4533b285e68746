"""The files of the audit log as they are at one moment, held open."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.audit import folder
from wassette_supervisor.audit.folder import HEAD, HEAD_BYTES, explained, file_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class LogFile(NamedTuple):
    name: str
    descriptor: int
    size: int  # entries behind it are later ones


class Snapshot(NamedTuple):
    files: list[LogFile]  # the oldest first
    head: bytes | None  # None if there is none


@contextmanager
def snapshot(directory: Path) -> Iterator[Snapshot]:
    """Hold the log's files, which takes no right to write; nobody writes at that moment.

    Raises:
        AuditError: They can't be read.
    """
    with ExitStack() as stack:
        with explained("read", directory):
            taken = _taken(directory, stack)
        yield taken


def _taken(directory: Path, stack: ExitStack) -> Snapshot:
    try:
        opened = folder.open_folder(directory)
    except FileNotFoundError:
        return Snapshot([], None)
    stack.callback(os.close, opened)
    with _locked_head(opened) as head:
        files = [_file(opened, file_name(number), stack) for number in folder.numbers(opened)]
    return Snapshot(files, head)


@contextmanager
def _locked_head(opened: int) -> Iterator[bytes | None]:
    try:
        head = folder.open_file(opened, HEAD, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        fcntl.flock(head, fcntl.LOCK_SH)  # writers hold it for less than a millisecond
        yield os.pread(head, HEAD_BYTES + 1, 0)
    finally:
        os.close(head)


def _file(opened: int, name: str, stack: ExitStack) -> LogFile:
    descriptor = folder.open_file(opened, name, os.O_RDONLY)
    stack.callback(os.close, descriptor)
    return LogFile(name, descriptor, os.fstat(descriptor).st_size)
