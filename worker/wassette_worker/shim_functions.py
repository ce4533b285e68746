"""Functions of shims, called within functions of ours: over the C API, values as they lie there."""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, c_size_t, c_void_p
from typing import Any

from wasmtime._ffi import dll

from wassette_worker import component_values as cv
from wassette_worker import host_functions as hf

# It may take long: Python's other thread goes on meanwhile.
_func_call = CFUNCTYPE(
    c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t
)(("wasmtime_component_func_call", dll))  # fmt: skip
_val_delete = CFUNCTYPE(None, c_void_p)(("wasmtime_component_val_delete", dll))


class Passed:
    """An exported function of a shim."""

    def __init__(self, func: Any) -> None:
        self._keep = func
        self._address = ctypes.addressof(func._func)  # noqa: SLF001 - wasmtime-py has no other way

    def into(self, context: int, arguments: bytes, results: int) -> None:
        """Call it; its result is put where a function of ours has to put its own."""
        count = len(arguments) // cv.VALUE_SIZE
        hf.checked(_func_call(self._address, context, arguments, count, results, 1))

    def value(self, context: int, arguments: bytes) -> Taken:
        taken = Taken()
        self.into(context, arguments, taken.address)
        return taken


class Taken:
    """A result of the engine's that is ours to take apart, and then to delete."""

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(cv.VALUE_SIZE)
        self.address = ctypes.addressof(self._buffer)

    def outcome(self) -> tuple[bool, int]:
        """Of a result: whether it is ok, and the address of its payload."""
        _, is_ok, payload = cv.RESULT_VALUE.unpack_from(self._buffer)
        return is_ok, payload

    def delete(self) -> None:
        _val_delete(self.address)
        hf.empty(self.address)
