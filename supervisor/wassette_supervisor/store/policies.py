"""The policy file of each component, and whether it is the one that was approved.

The file is made for people to read and to edit. One that was edited is not in force: its digest
is no longer the one in the component's record, until somebody approves it.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from wassette_supervisor.errors import StoreError
from wassette_supervisor.store import files
from wassette_supervisor.store.files import DamagedError
from wassette_supervisor.store.trouble import explained, shown

if TYPE_CHECKING:
    from pathlib import Path

    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.store.record import Record
    from wassette_supervisor.store.store import Store

MAX_POLICY_BYTES = 256 << 10


class Stamp(NamedTuple):
    """Tells one content of a file from another without reading it."""

    inode: int
    size: int
    changed_ns: int


class Kept(NamedTuple):
    """What the file holds: nothing if there is none."""

    text: bytes | None
    digest: str  # SHA-256 of the text; empty for none
    approved: bool


class Policies:
    """The policy files of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def path(self, component: ComponentId) -> Path:
        return self._store.component_file(component, "policy.yaml")

    def stamp(self, component: ComponentId) -> Stamp | None:
        """Another value after every change of the file; None if there is none."""
        path = self.path(component)
        with explained("look at", path):
            try:
                found = path.lstat()
            except FileNotFoundError:
                return None
        return Stamp(found.st_ino, found.st_size, found.st_ctime_ns)

    def read(self, record: Record) -> Kept:
        """What is in the component's policy file.

        Raises:
            StoreError: It can't be read.
        """
        text = self._read(self.path(record.id))
        digest = "" if text is None else hashlib.sha256(text).hexdigest()
        return Kept(text, digest, approved=digest in (record.policy, record.policy_next))

    def _read(self, path: Path) -> bytes | None:
        try:
            with explained("read", path):
                try:
                    return files.read_bounded(path, MAX_POLICY_BYTES)
                except FileNotFoundError:
                    return None
        except DamagedError as error:
            raise StoreError(
                f"the policy file {shown(path)} can't be used: {error}; put another one in its "
                "place with `policy set`"
            ) from error

    def write(self, record: Record, text: bytes | None, *, narrows: bool = False) -> Record:
        """Put an approved policy, or none, in place of the file; all or nothing, whenever it ends.

        Returns the record as it is now kept.

        Raises:
            StoreError: It can't be written; the earlier one is in force.
        """
        digest = "" if text is None else hashlib.sha256(text).hexdigest()
        if text is not None and len(text) > MAX_POLICY_BYTES:
            raise StoreError(
                f"the policy has {len(text)} bytes, and {MAX_POLICY_BYTES} at most are kept; "
                "make it shorter"
            )
        # Of the two digests in the record the file has one at every moment. What the file holds
        # now is the other: also if that was never approved, it is not in force any more.
        current = self.read(record)
        earlier = current.digest if current.approved else record.policy
        narrowed = record.narrowed + narrows
        before = msgspec.structs.replace(
            record, policy=earlier, policy_next=digest, narrowed=narrowed
        )
        self._store.save(before)
        path = self.path(record.id)
        with explained("write", path), self._store.changing():
            if text is None:
                path.unlink(missing_ok=True)
                files.sync_folder(path.parent)
            else:
                with files.replacing(path) as descriptor:
                    files.write_all(descriptor, text)
        written = msgspec.structs.replace(before, policy=digest, policy_next=None)
        self._store.save(written)
        return written

    def put_first(self, record: Record, text: bytes) -> Record:
        """Put the file of a record that is saved next: until then nothing of it is in force."""
        path = self.path(record.id)
        with explained("write", path), self._store.changing(), files.replacing(path) as descriptor:
            files.write_all(descriptor, text)
        digest = hashlib.sha256(text).hexdigest()
        return msgspec.structs.replace(record, policy=digest, policy_next=None)

    def approve(self, record: Record, kept: Kept) -> Record:
        """Take the file, as it was read, for approved."""
        approved = msgspec.structs.replace(record, policy=kept.digest, policy_next=None)
        self._store.save(approved)
        return approved

    def forget(self, component: ComponentId) -> None:
        """Delete the file."""
        path = self.path(component)
        with explained("remove", path), suppress(FileNotFoundError):
            path.unlink()
