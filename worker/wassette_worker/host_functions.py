"""Functions of the host over the engine's C API: a guest's words decoded, our answers laid out.

wasmtime-py asks the engine for a function's types at each call and converts value by value: 0.1
to 0.4 ms a call, a list of bytes at 0.7 MB/s. Here a function knows the form of its own values.
"""

from __future__ import annotations

import ctypes
import struct
from ctypes import CFUNCTYPE, PYFUNCTYPE, c_bool, c_size_t, c_uint32, c_void_p
from typing import TYPE_CHECKING, Any

from wasmtime import _ffi
from wasmtime._ffi import dll

from wassette_worker import component_values as cv

if TYPE_CHECKING:
    from wasmtime import Store

RESOURCE = 21


def _c(name: str, result: Any, *params: Any) -> Any:
    """A function that may take long: Python's other thread goes on meanwhile."""
    return CFUNCTYPE(result, *params)((name, dll))


def _short(name: str, result: Any, *params: Any) -> Any:
    """A function that is over at once: it costs less if Python's lock is kept."""
    return PYFUNCTYPE(result, *params)((name, dll))


_val_new = _short("wasmtime_component_val_new", c_void_p, c_void_p)
_val_clone = _short("wasmtime_component_val_clone", None, c_void_p, c_void_p)
_bytes_new = _short("wasm_byte_vec_new", None, c_void_p, c_size_t, c_void_p)
_list_new = _short("wasmtime_component_vallist_new", None, c_void_p, c_size_t, c_void_p)
_tuple_new = _short("wasmtime_component_valtuple_new", None, c_void_p, c_size_t, c_void_p)
_record_new = _short("wasmtime_component_valrecord_new", None, c_void_p, c_size_t, c_void_p)
_flags_new = _short("wasmtime_component_valflags_new", None, c_void_p, c_size_t, c_void_p)
_any_to_host = _short(
    "wasmtime_component_resource_any_to_host", c_void_p, c_void_p, c_void_p, c_void_p
)
_any_drop = _c("wasmtime_component_resource_any_drop", c_void_p, c_void_p, c_void_p)
_any_delete = _short("wasmtime_component_resource_any_delete", None, c_void_p)
_host_new = _short("wasmtime_component_resource_host_new", c_void_p, c_bool, c_uint32, c_uint32)
_host_to_any = _short(
    "wasmtime_component_resource_host_to_any", c_void_p, c_void_p, c_void_p, c_void_p
)
_host_rep = _short("wasmtime_component_resource_host_rep", c_uint32, c_void_p)
_host_delete = _short("wasmtime_component_resource_host_delete", None, c_void_p)
_ONE = struct.Struct("<B7xQQ8x")  # a kind, and two words of its payload
_PAIR = struct.Struct("<QQ")
_WORD = struct.Struct("<Q")
_CASE = struct.Struct("<QQQ")
_RAW = struct.Struct(f"{cv.VALUE_SIZE}s")

# Read and written by address: a fifth of what ctypes' own functions for that take.
_memory: Any = cv.ALL_MEMORY.from_address(0)


class EngineError(Exception):
    """An error of the engine on its way through a function of ours: it ends the guest's call."""

    def __init__(self, pointer: int) -> None:
        self.pointer = pointer
        super().__init__("an error of the engine")


def checked(pointer: int | None) -> None:
    if pointer:
        raise EngineError(pointer)


# --- what came from the guest ---------------------------------------------------------------


def text_at(value: int) -> str:
    """A string, or the case of an enum."""
    size, start = _PAIR.unpack_from(_memory, value + cv.PAYLOAD)
    text: bytes = _memory[start : start + size]
    return text.decode()


def number_at(value: int) -> int:
    number: int = _WORD.unpack_from(_memory, value + cv.PAYLOAD)[0]
    return number


def bool_at(value: int) -> bool:
    return bool(_memory[value + cv.PAYLOAD] != b"\0")


def flags_at(value: int) -> tuple[bytes, ...]:
    """The names of those that are set, in the order of their definition."""
    count, start = _PAIR.unpack_from(_memory, value + cv.PAYLOAD)
    if not count:
        return ()
    places = range(start, start + cv.NAME_SIZE * count, cv.NAME_SIZE)
    names = (_PAIR.unpack_from(_memory, place) for place in places)
    return tuple([_memory[at : at + size] for size, at in names])


def bytes_at(value: int) -> bytes:
    """A list of u8."""
    count, start = _PAIR.unpack_from(_memory, value + cv.PAYLOAD)
    return cv.payload_bytes(start, count) if count else b""


def case_at(value: int) -> tuple[str, int]:
    """A variant: its case, and the address of its payload (0: none)."""
    size, start, payload = _CASE.unpack_from(_memory, value + cv.PAYLOAD)
    return _memory[start : start + size].decode(), payload


def raw_at(value: int, count: int) -> bytes:
    """Values as they stand there, to be passed on."""
    raw: bytes = _memory[value : value + count * cv.VALUE_SIZE]
    return raw


def fields_at(value: int) -> list[int]:
    """The addresses of a record's values, in their order."""
    count, start = _PAIR.unpack_from(_memory, value + cv.PAYLOAD)
    return [start + cv.FIELD_SIZE * number + cv.FIELD_VALUE for number in range(count)]


def elements_at(value: int) -> list[int]:
    """The addresses of a list's values."""
    count, start = _PAIR.unpack_from(_memory, value + cv.PAYLOAD)
    return [start + cv.VALUE_SIZE * number for number in range(count)]


def first_of_tuple(value: int) -> int:
    """The address of a tuple's first value; the next ones follow it."""
    _, start = _PAIR.unpack_from(_memory, value + cv.PAYLOAD)
    return int(start)


def context_of(store: Store) -> int:
    """The address of a store's context."""
    context = ctypes.cast(store._context(), c_void_p)  # noqa: SLF001 - the C API takes no other
    return context.value or 0


_slot = c_void_p()
_slot_at = ctypes.addressof(_slot)


def number_of_resource(context: int, value: int) -> int:
    """The number that we gave a resource; the guest's loan of it ends here."""
    checked(_any_to_host(context, number_at(value), _slot_at))
    host = _slot.value
    number: int = _host_rep(host)
    _host_delete(host)
    return number


# --- what the guest gets --------------------------------------------------------------------

_FALSE = bytes(cv.VALUE_SIZE)

Value = bytes  # the 32 bytes of one, which owns what it points to


def own(context: int, kind: int, number: int) -> Value:
    """A resource of ours, the guest's from now on."""
    host = _host_new(True, number, kind)  # noqa: FBT003 - the C API's
    error = _host_to_any(context, host, _slot_at)
    _host_delete(host)
    checked(error)
    return _ONE.pack(RESOURCE, _slot.value or 0, 0)


def bool_value(value: bool) -> Value:  # noqa: FBT001 - that is what it is of
    return _ONE.pack(cv.BOOL, value, 0)


def unsigned(kind: int, value: int) -> Value:
    return _ONE.pack(kind, value, 0)


_vector = ctypes.create_string_buffer(16)
_vector_at = ctypes.addressof(_vector)


def text(value: str) -> Value:
    return _named(cv.STRING, value)


def enum_value(case: str) -> Value:
    return _named(cv.ENUM, case)


def _named(kind: int, value: str) -> Value:
    data = value.encode()
    _bytes_new(_vector_at, len(data), data)
    return _ONE.pack(kind, *_PAIR.unpack_from(_vector))


def variant(case: str) -> Value:
    """A case without a payload."""
    return cv.VARIANT_VALUE.pack(*_ONE.unpack(_named(cv.VARIANT, case)), 0)


def flags_value(names: list[str]) -> Value:
    entries = b"".join(map(_name, names))
    _flags_new(_vector_at, len(names), entries)
    return _ONE.pack(cv.FLAGS, *_PAIR.unpack_from(_vector))


def _name(value: str) -> bytes:
    data = value.encode()
    _bytes_new(_vector_at, len(data), data)
    return _vector.raw


def record(*fields: tuple[str, Value]) -> Value:
    entries = b"".join(_name(name) + value for name, value in fields)
    _record_new(_vector_at, len(fields), entries)
    return _ONE.pack(cv.RECORD, *_PAIR.unpack_from(_vector))


def tuple_value(*values: Value) -> Value:
    _tuple_new(_vector_at, len(values), b"".join(values))
    return _ONE.pack(cv.TUPLE, *_PAIR.unpack_from(_vector))


def list_value(values: list[Value]) -> Value:
    _list_new(_vector_at, len(values), b"".join(values))
    return _ONE.pack(cv.LIST, *_PAIR.unpack_from(_vector))


class ByteLists:
    """Lists of u8: 32 bytes of the host's memory for each; what they are laid out in is kept."""

    def __init__(self, longest: int) -> None:
        self._arena = cv.Arena()
        self._memory, self._at, self._address = self._arena.take(longest * cv.VALUE_SIZE)
        self._memory[self._at :: cv.VALUE_SIZE] = bytes((cv.U8,)) * longest

    def value(self, data: bytes) -> Value:
        """These bytes, which must be no more than the longest."""
        start = self._at + cv.PAYLOAD
        if data:  # no bytes at all would be taken for a request to cut the memory short
            self._memory[start : start + len(data) * cv.VALUE_SIZE : cv.VALUE_SIZE] = data
        _list_new(_vector_at, len(data), self._address)
        return _ONE.pack(cv.LIST, *_PAIR.unpack_from(_vector))


def option(value: Value | None) -> Value:
    return _ONE.pack(cv.OPTION, _boxed(value), 0)


def ok(value: Value | None = None) -> Value:
    return cv.RESULT_VALUE.pack(cv.RESULT, True, _boxed(value))  # noqa: FBT003 - a field


def err(value: Value) -> Value:
    return cv.RESULT_VALUE.pack(cv.RESULT, False, _boxed(value))  # noqa: FBT003 - a field


def _boxed(value: Value | None) -> int:
    if value is None:
        return 0
    box: int = _val_new(value)
    return box


def put(results: int, value: Value) -> None:
    """Answer with this value."""
    _RAW.pack_into(_memory, results, value)


class Prepared:
    """An answer that is made once, and given again and again with other numbers in it.

    To have the engine copy it is one call, however many parts it has.
    """

    def __init__(self, value: Value) -> None:
        self._address: int = _val_new(value)

    def payload(self) -> int:
        """The address of what is in a result or in an option."""
        return payload_at(self._address)

    def put(self, results: int) -> None:
        _val_clone(self._address, results)


def payload_at(value: int) -> int:
    """The address of what is in a result or in an option."""
    kind = _memory[value]
    at = value + cv.PAYLOAD + (8 if kind == _RESULT_KIND else 0)
    payload: int = _WORD.unpack_from(_memory, at)[0]
    return payload


_RESULT_KIND = bytes((cv.RESULT,))


class Room:
    """Where one string at a time is kept for the engine, which only reads it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._arena = cv.Arena()
        self._bytes, self._at, self._address = self._arena.take(size)

    def value(self, data: bytes) -> bytes:
        """A string of these bytes, which have to be UTF-8; until the next one.

        Raises:
            ValueError: They are too long.
        """
        size = len(data)
        if size > self._size:
            raise ValueError(f"{size} bytes in the place of at most {self._size}")
        self._bytes[self._at : self._at + size] = data
        return _ONE.pack(cv.STRING, size, self._address)


def set_number(value: int, number: int) -> None:
    """Write a number into an integer of a prepared answer."""
    _WORD.pack_into(_memory, value + cv.PAYLOAD, number)


# --- handles of the engine's ----------------------------------------------------------------


def empty(value: int) -> None:
    """Leave in its place what owns nothing."""
    put(value, _FALSE)


def take_handle(value: int) -> int:
    """Move an engine's handle out of a value, which owns nothing afterwards."""
    handle = number_at(value)
    empty(value)
    return handle


def handle_value(handle: int) -> bytes:
    return _ONE.pack(RESOURCE, handle, 0)


_laid_out = cv.Arena()  # flags that are used again and again: as long as this process


def flag_argument(*names: str) -> bytes:
    """Flags as an argument; to be made once of each."""
    memory, at, address = _laid_out.take(cv.NAME_SIZE * max(1, len(names)))
    for number, name in enumerate(names):
        _PAIR.pack_into(memory, at + cv.NAME_SIZE * number, *_laid_out.name(name))
    return _ONE.pack(cv.FLAGS, len(names), address)


def drop_handle(context: int, handle: int) -> None:
    """Give a handle of the engine's back."""
    error = _any_drop(context, handle)
    _any_delete(handle)
    checked(error)


def end_loan(context: int, value: int) -> None:
    """End the loan of an engine's resource that came as an argument."""
    checked(_any_drop(context, number_at(value)))


def check_layout() -> None:
    """Compare what is written down here with the library's own definitions.

    Raises:
        RuntimeError: This release of the library lays values out in another way.
    """
    cv.check_layout()
    if _ffi.WASMTIME_COMPONENT_RESOURCE.value != RESOURCE:
        raise RuntimeError("wasmtime numbers the kind of resources in another way")
