"""What the store keeps of a component: enough to list its tools without looking at its bytes."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import msgspec

from wassette_protocol.capabilities import MIB
from wassette_protocol.frames import ComponentId, Digest, Export, LeftOut
from wassette_supervisor.store.sealed import sealed, unsealed
from wassette_supervisor.store.trouble import DamagedError

FORMAT: Final = 2
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
COMPONENT_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# A component that carries a whole Python interpreter has some 20 MB.
MAX_COMPONENT_BYTES = 100 * MIB
# Schemas are 1 MiB of a record at most, and descriptions 256 KiB.
MAX_RECORD_BYTES = 4 * MIB


class ToolRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An export under the name that clients call it by."""

    name: str
    export: Export
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One loaded component."""

    id: ComponentId
    source: str  # the reference that it was loaded from
    digest: Digest
    loaded: float  # seconds since the epoch; the earlier of two components keeps a tool's name
    imports: list[str]
    tools: list[ToolRecord]
    left_out: list[LeftOut]
    # SHA-256 of the policy that was approved, empty for none; and of the one that is taking its
    # place: whichever of the two the policy's file holds is in force, so no change is half made.
    policy: str = ""
    policy_next: str | None = None
    # The text of the latter, if it came with the component itself: it is in force in place of a
    # file that is as `policy` says, so that the one is never there without the other.
    policy_text: str | None = None
    # How often rights were taken away: what a server was allowed for a while ends with that.
    narrowed: int = 0
    # Loaded from a directory of local components, so it goes with its file; and the file is gone:
    # the tools are not there while it is, and all else is kept.
    local: bool = False
    away: bool = False
    # Why its calls are refused until an operator releases it; None if they are not.
    quarantined: str | None = None
    format: int = FORMAT


class Loaded(NamedTuple):
    record: Record
    reloaded: bool  # it was there already, and was replaced or left as it is


class _Version(msgspec.Struct):
    """What is read of a record that another version wrote."""

    format: int


_DECODER = msgspec.json.Decoder(Record)
_VERSION = msgspec.json.Decoder(_Version)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def encoded(record: Record) -> bytes:
    """The bytes of a record's file."""
    return sealed(msgspec.json.encode(record))


def decoded(data: bytes) -> Record:
    """The record in a file.

    Raises:
        DamagedError: It is none, or not as it was written; says why.
    """
    version = _version(data)
    if version not in (None, FORMAT):
        raise DamagedError(f"its format is {version}, and this version reads {FORMAT}")
    try:
        record = _DECODER.decode(unsealed(data))
    except _UNREADABLE as error:
        raise DamagedError(f"it is no record: {error}") from error
    if not DIGEST.fullmatch(record.digest):
        raise DamagedError("it is no record: the digest in it is none")
    return record


def _version(data: bytes) -> int | None:
    # At the end, where a record of this version has it, in a thousandth of the time.
    if data.endswith(b'"}') and b',"format":%d,"sha256":"' % FORMAT in data[-120:]:
        return FORMAT
    try:
        return _VERSION.decode(data).format
    except _UNREADABLE:
        return None
