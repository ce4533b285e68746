"""The ends of every type through the engine: the longest, the deepest, the widest, the oddest."""

from __future__ import annotations

import base64
import struct
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from wasmtime import WasmtimeError
from wasmtime.component import Component

from support.echo_component import ENGINE, SCALARS, echo, reinterpreting
from support.wit_values import constructor
from wassette_protocol.frames import Ending
from wassette_worker import traps
from wassette_worker import wit_types as wit
from wassette_worker.json_values import BadValue, ResultTooLarge
from wassette_worker.wit_types import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.echo_component import Echo
    from wassette_worker.wit_types import WitType

pytestmark = pytest.mark.thorough

NAMES = tuple(f"n{i}" for i in range(500))
MILLION = 1_000_000
U32 = wit.Int(32, signed=False)
U64 = wit.Int(64, signed=False)
# As many bytes of JSON as a long list may take here; a call's own limit is far below.
MAX_BYTES = 256 << 20
# Each string of this: Unicode's scalar values, all of them.
EVERY_CHARACTER = "".join(map(chr, (*range(0xD800), *range(0xE000, sys.maxunicode + 1))))

# What the ends of a scalar are in JSON, as it comes back.
ENDS: dict[str, list[Any]] = {
    "bool": [False, True],
    "char": ["\x00", "\x7f", "\x80", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff"],
    "string": ["", "\x00", "a", "\U0010ffff"],
    "f32": [0.0, -0.0, 2**-149, -(2**-126), 3.4028234663852886e38, "NaN", "Infinity", "-Infinity"],
    "f64": [0.0, -0.0, 5e-324, -2.2250738585072014e-308, 1.7976931348623157e308, "NaN", "Infinity"],
    "u8": [0, 255],
    "s8": [-128, -1, 127],
    "u16": [0, 65535],
    "s16": [-32768, -1, 32767],
    "u32": [0, 2**32 - 1],
    "s32": [-(2**31), -1, 2**31 - 1],
    "u64": [0, 2**53 - 1, str(2**53), str(2**53 + 1), str(2**64 - 1)],
    "s64": [str(-(2**63)), str(-(2**53)), -(2**53) + 1, -1, 2**53 - 1, str(2**53), str(2**63 - 1)],
}


def check_comes_back(guest: Echo, value: Any) -> None:
    """As text: 1 is not 1.0 there, nor is 0.0 -0.0."""
    given = msgspec.json.encode({"value": value})
    outcome = guest.outcome(msgspec.json.decode(given)["value"], max_bytes=MAX_BYTES)
    # Compared apart: pytest would take minutes to explain a difference of megabytes.
    same = outcome.json == given.replace(b"value", b"result", 1)
    assert same, outcome.json[:200]


def of_size(of: WitType, size: int) -> Any:
    ends = ENDS[constructor(of)]
    if of == wit.U8:
        return base64.b64encode(bytes(range(256)) * (size // 256) + bytes(size % 256)).decode()
    return (ends * (size // len(ends) + 1))[:size]


@pytest.mark.parametrize("of", SCALARS, ids=constructor)
def test_the_ends_of_a_scalar_come_back_alone_and_in_lists_of_up_to_a_million(of: WitType) -> None:
    alone, listed = echo(of), echo(wit.List(of))
    for end in ENDS[constructor(of)]:
        check_comes_back(alone, end)
    for size in (0, 1, 2, MILLION):
        check_comes_back(listed, of_size(of, size))


@pytest.mark.parametrize("of", SCALARS, ids=constructor)
def test_a_mistake_at_the_end_of_a_million_is_found_there(of: WitType) -> None:
    guest = echo(wit.List(of))
    with pytest.raises(BadValue) as caught:
        guest.outcome([*(ENDS[constructor(of)] * MILLION)[: MILLION - 1], None])
    assert caught.value.pointer == f"/value/{MILLION - 1}"
    assert caught.value.got == "null"


# Long lists of strings are moved in lots, and go into the result's JSON without a string of each.
@pytest.mark.parametrize("size", [1, 2, 511, 512, 513, 1025])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        'a "quote"',
        "\\",
        '\\"',
        '","',
        "\0",
        "\n",
        "\x1f\x7f",
        "é 🦊",
        "\u2028",
        "\U0010ffff",
    ],
    ids=ascii,
)
def test_a_list_of_strings_is_as_it_was_whatever_they_hold(size: int, text: str) -> None:
    guest = echo(wit.List(wit.String()))
    for values in ([text] * size, [*("b" * (size - 1)), text], [text, *([""] * (size - 1))]):
        check_comes_back(guest, values)
    assert guest.send([text] * size) == [text] * size


def test_a_list_of_strings_is_refused_for_its_length_before_any_is_read() -> None:
    guest = echo(wit.List(wit.String()))
    with pytest.raises(ResultTooLarge):
        guest.outcome(["a" * 1000] * 1000, max_bytes=1_000_000)


def test_400_000_records_come_back() -> None:
    record = wit.Record((("id", U32), ("label", wit.Option(wit.String())), ("at", wit.Float(64))))
    values = [{"id": n, "label": str(n) if n % 2 else None, "at": n / 2} for n in range(400_000)]
    check_comes_back(echo(wit.List(record)), values)


def zeros(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


# What the engine copies of a result; a list's element counts for as much as it takes in the
# engine, however small it is.
COPIED = 128 << 20
ELEMENT = 48


@pytest.mark.parametrize(
    ("of", "most", "make"),
    [
        pytest.param(wit.String(), COPIED, lambda size: "a" * size, id="one string"),
        pytest.param(wit.List(wit.U8), COPIED // ELEMENT, zeros, id="bytes"),
        pytest.param(wit.List(U32), COPIED // ELEMENT, lambda size: [7] * size, id="numbers"),
    ],
)
def test_as_much_as_the_engine_copies_comes_back_and_one_more_is_an_error_that_says_so(
    of: WitType, most: int, make: Callable[[int], Any]
) -> None:
    check_comes_back(echo(of), make(most))
    with pytest.raises(WasmtimeError) as caught:
        echo(of).outcome(make(most + 1), max_bytes=MAX_BYTES)
    cause = traps.classify(caught.value, memory_limit=4 << 30, memory_used=0)
    assert cause.ending is Ending.HOST_COPY
    assert "too much data is being copied between the host and the guest" in str(caught.value)


@pytest.mark.parametrize(
    ("of", "make"),
    [
        pytest.param(wit.String(), lambda: "a" * (COPIED + 1), id="one string"),
        pytest.param(wit.List(wit.U8), lambda: zeros(COPIED // ELEMENT * 2), id="bytes"),
    ],
)
def test_the_engine_copies_longer_arguments_than_results(
    of: WitType, make: Callable[[], Any]
) -> None:
    # The guest gives the first word of its argument: where it lies.
    assert reinterpreting(of, U32).send(make()) > 0


def test_every_character_of_every_plane_comes_back() -> None:
    check_comes_back(echo(wit.String()), EVERY_CHARACTER)
    check_comes_back(echo(wit.List(wit.Char())), list(EVERY_CHARACTER[:: 17 * 3]))
    check_comes_back(echo(wit.List(wit.String())), list(EVERY_CHARACTER[:: 17 * 3]))


PAYLOADS_32 = {"quiet": 0x7FC00000, "signalling": 0x7F800001, "full": 0x7FFFFFFF, "odd": 0x7FA5A5A5}
PAYLOADS_64 = {"quiet": 0x7FF8 << 48, "signalling": 0x7FF0 << 48 | 1, "full": (1 << 63) - 1}


@pytest.mark.parametrize(
    ("bits", "number", "payload"),
    [
        *(
            (U32, wit.Float(32), payload | sign << 31)
            for payload in PAYLOADS_32.values()
            for sign in (0, 1)
        ),
        *(
            (U64, wit.Float(64), payload | sign << 63)
            for payload in PAYLOADS_64.values()
            for sign in (0, 1)
        ),
    ],
)
def test_a_nan_of_any_payload_and_sign_is_told_as_one(
    bits: wit.Int, number: wit.Float, payload: int
) -> None:
    assert reinterpreting(bits, number).send(payload) == "NaN"
    in_list = reinterpreting(wit.List(bits), wit.List(number))
    assert in_list.send([0, payload, 0]) == [0.0, "NaN", 0.0]
    in_option = reinterpreting(wit.Option(bits), wit.Option(number))
    assert in_option.send(payload) == "NaN"


@pytest.mark.parametrize(("bits", "number", "code"), [(U32, 32, "f"), (U64, 64, "d")])
def test_a_number_goes_in_as_its_own_bits(bits: wit.Int, number: int, code: str) -> None:
    guest = reinterpreting(wit.List(wit.Float(number)), wit.List(bits))
    sent = ENDS[f"f{number}"]
    numbers = [float(value.lower()) if isinstance(value, str) else value for value in sent]
    size = number // 8
    packed = struct.pack(f"<{len(sent)}{code}", *numbers)
    given = [int.from_bytes(packed[at : at + size], "little") for at in range(0, len(packed), size)]
    assert [int(value) for value in guest.send(sent)] == given


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"some": None},
        {"some": {"some": None}},
        {"some": {"some": 0}},
        {"some": {"some": 255}},
    ],
    ids=str,
)
def test_an_option_of_an_option_of_an_option_keeps_its_four_states_apart(value: Any) -> None:
    of = wit.Option(wit.Option(wit.Option(wit.U8)))
    check_comes_back(echo(of), value)
    check_comes_back(echo(wit.Record((("a", of),))), {"a": value})
    check_comes_back(echo(wit.List(of)), [value, None, value])


@pytest.mark.parametrize("value", [{"ok": None}, {"err": None}], ids=str)
def test_a_result_of_nothing_inside_a_value_keeps_its_two_states_apart(value: Any) -> None:
    of = wit.Result(None, None)
    for _ in range(3):
        check_comes_back(echo(wit.Tuple((of,))), [value])
        of, value = wit.Result(of, None), {"ok": value}


def test_each_of_500_cases_comes_back() -> None:
    payloads: list[WitType | None] = [None, wit.U8, wit.String(), wit.Float(64), wit.List(U64)]
    values: list[Any] = [None, 255, "text", 0.5, [1]]
    cases = tuple((name, payloads[n % 5]) for n, name in enumerate(NAMES))
    variant, listed = echo(wit.Variant(cases)), echo(wit.List(wit.Variant(cases)))
    right = [
        {"tag": name} | ({"val": values[n % 5]} if n % 5 else {}) for n, name in enumerate(NAMES)
    ]
    for value in right:
        check_comes_back(variant, value)
    check_comes_back(listed, right)
    enum, bare = echo(wit.Enum(NAMES)), echo(wit.Variant(tuple((name, None) for name in NAMES)))
    for name in NAMES:
        check_comes_back(enum, name)
        check_comes_back(bare, {"tag": name})


@pytest.mark.parametrize("count", [1, 7, 8, 9, 15, 16, 17, 31, 32])
def test_each_flag_comes_back_alone_and_with_all_others(count: int) -> None:
    guest = echo(wit.Flags(NAMES[:count]))
    for index, name in enumerate(NAMES[:count]):
        check_comes_back(guest, [name])
        check_comes_back(guest, [*NAMES[:index], *NAMES[index + 1 : count]])
    check_comes_back(guest, [])
    check_comes_back(guest, list(NAMES[:count]))


@pytest.mark.parametrize("count", [33, 64])
def test_the_engine_refuses_more_than_32_flags_and_says_so(count: int) -> None:
    names = " ".join(f'"{name}"' for name in NAMES[:count])
    with pytest.raises(WasmtimeError, match="cannot have more than 32 flags"):
        Component(ENGINE, f'(component (type $t (flags {names})) (export "t" (type $t)))')


def test_a_record_of_500_fields_and_a_tuple_of_500_items_come_back() -> None:
    fields = tuple(
        (name, wit.Option(U32) if n % 2 else wit.String()) for n, name in enumerate(NAMES)
    )
    values = [n if n % 2 else str(n) for n in range(500)]
    check_comes_back(echo(wit.Record(fields)), dict(zip(NAMES, values, strict=True)))
    check_comes_back(echo(wit.Tuple(tuple(of for _, of in fields))), values)


DEEPER: dict[str, tuple[Callable[[WitType], WitType], Callable[[Any], Any]]] = {
    "list": (wit.List, lambda value: [value]),
    "tuple": (lambda of: wit.Tuple((of,)), lambda value: [value]),
    "record": (lambda of: wit.Record((("a", of),)), lambda value: {"a": value}),
    "variant": (lambda of: wit.Variant((("a", of),)), lambda value: {"tag": "a", "val": value}),
    "option": (wit.Option, lambda value: {"some": value}),
    "result": (lambda of: wit.Result(of, None), lambda value: {"ok": value}),
}


@pytest.mark.parametrize("kind", DEEPER)
def test_a_type_as_deep_as_allowed_comes_back_and_a_deeper_one_is_no_tool(kind: str) -> None:
    of: WitType = U32
    value: Any = 7
    wrap, put_in = DEEPER[kind]
    for depth in range(MAX_DEPTH - 1):
        of = wrap(of)
        value = value if kind == "option" and not depth else put_in(value)
    check_comes_back(echo(wit.Tuple((of,))), [value])
    with pytest.raises(wit.Inexpressible, match=f"nest deeper than {MAX_DEPTH}"):
        echo(wit.Tuple((wrap(of),)))
