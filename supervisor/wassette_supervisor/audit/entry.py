"""One line of the audit log: what may stand in it, its bytes, and the hash that chains it."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Any, Final, Literal

import msgspec

from wassette_supervisor.errors import one_line

Decision = Literal["allowed", "denied", "once", "session", "always", "deny"]

START: Final = "0" * 64  # the `prev` of the very first entry
# All fields at their longest, escaped, with the largest detail, are some 12 KiB.
MAX_LINE_BYTES: Final = 16 << 10

_UNHASHED: Final = b',"hash":""}'
_HASH: Final = b',"hash":"'
_HASHED_BYTES: Final = len(_HASH) + 64 + 2


class Event(StrEnum):
    """What is recorded. Nothing else is."""

    LOAD = "load"
    """A component was loaded, or loaded anew; `detail` has its source and tools."""
    UNLOAD = "unload"
    """A component was unloaded."""
    REPAIR = "repair"
    """What was damaged of a component is made anew; `detail` has which part, and its source."""
    GRANT = "grant"
    """A person allowed a component something; `rule` is the rule."""
    REVOKE = "revoke"
    """A rule was taken out of a component's policy."""
    RESET = "reset"
    """All rules were taken out: nothing is granted any more."""
    POLICY_SET = "policy-set"
    """A component's policy was replaced by a file."""
    POLICY_UNSET = "policy-unset"
    """A component's policy was removed."""
    APPROVE = "approve"
    """An operator took a component or a policy as it is now (`policy check ID --approve`)."""
    QUARANTINE = "quarantine"
    """A component's processes crashed too often: it is not called any more; `detail` has why."""
    RELEASE = "release"
    """An operator let a quarantined component be called again."""
    QUESTION = "question"
    """A person was asked; `detail` has what."""
    ANSWER = "answer"
    """The person's answer (`decision`), or that none came in time."""
    CALL_STARTED = "call-started"
    """A tool is about to be called. Written before: without this record nothing runs."""
    CALL_ENDED = "call-ended"
    """A call is over; `detail` has its cause of end, limits and usage."""
    FILE_OPEN = "file-open"
    """A guest opens a file or a directory, or tried; `detail` has which, and the outcome.
    Recorded with `--audit-files` alone, before the guest has what it gives."""
    REQUEST_STARTED = "request-started"
    """A call's HTTP request was allowed and is about to be made. Written before: without this
    record nothing goes out."""
    REQUEST = "request"
    """A call's HTTP request is over, or was refused; `decision` and `rule` are the policy's, and
    `detail` has its method, scheme, host, port and path, without a query, and what came of it."""
    REFUSAL = "refusal"
    """Something was refused: a load, a call, a path, a host, a variable; `detail` has why."""
    SECRET_SET = "secret-set"  # noqa: S105 - the name of an event
    """A secret was set. Its name is recorded, its value never."""
    SECRET_DELETE = "secret-delete"  # noqa: S105 - the name of an event
    """A secret was deleted."""
    STATE_RESET = "state-reset"
    """What a component kept between calls was deleted; `detail` has how much, if it was counted."""
    SERVER_START = "server-start"
    """A server started; `detail` has its version and the settings that decide."""
    SERVER_STOP = "server-stop"
    """A server stopped in good order. After a crash there is none."""
    PRUNE = "prune"
    """The log removed its oldest files; `detail` has where the chain starts since."""
    RESUME = "resume"
    """The log was not as it was left; `detail` has how, and which bytes are no entry."""


# Calls, and what a guest or a model can bring about at will: many, and each waits for its record.
FREQUENT: Final = frozenset(
    {
        Event.CALL_STARTED,
        Event.CALL_ENDED,
        Event.FILE_OPEN,
        Event.REQUEST_STARTED,
        Event.REQUEST,
        Event.REFUSAL,
    }
)


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry; the order of its fields is that of the line."""

    seq: int  # 1, 2, 3…
    time: str  # UTC, always written alike: 2026-01-31T12:00:00.000000Z
    event: Event
    call: str | None
    component: str | None
    digest: str | None  # SHA-256 of the component's bytes
    client: str | None
    decision: Decision | None
    rule: str | None
    detail: dict[str, Any] | None
    prev: str  # the hash of the entry before
    hash: str = ""  # SHA-256 of the line as it is without this field


class DamagedLineError(Exception):
    """A line is no entry; the text says why not, in our own words."""


_DECODER = msgspec.json.Decoder(Entry)


def sealed(entry: Entry) -> tuple[Entry, bytes]:
    """Hash an entry: it with its hash, and its line."""
    body = _body(entry)
    digest = hashlib.sha256(body + b"}").hexdigest()
    line = b"".join((body, _HASH, digest.encode(), b'"}\n'))
    return msgspec.structs.replace(entry, hash=digest), line


def parsed(line: bytes) -> Entry:
    """Read a line, given without its line feed.

    Raises:
        DamagedLineError: It is not what `sealed` wrote.
    """
    body, written = line[:-_HASHED_BYTES], line[-_HASHED_BYTES:]
    if len(line) >= MAX_LINE_BYTES:
        raise DamagedLineError("it is too long to be an entry")
    if not written.startswith(_HASH):
        raise DamagedLineError("it is no entry")
    digest = hashlib.sha256(body + b"}").hexdigest()
    if written != _HASH + digest.encode() + b'"}':
        raise DamagedLineError("it was changed: its hash is another one")
    try:
        entry = _DECODER.decode(line)
        spelled = _body(entry)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise DamagedLineError(f"it is no entry: {one_line(str(error))}") from error
    if spelled != body:
        raise DamagedLineError("it is not written as an entry is")
    return entry


def _body(entry: Entry) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(entry, hash=""))[: -len(_UNHASHED)]
