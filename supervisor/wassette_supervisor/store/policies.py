"""The policy file of each component, and whether it is the one that was approved.

The file is made for people to read and to edit. One that was edited is not in force: its digest
is no longer the one in the component's record, until somebody approves it.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from wassette_supervisor.errors import StoreError, UnknownComponentError
from wassette_supervisor.store import files
from wassette_supervisor.store.trouble import DamagedError, explained, shown

if TYPE_CHECKING:
    from pathlib import Path

    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.store.files import Stamp
    from wassette_supervisor.store.record import Record
    from wassette_supervisor.store.store import Store

MAX_POLICY_BYTES = 256 << 10
_TRIES = 5  # against one who changes it again and again


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
            return files.stamp(path)

    def read(self, record: Record) -> Kept:
        """What is in the component's policy file.

        Another process may have changed it since the record was read: then what counts is whether
        it is approved now, for the same bytes.

        Raises:
            StoreError: It can't be read.
        """
        kept = self._judged(record)
        for _ in range(_TRIES):
            if kept.approved:
                break
            now = self._as_it_is_now(record)
            if now is None or _approvals(now) == _approvals(record):
                break
            record = now
            kept = self._judged(record)
        return kept

    def _as_it_is_now(self, record: Record) -> Record | None:
        try:
            now = self._store.record(record.id)
        except UnknownComponentError:
            return None
        return now if (now.digest, now.loaded) == (record.digest, record.loaded) else None

    def _judged(self, record: Record) -> Kept:
        text = self._read(self.path(record.id))
        digest = _digest(text)
        if record.policy_text is not None and digest == record.policy:
            text = record.policy_text.encode()
            digest = _digest(text)
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
        _check_length(text)
        record = self.settled(record)
        # Of the two digests in the record the file has one at every moment. What the file holds
        # now is the other: also if that was never approved, it is not in force any more.
        pending = msgspec.structs.replace(
            record,
            policy=self._replaced(record),
            policy_next=_digest(text),
            narrowed=record.narrowed + narrows,
        )
        self._store.save(pending)
        self._write(record.id, text)
        return self._concluded(pending)

    def taken_along(self, record: Record, text: bytes) -> Record:
        """A record that is yet to be saved, with an approved policy that is in force with it.

        Raises:
            StoreError: The policy is too long.
        """
        _check_length(text)
        try:
            replaced = _digest(self._read(self.path(record.id)))
        except StoreError:  # it is damaged; this is in force when it is out of the way
            replaced = record.policy
        return msgspec.structs.replace(
            record, policy=replaced, policy_next=_digest(text), policy_text=text.decode()
        )

    def settled(self, record: Record) -> Record:
        """Write the policy that a saved record took along into its file.

        Raises:
            StoreError: It can't be written; it is in force all the same.
        """
        if record.policy_text is None:
            return record
        with suppress(StoreError):  # a damaged file is put aside as well
            if _digest(self._read(self.path(record.id))) not in (record.policy, record.policy_next):
                return self._concluded(record)  # edited meanwhile
        self._write(record.id, record.policy_text.encode())
        return self._concluded(record)

    def approve(self, record: Record, kept: Kept) -> Record:
        """Take the file, as it was read, for approved."""
        approved = msgspec.structs.replace(
            self.settled(record), policy=kept.digest, policy_next=None
        )
        self._store.save(approved)
        return approved

    def _replaced(self, record: Record) -> str:
        try:
            current = self.read(record)
        except StoreError:  # it is damaged, so nothing of it is in force
            return record.policy
        return current.digest if current.approved else record.policy

    def _write(self, component: ComponentId, text: bytes | None) -> None:
        path = self.path(component)
        with explained("write", path), self._store.changing():
            if text is None:
                files.remove(path)
            else:
                with files.replacing(path) as descriptor:
                    files.write_all(descriptor, text)

    def _concluded(self, pending: Record) -> Record:
        """The file is written, and so in force; that the other no longer counts may come later."""
        written = msgspec.structs.replace(
            pending, policy=pending.policy_next or "", policy_next=None, policy_text=None
        )
        try:
            self._store.save(written)
        except StoreError:
            return pending
        return written

    def forget(self, component: ComponentId) -> None:
        """Delete the file."""
        path = self.path(component)
        with explained("remove", path):
            files.remove(path)


def _approvals(record: Record) -> tuple[str, str | None, str | None]:
    return record.policy, record.policy_next, record.policy_text


def _digest(text: bytes | None) -> str:
    return "" if text is None else hashlib.sha256(text).hexdigest()


def _check_length(text: bytes | None) -> None:
    if text is not None and len(text) > MAX_POLICY_BYTES:
        raise StoreError(
            f"the policy has {len(text)} bytes, and {MAX_POLICY_BYTES} at most are kept; "
            "make it shorter"
        )
