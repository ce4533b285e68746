"""Writing the audit log, from several threads and processes: what is acknowledged is kept.

What an acknowledged entry survives:

- the end of this process at any moment, kill -9 too: the kernel has the line when `append`
  returns. That holds for every entry, and costs some 60 µs, twice for a call.
- the loss of power: only what is rare and changes what may happen (a grant, an answer, a load, a
  secret). Those are on the disk at return, with all before them. To wait for the disk at every
  call would cost it 0.2 ms (a fast disk) to 10 ms, twice; and a machine that lost the record of a
  call has most likely lost what the call did as well. `verify` shows what is missing.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

from wassette_protocol.capabilities import MIB
from wassette_supervisor.audit.bounding import bounded, short_line
from wassette_supervisor.audit.entry import FREQUENT, Event
from wassette_supervisor.audit.folder import explained
from wassette_supervisor.audit.writer import Fields, Writer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wassette_supervisor.audit.entry import Decision, Entry

MAX_DETAIL_BYTES: Final = 4096
ROTATE_BYTES: Final = 16 * MIB
KEEP_FILES: Final = 16
LOCK_WAIT_S: Final = 5.0


class AuditLog:
    """The audit log in a folder, which is made when it is first written to."""

    def __init__(
        self,
        directory: Path,
        *,
        rotate_bytes: int = ROTATE_BYTES,
        keep_files: int = KEEP_FILES,
        lock_wait_s: float = LOCK_WAIT_S,
    ) -> None:
        self.directory = directory
        self._rotate_bytes = rotate_bytes
        self._keep_files = keep_files
        self._lock_wait_s = lock_wait_s
        self._threads = threading.Lock()
        self._writer: Writer | None = None

    def append(  # noqa: PLR0913 - the fields of an entry
        self,
        event: Event,
        *,
        call: str | None = None,
        component: str | None = None,
        digest: str | None = None,
        client: str | None = None,
        decision: Decision | None = None,
        rule: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Record what is about to happen, or has happened. Blocks, most often for some 60 µs.

        Args:
            event: What it is.
            call: Which call it belongs to.
            component: Its id.
            digest: SHA-256 of its bytes.
            client: Who asked, as the front knows it.
            decision: What was decided, or what the person said.
            rule: The rule that decided, or that is changed.
            detail: More, as JSON values; bounded here. Never a secret; a call's arguments only
                as `redacted` leaves them.

        Raises:
            AuditError: It could not be written. What was to be recorded must not be done.
        """
        fields = Fields(
            event=event,
            call=_short(call),
            component=_short(component),
            digest=_short(digest),
            client=_short(client),
            decision=decision,
            rule=_short(rule),
            detail=None if detail is None else bounded(detail, MAX_DETAIL_BYTES),
        )
        with self._threads, explained("write to", self.directory):
            return self._append(fields)

    def close(self) -> None:
        """Close its files; another `append` opens them again."""
        with self._threads:
            if self._writer is not None:
                self._writer.close()
            self._writer = None

    def _append(self, fields: Fields) -> Entry:
        writer = self._locked()
        try:
            entry = writer.add(fields)
        finally:
            writer.unlock()
        if fields.event not in FREQUENT:
            os.fdatasync(writer.file)  # others may write meanwhile
        return entry

    def _locked(self) -> Writer:
        """A locked writer of the folder that is at this path now."""
        while True:
            if self._writer is None:
                self._writer = Writer(self.directory, self._rotate_bytes, self._keep_files)
            self._writer.lock(self._lock_wait_s)
            if self._writer.is_in_place():
                return self._writer
            self._writer.close()
            self._writer = None


def _short(text: str | None) -> str | None:
    return None if text is None else short_line(text)
