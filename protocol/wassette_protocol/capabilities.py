"""What one call is given: today its limits; nothing else is granted."""

from __future__ import annotations

from typing import Annotated

import msgspec

MIB = 1 << 20

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
