"""How the engine's C API lays out component values in memory, and the call that takes them.

wasmtime-py makes each value with several ctypes objects: 0.7 microseconds for one byte of a
list. Here a value is 32 bytes in a buffer of ours: lists of numbers are moved as strided slices.
Nothing here knows JSON or WIT types.
"""

from __future__ import annotations

import ctypes
from array import array
from ctypes import CFUNCTYPE, POINTER, addressof, c_char, c_size_t, c_ssize_t, c_void_p
from itertools import accumulate
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from wasmtime import _ffi
from wasmtime._ffi import dll
from wasmtime.component._enter import enter_wasm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmtime._store import Storelike
    from wasmtime.component import Func

# wasmtime/component/val.h: the numbers of the kinds are not those of the types.
BOOL, S8, U8, S16, U16, S32, U32, S64, U64, F32, F64, CHAR = range(12)
STRING, LIST, RECORD, TUPLE, VARIANT, ENUM, OPTION, RESULT, FLAGS = range(12, 21)

# A value: its kind at 0, its payload at 8. A record's field: its name at 0, its value at 16.
VALUE_SIZE = 32
PAYLOAD = 8
FIELD_SIZE = 48
FIELD_VALUE = 16
NAME_SIZE = 16

# Payloads: {size, pointer} of text, list, record, tuple and flags; one pointer of an option;
# {is_ok, pointer} of a result; {size, pointer, pointer} of a variant: its case and its payload.
SEQUENCE = Struct("<B7xQQ8x")
OPTION_VALUE = Struct("<B7xQ16x")
RESULT_VALUE = Struct("<B7x?7xQ8x")
VARIANT_VALUE = Struct("<B7xQQQ")
SIZE_POINTER = Struct("<QQ")
POINTER_ONLY = Struct("<Q")
OK_POINTER = Struct("<?7xQ")
CASE_POINTERS = Struct("<QQQ")

# Memory that a value is read from: where the result is, or the engine's own.
Memory: TypeAlias = bytearray | memoryview

_CHUNK = 4096

# So many strings are read at a time: the bytes of one lot come to lie where those of the last did.
_LOT = 512

# Every address that a process has: slices of it are the fastest way to many short pieces.
ALL_MEMORY = c_char * (1 << 56)


class Place(NamedTuple):
    """Zeroed bytes of an arena: where they are for Python and for C."""

    memory: bytearray  # its slices are moved several times faster than a memoryview's
    at: int
    address: int


class Arena:
    """Memory that C may read for as long as the arena lives; it never moves."""

    def __init__(self) -> None:
        self._pins: list[memoryview] = []
        self._memory = bytearray()
        self._base = self._at = self._end = 0

    def take(self, size: int) -> Place:
        """Reserve bytes at a multiple of 8."""
        at = self._at
        if at + size > self._end:
            self._grow(size)
            at = 0
        self._at = (at + size + 7) & ~7
        return Place(self._memory, at, self._base + at)

    def keep(self, data: bytes) -> int:
        """Copy bytes into the arena; their address."""
        memory, at, address = self.take(len(data))
        memory[at : at + len(data)] = data
        return address

    def name(self, name: str) -> tuple[int, int]:
        """Keep a name; its size and address, as C's `wasm_name_t`."""
        data = name.encode()
        return len(data), self.keep(data)

    def _grow(self, size: int) -> None:
        chunk = bytearray(max(size, _CHUNK))
        self._pins.append(memoryview(chunk))  # Python won't move the bytes while a view is there
        self._memory = chunk
        self._base = addressof(c_char.from_buffer(chunk))
        self._end = len(chunk)


_view_of_memory = ctypes.pythonapi.PyMemoryView_FromMemory
_view_of_memory.restype = ctypes.py_object
_view_of_memory.argtypes = [c_void_p, c_ssize_t, ctypes.c_int]
_READ_ONLY = 0x100  # PyBUF_READ


def view(address: int, size: int) -> memoryview:
    """Look at memory of the engine; the view must not outlive the value that it lies in."""
    if not size:
        return memoryview(b"")
    found: memoryview = _view_of_memory(address, size, _READ_ONLY)
    return found


def payload_bytes(address: int, count: int) -> bytes:
    """The first byte of each payload of values that stand in a row."""
    values = (c_char * (count * VALUE_SIZE)).from_address(address)
    payloads: bytes = values[PAYLOAD::VALUE_SIZE]  # type: ignore[assignment]  # c_char gives bytes
    return payloads


class Texts:
    """Strings that stand in a row, before any of them is read."""

    def __init__(self, address: int, count: int) -> None:
        words = items(view(address, count * VALUE_SIZE), "Q")
        self._sizes: list[int] = words[1::4].tolist()
        self._starts: list[int] = words[2::4].tolist()

    @property
    def size(self) -> int:
        """The bytes of all of them."""
        return sum(self._sizes)

    def lots(self) -> Iterator[list[bytes]]:
        memory: Any = ALL_MEMORY.from_address(0)
        for at in range(0, len(self._sizes), _LOT):
            places = zip(self._starts[at : at + _LOT], self._sizes[at : at + _LOT], strict=True)
            yield [memory[start : start + size] for start, size in places]


def spread_texts(data: bytes, sizes: list[int], arena: Arena) -> int:
    """Lay out strings, whose bytes stand in a row; the address of the first (0: none)."""
    if not sizes:
        return 0
    # Numbers go into an array by way of a list: from an iterator it takes twice as long.
    starts = list(accumulate(sizes, initial=arena.keep(data)))
    memory, at, address = arena.take(len(sizes) * VALUE_SIZE)
    end = at + len(sizes) * VALUE_SIZE
    memory[at:end:VALUE_SIZE] = bytes((STRING,)) * len(sizes)
    words: Any = items(memoryview(memory)[at:end], "Q")
    words[1::4] = array("Q", sizes)
    words[2::4] = array("Q", starts[:-1])
    return address


def items(memory: memoryview, code: Any) -> memoryview[Any]:
    """The same memory as numbers of one of the struct module's codes."""
    return memory.cast(code)


# Own prototypes: those of wasmtime-py want an array of ctypes structures.
_call = CFUNCTYPE(
    POINTER(_ffi.wasmtime_error_t),
    c_void_p,
    POINTER(_ffi.wasmtime_context_t),
    c_void_p,
    c_size_t,
    c_void_p,
    c_size_t,
)(("wasmtime_component_func_call", dll))
_delete = CFUNCTYPE(None, c_void_p)(("wasmtime_component_val_delete", dll))


class ReturnedValue:
    """The place that a call writes its result to; owns what the engine put there."""

    def __init__(self) -> None:
        self._arena = Arena()
        self._place = self._arena.take(VALUE_SIZE)

    @property
    def address(self) -> int:
        return self._place.address

    @property
    def memory(self) -> bytearray:
        return self._place.memory

    def delete(self) -> None:
        _delete(self.address)
        # A later call drops what it finds here before it writes: a zeroed value is `false`.
        self.memory[:VALUE_SIZE] = bytes(VALUE_SIZE)


def call(
    store: Storelike, func: Func, arguments: tuple[int, int], returned: ReturnedValue | None
) -> None:
    """Call a function of the guest; `arguments` are the address and number of values.

    The engine only reads the arguments. Its errors are raised as `WasmtimeError` or
    `ExitTrap`, an exception of a host function as itself.
    """
    address, count = arguments
    enter_wasm(
        lambda: _call(
            addressof(func._func),  # noqa: SLF001 - wasmtime-py has no other way to it
            store._context(),  # noqa: SLF001 - the C API takes no other
            address,
            count,
            returned.address if returned else None,
            1 if returned else 0,
        )
    )


def check_layout() -> None:
    """Compare what is written down here with the library's own definitions.

    Raises:
        RuntimeError: This release of the library lays values out in another way.
    """
    wrong = [name for name, here, there in _layout() if here != there]
    if wrong:
        raise RuntimeError(f"wasmtime lays out component values in another way: {wrong}")


def _layout() -> list[tuple[str, int, int]]:
    value, union = _ffi.wasmtime_component_val_t, _ffi.wasmtime_component_valunion_t
    field, name = _ffi.wasmtime_component_valrecord_entry_t, _ffi.wasm_name_t
    variant, result = _ffi.wasmtime_component_valvariant_t, _ffi.wasmtime_component_valresult_t
    facts = [
        (kind, globals()[kind], getattr(_ffi, f"WASMTIME_COMPONENT_{kind}").value)
        for kind in _KINDS
    ]
    facts += [
        ("pointer", 8, ctypes.sizeof(c_void_p)),
        ("value", VALUE_SIZE, ctypes.sizeof(value)),
        ("value.kind", 0, _offset(value, "kind")),
        ("value.of", PAYLOAD, _offset(value, "of")),
        ("field", FIELD_SIZE, ctypes.sizeof(field)),
        ("field.val", FIELD_VALUE, _offset(field, "val")),
        ("name", NAME_SIZE, ctypes.sizeof(name)),
        ("variant.val", 16, _offset(variant, "val")),
        ("result.val", 8, _offset(result, "val")),
        ("option", 0, _offset(union, "option")),
    ]
    sequences = [getattr(_ffi, f"wasmtime_component_val{kind}_t") for kind in _SEQUENCES]
    for sequence in (name, *sequences):
        facts.append((f"{sequence.__name__}.size", 0, _offset(sequence, "size")))
        facts.append((f"{sequence.__name__}.data", 8, _offset(sequence, "data")))
    return facts


def _offset(structure: Any, field: str) -> int:
    offset: int = getattr(structure, field).offset
    return offset


_KINDS = (
    *("BOOL", "S8", "U8", "S16", "U16", "S32", "U32", "S64", "U64", "F32", "F64", "CHAR"),
    *("STRING", "LIST", "RECORD", "TUPLE", "VARIANT", "ENUM", "OPTION", "RESULT", "FLAGS"),
)
_SEQUENCES = ("list", "record", "tuple", "flags")
