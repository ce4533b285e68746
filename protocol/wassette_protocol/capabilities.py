"""What one call is given: its limits, its variables and its directories."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import msgspec

from wassette_protocol.file_rules import FileRules, rules_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

MIB = 1 << 20

# What one worker can be given: beyond it a policy has lost its meaning, and a frame its bound.
MAX_DIRECTORIES = 64
MAX_VARIABLES = 256
MAX_HULL = 128  # directories and files that the kernel is told of
MAX_GRANT_BYTES = 1 * MIB  # all names, values and paths together

_Positive = Annotated[int, msgspec.Meta(ge=1)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of one call; every field has a unit and a reason for its default.

    The limits of the store hold for each linear memory or table; `memory` is repeated as the
    process' RLIMIT_DATA, so that several memories together can't pass it by much.
    """

    # Instructions, roughly: 25 s of a busy loop, so that the clock ends an honest long call first.
    fuel: _Positive = 50_000_000_000
    # Bytes of each linear memory: a Python guest starts at 13 MiB, a StarlingMonkey guest at 9.
    memory: _Positive = 256 * MIB
    # Linear memories: QuickJS needs 2, the clock guard's shim 1.
    memories: _Positive = 8
    # Tables: the toolchains known to us need at most 2.
    tables: _Positive = 16
    # Elements of each table: Go, Python and StarlingMonkey need up to 10,000; without this limit
    # a loop of `table.grow` took 7.7 GB before it ran out of fuel.
    table_elements: _Positive = 50_000
    # Core instances: a Python guest has 14, the shim 2.
    instances: _Positive = 100
    # Milliseconds from the moment the worker takes the call: MCP clients commonly give up at 60 s.
    wall_time_ms: _Positive = 30_000
    # Bytes that the guest may write to standard output and standard error together.
    output: _Positive = 1 * MIB
    # Bytes of a call's arguments as JSON: 1 MiB of base64 text three times over.
    arguments: _Positive = 4 * MIB
    # Bytes of a result as JSON.
    result: _Positive = 4 * MIB
    # JSON values in a result: one costs the supervisor some 100 bytes and 1 microsecond.
    result_nodes: _Positive = 100_000
    # HTTP requests of a call, the refused ones too: each is a record in the audit.
    requests: _Positive = 100
    # Of them at once: each holds two sockets of the broker's.
    concurrent_requests: _Positive = 16
    # Bytes of the bodies that a call sends, and of those that it gets.
    request_bytes: _Positive = 64 * MIB
    response_bytes: _Positive = 256 * MIB
    # Milliseconds until an answer begins, and until it has ended: a wall_time is less, mostly.
    first_byte_ms: _Positive = 60_000
    request_time_ms: _Positive = 600_000


class Storage(enum.Enum):
    """What a template's workers may be given of the file system.

    It sets limits of their process that can't be raised any more when a grant arrives: without
    directories they hold few descriptors, without writable ones they write to no file at all.
    """

    NONE = "none"
    READ = "read"
    WRITE = "write"


class Reach(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True, array_like=True):
    """What the kernel itself lets a worker do with a file, or in a directory and all below.

    With neither, the names in a directory can be listed and no more.
    """

    read: bool
    write: bool


class Preopen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A directory that a guest finds opened; its descriptor comes with the frame."""

    guest: str  # the path by which the guest knows it
    writable: bool  # whether anything in it is
    rules: FileRules | None = None  # what of it is granted; None: all, by the kernel alone


def grant_fault(
    environment: Sequence[tuple[str, str]], directories: Sequence[Preopen]
) -> str | None:
    """Why these can't be granted together, without a word of any value; None if they can."""
    if len(environment) > MAX_VARIABLES:
        return f"{len(environment)} variables are more than {MAX_VARIABLES}"
    if len(directories) > MAX_DIRECTORIES:
        return f"{len(directories)} directories are more than {MAX_DIRECTORIES}"
    fault = rules_fault([each.rules for each in directories if each.rules is not None])
    if fault is not None:
        return fault
    names = [name for name, _ in environment]
    paths = [directory.guest for directory in directories]
    for what, given in (("variable", names), ("directory", paths)):
        if len(set(given)) != len(given):
            return f"a {what} is granted twice"
        if not all(map(_is_name, given)) or (what == "variable" and "=" in "".join(given)):
            return f"a {what} has a name that can't be used"
    values = [value for _, value in environment]
    if not all(map(_is_text, values)):
        return "the value of a variable holds NUL, or is no Unicode text"
    size = sum(len(text.encode()) for text in (*names, *values, *paths))
    return None if size <= MAX_GRANT_BYTES else f"{size} bytes are more than {MAX_GRANT_BYTES}"


def _is_name(text: str) -> bool:
    return text != "" and _is_text(text)


def _is_text(text: str) -> bool:
    """Whether it survives the engine's C API, which cuts at NUL, and UTF-8."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:  # a lone surrogate: bytes of the environment that are no UTF-8
        return False
