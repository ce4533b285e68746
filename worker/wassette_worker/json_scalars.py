"""Numbers, booleans, characters and bytes: from JSON, checked and packed; many at once.

A list of a million numbers is checked and moved by a handful of calls into C.
"""

from __future__ import annotations

import binascii
import re
from math import isfinite
from struct import calcsize, error, pack
from typing import TYPE_CHECKING, Any, NamedTuple

from wassette_worker import component_values as cv
from wassette_worker import wit_types as wit
from wassette_worker.bad_value import BadValue, one_of
from wassette_worker.json_schema import integer_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from wassette_worker.component_values import Arena


class Scalar(NamedTuple):
    """A type whose value needs nothing beside its 32 bytes."""

    kind: int
    code: str  # of the struct module; also the item of a strided slice
    exact: frozenset[type]  # of a value that needs no more than a check of its range
    parse: Callable[[Any], Any]


_INTEGERS = {
    (8, True): (cv.S8, "b"),
    (8, False): (cv.U8, "B"),
    (16, True): (cv.S16, "h"),
    (16, False): (cv.U16, "H"),
    (32, True): (cv.S32, "i"),
    (32, False): (cv.U32, "I"),
    (64, True): (cv.S64, "q"),
    (64, False): (cv.U64, "Q"),
}
_FLOATS = {32: (cv.F32, "f"), 64: (cv.F64, "d")}

_NAMED_FLOATS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def scalar(of: wit.WitType) -> Scalar | None:
    """How a type's value is packed, or None if it needs more than its 32 bytes."""
    match of:
        case wit.Bool():
            return Scalar(cv.BOOL, "?", frozenset({bool}), _boolean)
        case wit.Int():
            return Scalar(*_INTEGERS[of.width, of.signed], frozenset({int}), _integer(of))
        case wit.Float():
            return Scalar(*_FLOATS[of.width], frozenset({int, float}), _number(of))
        case wit.Char():
            return Scalar(cv.CHAR, "I", frozenset(), _character)
        case _:
            return None


def expected(of: wit.WitType) -> str:
    """What a place of this type takes, in words."""
    return _EXPECTED.get(type(of), lambda _: "an object")(of)


def _expected_integer(of: wit.Int) -> str:
    form = ", as a number or in decimal text" if of.width == 64 else ""
    return f"an integer from {of.minimum} to {of.maximum}{form}"


def _expected_list(of: wit.List) -> str:
    if of.element == wit.U8:
        return "base64 text or an array of integers from 0 to 255"
    return "an array"


def _expected_option(of: wit.Option) -> str:
    if isinstance(of.payload, wit.Option):
        return 'null or {"some": value}'
    return f"null or {expected(of.payload)}"


_EXPECTED: dict[type, Callable[[Any], str]] = {
    wit.Bool: lambda _: "true or false",
    wit.Int: _expected_integer,
    wit.Float: lambda of: f'a number of {of.width} bits, "NaN", "Infinity" or "-Infinity"',
    wit.Char: lambda _: "a string of one character",
    wit.String: lambda _: "a string",
    wit.List: _expected_list,
    wit.Tuple: lambda of: f"an array of {len(of.items)} values",
    wit.Variant: lambda of: f'an object whose "tag" is one of {one_of(tag for tag, _ in of.cases)}',
    wit.Enum: lambda of: f"one of {one_of(of.names)}",
    wit.Option: _expected_option,
    wit.Result: lambda _: '{"ok": value} or {"err": value}',
    wit.Flags: lambda _: "an array of names",
}


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise BadValue.came(expected(wit.Bool()), value)
    return value


def _integer(of: wit.Int) -> Callable[[Any], int]:
    minimum, maximum = of.minimum, of.maximum
    decimal = re.compile(integer_pattern(of)) if of.width == 64 else None

    def parse(value: Any) -> int:
        number = value
        if type(value) is float:
            number = int(value) if value.is_integer() else None
        elif type(value) is str and decimal:
            number = int(value) if decimal.fullmatch(value) else None
        if type(number) is not int or not minimum <= number <= maximum:
            raise BadValue.came(expected(of), value)
        return number

    return parse


def _number(of: wit.Float) -> Callable[[Any], float]:
    form = f"={_FLOATS[of.width][1]}"  # the standard size: a native float is cut silently

    def parse(value: Any) -> float:
        if type(value) is str and value in _NAMED_FLOATS:
            return _NAMED_FLOATS[value]
        if type(value) not in (int, float):
            raise BadValue.came(expected(of), value)
        try:
            pack(form, value)
            if isfinite(value):
                return float(value)
        except (OverflowError, error):
            pass
        raise BadValue.came(expected(of), value)

    return parse


def _character(value: Any) -> int:
    if type(value) is not str or len(value) != 1 or "\ud800" <= value <= "\udfff":
        raise BadValue.came(expected(wit.Char()), value)
    return ord(value)


def from_base64(text: str) -> bytes:
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise BadValue.came("base64 text, standard alphabet and padded", text) from None
    # Bits left over in the last group must be zero: one text for each value.
    if binascii.b2a_base64(data[len(data) // 3 * 3 :], newline=False) not in (
        b"",
        text[-4:].encode(),
    ):
        raise BadValue.came("base64 text without stray bits at its end", text)
    return data


def pack_all(of: Scalar, values: list[Any]) -> bytes:
    """Check and pack many values; at the speed of C if none needs more than a range check."""
    form = f"={len(values)}{of.code}"
    if of.exact.issuperset(map(type, values)) and (of.code not in "fd" or _all_finite(values)):
        try:
            return pack(form, *values)
        except (error, OverflowError):
            pass  # one is out of range: the long way finds which
    parsed = []
    for index, value in enumerate(values):
        try:
            parsed.append(of.parse(value))
        except BadValue as bad:
            bad.inside(index)
            raise
    return pack(form, *parsed)


def _all_finite(values: list[Any]) -> bool:
    try:
        return all(map(isfinite, values))
    except OverflowError:  # an integer beyond any float
        return False


def spread(of: Scalar, data: bytes, size: int, arena: Arena) -> int:
    """Lay packed values out, each in its 32 bytes; the address of the first (0: none)."""
    if not size:
        return 0
    memory, at, address = arena.take(size * cv.VALUE_SIZE)
    end = at + size * cv.VALUE_SIZE
    memory[at : end : cv.VALUE_SIZE] = bytes((of.kind,)) * size
    width = calcsize(of.code)
    if width == 1:
        memory[at + cv.PAYLOAD : end : cv.VALUE_SIZE] = data
    else:
        values = cv.items(memoryview(memory)[at:end], of.code)
        slots = values[cv.PAYLOAD // width :: cv.VALUE_SIZE // width]
        slots[:] = cv.items(memoryview(data), of.code)
    return address
