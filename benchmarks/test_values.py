"""Values in and out of a guest, JSON to JSON: our conversion, wasmtime-py's own, and JSON alone."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
from benchmarks.comparison import Comparison, Reference
from wasmtime.component import Record

from support.echo_component import MAX_BYTES, echo
from wassette_worker import wit_types as wit

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.echo_component import Echo
    from wassette_worker.wit_types import WitType

pytestmark = pytest.mark.timeout(300)

# The parameters after the value that the echo component wants, all none.
_PADS = (None,) * 8


class Case(NamedTuple):
    name: str
    type: WitType
    json: Any
    theirs: Callable[[], Any]  # the value as wasmtime-py takes it
    every: int  # rounds of wasmtime-py's own conversion
    rounds: int = 40


def _record() -> Any:
    record = Record()
    for name, value in _RECORD.items():
        setattr(record, name, value)
    return record


_BYTES = bytes(range(256)) * 4096
_NUMBERS = [n * 40_503 % (1 << 32) for n in range(100_000)]
_STRINGS = [f"line {n:05} é with text" for n in range(10_000)]
_RECORD = {"name": "Ada", "age": 36, "x": 1.5, "tags": ["a", "b"]}
_RECORD_TYPE = wit.Record(
    (
        ("name", wit.String()),
        ("age", wit.Int(32, signed=False)),
        ("x", wit.Float(64)),
        ("tags", wit.List(wit.String())),
    )
)

CASES = [
    Case(
        "list<u8> of 1 MiB as base64",
        wit.List(wit.U8),
        base64.b64encode(_BYTES).decode(),
        lambda: _BYTES,
        every=8,
    ),
    Case(
        "list<u32> of 100,000",
        wit.List(wit.Int(32, signed=False)),
        _NUMBERS,
        lambda: _NUMBERS,
        every=8,
    ),
    Case("list<string> of 10,000", wit.List(wit.String()), _STRINGS, lambda: _STRINGS, every=8),
    Case("record of four fields", _RECORD_TYPE, _RECORD, _record, every=1, rounds=500),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name.split(" ")[0] for case in CASES])
def test_a_value_in_and_out(compare: Comparison, case: Case) -> None:
    guest, peer = echo(case.type), echo(case.type)
    text = msgspec.json.encode({"value": case.json})

    def ours() -> bytes:
        arguments = guest.call.arguments(msgspec.json.decode(text))
        return guest.call.invoke(guest.store, guest.func, arguments, max_bytes=MAX_BYTES).json

    assert msgspec.json.decode(ours()) == {"result": case.json}
    compare.run(
        case.name,
        ours,
        [
            Reference("wasmtime-py's own conversion, no JSON", _their(peer, case), case.every),
            Reference("msgspec: JSON to Python and back", lambda: _with_msgspec(text)),
            Reference("json: JSON to Python and back", lambda: json.dumps(json.loads(text))),
        ],
        rounds=case.rounds,
    )


def _their(guest: Echo, case: Case) -> Callable[[], object]:
    value = case.theirs()
    return lambda: guest.func(guest.store, value, *_PADS)


def _with_msgspec(text: bytes) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(text))
