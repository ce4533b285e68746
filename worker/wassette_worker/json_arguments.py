"""Arguments as JSON gives them, checked against their WIT types and laid out for the engine.

The engine wraps numbers silently and finds a wrong name only when the guest has been entered:
all checks are made here, before. What can be known from a type is worked out once, in a writer.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any, NoReturn, TypeAlias

from wassette_worker import component_values as cv
from wassette_worker import wit_types as wit
from wassette_worker.bad_value import BadValue, one_of, preview
from wassette_worker.component_values import Arena
from wassette_worker.json_scalars import (
    Scalar,
    expected,
    from_base64,
    pack_all,
    scalar,
    spread,
)

# Checks a value and puts its 32 bytes at a place in memory; what they point to is in the arena.
Writer: TypeAlias = Callable[[Any, Arena, bytearray, int], None]


_ABSENT = object()
_NONE = cv.OPTION_VALUE.pack(cv.OPTION, 0)


def writer(of: wit.WitType, names: Arena) -> Writer:
    """Work out a type; what is the same in all its values is kept in `names`."""
    packed = scalar(of)
    return _scalar_writer(packed) if packed else _WRITERS[type(of)](of, names)


class Members:
    """The fields of a record, or the parameters of a function: values at known offsets."""

    def __init__(
        self, members: tuple[tuple[str, wit.WitType], ...], names: Arena, *, stride: int, at: int
    ) -> None:
        self._known = [
            (name, at + index * stride, writer(of, names), of)
            for index, (name, of) in enumerate(members)
        ]
        self._names = frozenset(name for name, _ in members)

    def put(self, value: dict[str, Any], arena: Arena, memory: bytearray, at: int) -> None:
        if not value.keys() <= self._names:
            self._refuse_unknown(value)
        for name, offset, put, of in self._known:
            given = value.get(name, _ABSENT)
            if given is _ABSENT:
                if not isinstance(of, wit.Option):
                    raise BadValue.missing(name, expected(of))
                at_value = at + offset
                memory[at_value : at_value + cv.VALUE_SIZE] = _NONE
                continue
            try:
                put(given, arena, memory, at + offset)
            except BadValue as bad:
                bad.inside(name)
                raise

    def _refuse_unknown(self, value: dict[str, Any]) -> NoReturn:
        unknown = next(name for name in value if name not in self._names)
        known = one_of(name for name, *_ in self._known)
        allowed = f"no members but {known}" if self._known else "no members"
        raise BadValue("", f"an object with {allowed}", f"one with {preview(unknown)}")


# --- scalars, text and lists ------------------------------------------------------------------


def _scalar_writer(of: Scalar) -> Writer:
    # Native order and sizes, as the C compiler's: the layout check holds on one ABI at a time.
    put_packed, kind, parse = Struct(f"=B7x{of.code}").pack_into, of.kind, of.parse

    def put(value: Any, _arena: Arena, memory: bytearray, at: int) -> None:
        put_packed(memory, at, kind, parse(value))

    return put


def _string(of: wit.String, _names: Arena) -> Writer:
    def put(value: Any, arena: Arena, memory: bytearray, at: int) -> None:
        if type(value) is not str:
            raise BadValue.came(expected(of), value)
        try:
            data = value.encode()
        except UnicodeEncodeError:
            raise BadValue.came("text without lone surrogates", value) from None
        cv.SEQUENCE.pack_into(memory, at, cv.STRING, len(data), arena.keep(data))

    return put


def _list(of: wit.List, names: Arena) -> Writer:
    packed = scalar(of.element)
    if packed is None:
        bulk = _bulk_of_texts if isinstance(of.element, wit.String) else None
        return _list_of_values(of, writer(of.element, names), bulk)
    to_bytes = from_base64 if of.element == wit.U8 else None

    def put(value: Any, arena: Arena, memory: bytearray, at: int) -> None:
        if to_bytes and type(value) is str:
            data = to_bytes(value)
        elif type(value) is list:
            data = pack_all(packed, value)
        else:
            raise BadValue.came(expected(of), value)
        size = len(value) if type(value) is list else len(data)
        cv.SEQUENCE.pack_into(memory, at, cv.LIST, size, spread(packed, data, size, arena))

    return put


def _bulk_of_texts(values: list[Any], arena: Arena) -> int | None:
    """Lay out strings at the speed of C; None if there is one that is none."""
    try:
        joined = "".join(values)
        if joined.isascii():
            sizes = list(map(len, values))
        else:
            sizes = list(map(len, map(str.encode, values)))
        return cv.spread_texts(joined.encode(), sizes, arena)
    except (TypeError, UnicodeEncodeError):
        return None  # the long way finds which


def _list_of_values(
    of: wit.List, put_element: Writer, bulk: Callable[[list[Any], Arena], int | None] | None
) -> Writer:
    def put(value: Any, arena: Arena, memory: bytearray, at: int) -> None:
        if type(value) is not list:
            raise BadValue.came(expected(of), value)
        address = bulk(value, arena) if bulk else None
        if address is None:
            address = _put_values(value, [put_element] * len(value), arena)
        cv.SEQUENCE.pack_into(memory, at, cv.LIST, len(value), address)

    return put


def _put_values(values: list[Any], writers: list[Writer], arena: Arena) -> int:
    memory, at, address = arena.take(len(values) * cv.VALUE_SIZE)
    index = 0
    try:
        for index, (value, put) in enumerate(zip(values, writers, strict=True)):
            put(value, arena, memory, at + index * cv.VALUE_SIZE)
    except BadValue as bad:
        bad.inside(index)
        raise
    return address


# --- the other composites ---------------------------------------------------------------------


def _tuple(of: wit.Tuple, names: Arena) -> Writer:
    writers = [writer(item, names) for item in of.items]

    def put(value: Any, arena: Arena, memory: bytearray, at: int) -> None:
        if type(value) is not list or len(value) != len(writers):
            raise BadValue.came(expected(of), value)
        address = _put_values(value, writers, arena)
        cv.SEQUENCE.pack_into(memory, at, cv.TUPLE, len(writers), address)

    return put


def _record(of: wit.Record, names: Arena) -> Writer:
    members = Members(of.fields, names, stride=cv.FIELD_SIZE, at=cv.FIELD_VALUE)
    # The names of the fields, with room for the values.
    empty = b"".join(cv.SIZE_POINTER.pack(*names.name(name)) + bytes(32) for name, _ in of.fields)

    def put(value: Any, arena: Arena, memory: bytearray, at: int) -> None:
        if type(value) is not dict:
            raise BadValue.came(expected(of), value)
        fields = arena.take(len(empty))
        fields.memory[fields.at : fields.at + len(empty)] = empty
        members.put(value, arena, fields.memory, fields.at)
        cv.SEQUENCE.pack_into(memory, at, cv.RECORD, len(of.fields), fields.address)

    return put


def _payload(key: str, value: Any, put: Writer, arena: Arena) -> int:
    place = arena.take(cv.VALUE_SIZE)
    try:
        put(value, arena, place.memory, place.at)
    except BadValue as bad:
        bad.inside(key)
        raise
    return place.address


def _bare_payload(value: Any, put: Writer, arena: Arena) -> int:
    place = arena.take(cv.VALUE_SIZE)
    try:
        put(value, arena, place.memory, place.at)
    except BadValue as bad:
        bad.or_null()
        raise
    return place.address


def _variant(of: wit.Variant, names: Arena) -> Writer:
    cases = {
        tag: (names.name(tag), None if payload is None else writer(payload, names))
        for tag, payload in of.cases
    }

    def put(value: Any, arena: Arena, memory: bytearray, at: int) -> None:
        tag = value.get("tag") if type(value) is dict else None
        if type(tag) is not str or tag not in cases:
            raise BadValue.came(expected(of), value)
        name, put_payload = cases[tag]
        if value.keys() != ({"tag"} if put_payload is None else {"tag", "val"}):
            keys = '"tag" alone' if put_payload is None else '"tag" and "val"'
            raise BadValue.came(f"{keys} for this case", value)
        address = _payload("val", value["val"], put_payload, arena) if put_payload else 0
        cv.VARIANT_VALUE.pack_into(memory, at, cv.VARIANT, *name, address)

    return put


def _enum(of: wit.Enum, names: Arena) -> Writer:
    values = {name: cv.SEQUENCE.pack(cv.ENUM, *names.name(name)) for name in of.names}

    def put(value: Any, _arena: Arena, memory: bytearray, at: int) -> None:
        if type(value) is not str or value not in values:
            raise BadValue.came(expected(of), value)
        memory[at : at + cv.VALUE_SIZE] = values[value]

    return put


def _flags(of: wit.Flags, names: Arena) -> Writer:
    known = {name: cv.SIZE_POINTER.pack(*names.name(name)) for name in of.names}
    element = f"one of {one_of(known)}, each at most once"

    def put(value: Any, arena: Arena, memory: bytearray, at: int) -> None:
        if type(value) is not list:
            raise BadValue.came(expected(of), value)
        left = dict(known)
        entries = []
        for index, name in enumerate(value):
            if type(name) is not str or name not in left:
                bad = BadValue.came(element, name)
                bad.inside(index)
                raise bad
            entries.append(left.pop(name))
        address = arena.keep(b"".join(entries))
        cv.SEQUENCE.pack_into(memory, at, cv.FLAGS, len(entries), address)

    return put


def _option(of: wit.Option, names: Arena) -> Writer:
    put_payload = writer(of.payload, names)
    wrapped = isinstance(of.payload, wit.Option)  # null would be two values

    def put(value: Any, arena: Arena, memory: bytearray, at: int) -> None:
        address = 0
        if value is not None:
            if wrapped and (type(value) is not dict or value.keys() != {"some"}):
                raise BadValue.came(expected(of), value)
            if wrapped:
                address = _payload("some", value["some"], put_payload, arena)
            else:
                address = _bare_payload(value, put_payload, arena)
        cv.OPTION_VALUE.pack_into(memory, at, cv.OPTION, address)

    return put


def _result(of: wit.Result, names: Arena) -> Writer:
    writers = {
        key: _null if payload is None else writer(payload, names)
        for key, payload in (("ok", of.ok), ("err", of.err))
    }
    absent = {"ok": of.ok is None, "err": of.err is None}

    def put(value: Any, arena: Arena, memory: bytearray, at: int) -> None:
        if type(value) is not dict or value.keys() not in ({"ok"}, {"err"}):
            raise BadValue.came(expected(of), value)
        ((key, inner),) = value.items()
        address = _payload(key, inner, writers[key], arena)
        cv.RESULT_VALUE.pack_into(memory, at, cv.RESULT, key == "ok", 0 if absent[key] else address)

    return put


def _null(value: Any, _arena: Arena, _memory: bytearray, _at: int) -> None:
    if value is not None:
        raise BadValue.came("null", value)


_WRITERS: dict[type, Callable[[Any, Arena], Writer]] = {
    wit.String: _string,
    wit.List: _list,
    wit.Record: _record,
    wit.Tuple: _tuple,
    wit.Variant: _variant,
    wit.Enum: _enum,
    wit.Option: _option,
    wit.Result: _result,
    wit.Flags: _flags,
}
