"""One writer of a store at a time, of this process or another."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from wassette_supervisor.errors import StoreError, one_line
from wassette_supervisor.store.trouble import explained, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_POLL_S = 0.02


class WriterLock:
    """A lock on a folder that ends with its holder, however that one ends."""

    def __init__(self, root: Path, wait_s: float, name: str = "lock") -> None:
        self._root = root
        self._name = name
        self._wait_s = wait_s

    def probe(self) -> None:
        """Prove that the folder can be written to.

        Raises:
            StoreError: It can't be.
        """
        os.close(self._open())

    @contextmanager
    def held(self, purpose: str) -> Iterator[None]:
        """Keep all others out; `purpose` is what those that wait too long are told.

        Raises:
            StoreError: The folder can't be written to, or another writer was too slow.
        """
        descriptor = self._open()
        try:
            self._wait(descriptor)
            _sign(descriptor, f"process {os.getpid()}, to {one_line(purpose)}")
            try:
                yield
            finally:
                _sign(descriptor, "")
        finally:
            os.close(descriptor)

    @contextmanager
    def if_free(self) -> Iterator[bool]:
        """Keep all others out, or tell at once that somebody else does."""
        descriptor = self._open()
        try:
            yield self._taken(descriptor)
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        path = self._root / self._name
        with explained("write to", path):
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            try:
                descriptor = os.open(path, flags, 0o600)
            except OSError as error:
                if error.errno in (errno.EISDIR, errno.ELOOP, errno.ENXIO):
                    raise _unusable(path) from error
                raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _unusable(path)
        return descriptor

    def _wait(self, descriptor: int) -> None:
        deadline = time.monotonic() + self._wait_s
        while not self._taken(descriptor):
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 1000, 0).decode(errors="replace")
                raise StoreError(
                    f"another writer ({one_line(holder) or 'unknown'}) has kept the store "
                    f"{shown(self._root)} locked for {self._wait_s:g} seconds; wait for it "
                    "or end it, then try again"
                )
            time.sleep(_POLL_S)

    def _taken(self, descriptor: int) -> bool:
        with explained("lock", self._root):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


def _unusable(path: Path) -> StoreError:
    return StoreError(
        f"can't lock the store: {shown(path)} is no regular file; remove it, it holds nothing"
    )


def _sign(lock: int, text: str) -> None:
    with suppress(OSError):  # it only informs
        os.ftruncate(lock, 0)
        os.pwrite(lock, text.encode(errors="replace"), 0)
