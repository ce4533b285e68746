"""Values that the engine returned, as what JSON can say; read straight from C memory.

A reader trusts the memory: the engine has checked the guest's value against the same type.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from ctypes import string_at
from math import isfinite
from struct import Struct
from typing import Any, TypeAlias

import msgspec

from wassette_worker import component_values as cv
from wassette_worker import wit_types as wit
from wassette_worker.component_values import PAYLOAD, VALUE_SIZE, Memory, view
from wassette_worker.json_scalars import Scalar, scalar
from wassette_worker.json_schema import MAX_SAFE_INTEGER

# Reads the value at a place in memory.
Reader: TypeAlias = Callable[[Memory, int], Any]


# What JSON text can't hold as it is, beside the quote and the backslash.
_CONTROLS = bytes(range(0x20))


class ResultTooLarge(Exception):  # noqa: N818 - says what the result is
    """A result whose JSON would be longer than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"a result of more than {self.limit} bytes of JSON"


class Budget:
    """What one result may still take, as the least that its parts need in JSON.

    It stops a list of millions before each of its values becomes a Python object.
    """

    def __init__(self) -> None:
        self._limit = self._left = 0

    def reset(self, limit: int) -> None:
        self._limit = self._left = limit

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ResultTooLarge(self._limit)


def reader(of: wit.WitType, budget: Budget) -> Reader:
    """Work out how to read a type."""
    packed = scalar(of)
    if packed is None:
        return _READERS[type(of)](of, budget)
    unpack, say = Struct(f"={packed.code}").unpack_from, _sayer(of)

    def read(memory: Memory, at: int) -> Any:
        (value,) = unpack(memory, at + PAYLOAD)
        return say(value) if say else value

    return read


def _sayer(of: wit.WitType) -> Callable[[Any], Any] | None:
    """What makes a value of a scalar that JSON can hold, where its number is not."""
    match of:
        case wit.Int(width=64):
            return _say_integer
        case wit.Float():
            return _say_number
        case wit.Char():
            return chr
        case _:
            return None


def _say_integer(value: int) -> int | str:
    return value if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER else str(value)


def _say_number(value: float) -> float | str:
    if isfinite(value):
        return value
    if value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _sequence(memory: Memory, at: int) -> tuple[int, int]:
    size, address = cv.SIZE_POINTER.unpack_from(memory, at + PAYLOAD)
    return size, address


def _string(_of: wit.String, budget: Budget) -> Reader:
    def read(memory: Memory, at: int) -> str:
        size, address = _sequence(memory, at)
        budget.spend(size)
        return string_at(address, size).decode()

    return read


def _list(of: wit.List, budget: Budget) -> Reader:
    packed = scalar(of.element)
    if of.element == wit.U8:
        return _bytes(budget)
    if packed is not None:
        return _list_of_scalars(packed, _sayer(of.element), budget)
    if isinstance(of.element, wit.String):
        return _list_of_texts(budget)
    read_element = reader(of.element, budget)

    def read(memory: Memory, at: int) -> list[Any]:
        size, address = _sequence(memory, at)
        budget.spend(2 * size)  # a digit and a comma
        inner = view(address, size * VALUE_SIZE)
        return [read_element(inner, place) for place in range(0, len(inner), VALUE_SIZE)]

    return read


def _list_of_texts(budget: Budget) -> Reader:
    def read(memory: Memory, at: int) -> list[str] | msgspec.Raw:
        size, address = _sequence(memory, at)
        budget.spend(2 * size)
        if not size:
            return []
        texts = cv.Texts(address, size)
        budget.spend(texts.size)
        joined = b"\0".join([b"\0".join(lot) for lot in texts.lots()])
        if len(joined) - len(joined.translate(None, _CONTROLS)) == size - 1:
            return _quoted(joined)
        return [piece.decode() for lot in texts.lots() for piece in lot]

    return read


def _quoted(joined: bytes) -> msgspec.Raw:
    """The JSON of strings without control characters, between which stands NUL."""
    escaped = joined.replace(b"\\", rb"\\").replace(b'"', rb"\"").replace(b"\0", b'","')
    return msgspec.Raw(b'["' + escaped + b'"]')


def _list_of_scalars(of: Scalar, say: Callable[[Any], Any] | None, budget: Budget) -> Reader:
    width = Struct(f"={of.code}").size

    def read(memory: Memory, at: int) -> list[Any]:
        size, address = _sequence(memory, at)
        budget.spend(2 * size)
        if not size:
            return []
        items = cv.items(view(address, size * VALUE_SIZE), of.code)
        values: list[Any] = items[PAYLOAD // width :: VALUE_SIZE // width].tolist()
        return list(map(say, values)) if say else values

    return read


def _bytes(budget: Budget) -> Reader:
    def read(memory: Memory, at: int) -> str:
        size, address = _sequence(memory, at)
        budget.spend(size)
        data = cv.payload_bytes(address, size) if size else b""
        return binascii.b2a_base64(data, newline=False).decode()

    return read


def _tuple(of: wit.Tuple, budget: Budget) -> Reader:
    readers = [(reader(item, budget), n * VALUE_SIZE) for n, item in enumerate(of.items)]
    size = len(readers) * VALUE_SIZE

    def read(memory: Memory, at: int) -> list[Any]:
        _, address = _sequence(memory, at)
        inner = view(address, size)
        return [read_item(inner, place) for read_item, place in readers]

    return read


def _record(of: wit.Record, budget: Budget) -> Reader:
    readers = [
        (name, reader(field, budget), index * cv.FIELD_SIZE + cv.FIELD_VALUE)
        for index, (name, field) in enumerate(of.fields)
    ]
    size = len(readers) * cv.FIELD_SIZE

    def read(memory: Memory, at: int) -> dict[str, Any]:
        _, address = _sequence(memory, at)
        inner = view(address, size)
        return {name: read_field(inner, place) for name, read_field, place in readers}

    return read


def _variant(of: wit.Variant, budget: Budget) -> Reader:
    cases = {
        tag.encode(): (tag, None if payload is None else reader(payload, budget))
        for tag, payload in of.cases
    }

    def read(memory: Memory, at: int) -> dict[str, Any]:
        size, name, payload = cv.CASE_POINTERS.unpack_from(memory, at + PAYLOAD)
        tag, read_payload = cases[string_at(name, size)]
        if read_payload is None:
            return {"tag": tag}
        return {"tag": tag, "val": read_payload(view(payload, VALUE_SIZE), 0)}

    return read


def _enum(_of: wit.Enum, _budget: Budget) -> Reader:
    def read(memory: Memory, at: int) -> str:
        size, address = _sequence(memory, at)
        return string_at(address, size).decode()

    return read


def _option(of: wit.Option, budget: Budget) -> Reader:
    read_payload = reader(of.payload, budget)
    wrapped = isinstance(of.payload, wit.Option)  # null would be two values

    def read(memory: Memory, at: int) -> Any:
        (address,) = cv.POINTER_ONLY.unpack_from(memory, at + PAYLOAD)
        if not address:
            return None
        value = read_payload(view(address, VALUE_SIZE), 0)
        return {"some": value} if wrapped else value

    return read


class ResultReader:
    """Reads a `result`: in data, and as what a function returns."""

    def __init__(self, of: wit.Result, budget: Budget) -> None:
        self._ok = None if of.ok is None else reader(of.ok, budget)
        self._err = None if of.err is None else reader(of.err, budget)

    def split(self, memory: Memory, at: int) -> tuple[bool, Any]:
        """Whether it is ok, and its payload; an absent one is None."""
        ok, address = cv.OK_POINTER.unpack_from(memory, at + PAYLOAD)
        read_payload = self._ok if ok else self._err
        return ok, read_payload(view(address, VALUE_SIZE), 0) if read_payload else None

    def read(self, memory: Memory, at: int) -> dict[str, Any]:
        ok, payload = self.split(memory, at)
        return {"ok" if ok else "err": payload}


def _flags(of: wit.Flags, _budget: Budget) -> Reader:
    def read(memory: Memory, at: int) -> list[str]:
        size, address = _sequence(memory, at)
        entries = view(address, size * cv.NAME_SIZE)
        present = {
            string_at(data, length).decode()
            for length, data in cv.SIZE_POINTER.iter_unpack(entries)
        }
        return [name for name in of.names if name in present]

    return read


_READERS: dict[type, Callable[[Any, Budget], Reader]] = {
    wit.String: _string,
    wit.List: _list,
    wit.Record: _record,
    wit.Tuple: _tuple,
    wit.Variant: _variant,
    wit.Enum: _enum,
    wit.Option: _option,
    wit.Result: lambda of, budget: ResultReader(of, budget).read,
    wit.Flags: _flags,
}
