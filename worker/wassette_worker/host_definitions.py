"""Functions and resources of ours in the engine's linkers, over its C API.

One entry for all of them: a process that is locked down can make no other.
"""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, c_char_p, c_size_t, c_uint32, c_void_p
from typing import TYPE_CHECKING, Any, NamedTuple

from wasmtime._ffi import dll
from wasmtime.component import ResourceType

from wassette_worker.host_functions import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmtime.component import LinkerInstance


def _c(name: str, result: Any, *params: Any) -> Any:
    return CFUNCTYPE(result, *params)((name, dll))


_error_new = _c("wasmtime_error_new", c_void_p, c_char_p)
_CALLBACK = CFUNCTYPE(
    c_size_t, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t
)
_DESTRUCTOR = CFUNCTYPE(c_size_t, c_void_p, c_void_p, c_uint32)
_add_func = _c(
    "wasmtime_component_linker_instance_add_func",
    c_void_p, c_void_p, c_char_p, c_size_t, _CALLBACK, c_void_p, c_void_p,
)  # fmt: skip
_add_resource = _c(
    "wasmtime_component_linker_instance_add_resource",
    c_void_p, c_void_p, c_char_p, c_size_t, c_void_p, _DESTRUCTOR, c_void_p, c_void_p,
)  # fmt: skip


class Definitions:
    """Functions and resources of ours in linkers: as many as there are, all of one guard."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        """`failed` is told what no guest may learn: the call ends then."""
        self._failed = failed
        self._kept: list[Any] = []

    def function(
        self, instance: LinkerInstance, name: str, body: Callable[[int, int, int], None]
    ) -> None:
        """Have calls of it served by `body`.

        It gets the store's context, the address of its arguments, and where its one result has
        to be put.
        """
        encoded = name.encode()
        number = _numbered(_Served(body, self._failed))
        error = _add_func(_pointer(instance), encoded, len(encoded), _called, number, None)
        _defined(error, name)

    def resource(
        self, instance: LinkerInstance, name: str, kind: int, drop: Callable[[int, int], None]
    ) -> None:
        """Have handles of it end by `drop`, which gets the store's context and our number."""
        what = ResourceType.host(kind)
        self._kept.append(what)
        encoded = name.encode()
        number = _numbered(_Dropped(drop, self._failed))
        error = _add_resource(
            _pointer(instance), encoded, len(encoded), _pointer(what), _ended, number, None
        )
        _defined(error, name)


class _Served(NamedTuple):
    body: Callable[[int, int, int], None]
    failed: Callable[[BaseException], None]


class _Dropped(NamedTuple):
    drop: Callable[[int, int], None]
    failed: Callable[[BaseException], None]


# What the engine's calls are for, by the number that it was given for each; never taken out, for
# a linker lives as long as its process.
_bodies: list[_Served | _Dropped] = []


def _numbered(body: _Served | _Dropped) -> int:
    _bodies.append(body)
    return len(_bodies)


# One entry for all functions, and one for all ends, made when this is imported: a process that is
# locked down can make none, for it takes executable memory.
def _call_ours(
    number: int, context: int, _type: int, arguments: int, _n: int, results: int, _m: int
) -> int:
    served = _bodies[number - 1]
    try:
        served.body(context, arguments, results)  # type: ignore[union-attr]  # as it was numbered
    except EngineError as error:
        return error.pointer
    except BaseException as error:  # noqa: BLE001 - fails closed: nothing may pass C's frames
        served.failed(error)
        pointer: int = _error_new(b"the host's guard failed")
        return pointer
    return 0


_called = _CALLBACK(_call_ours)


def _end_ours(number: int, context: int, resource: int) -> int:
    dropped = _bodies[number - 1]
    try:
        dropped.drop(context, resource)  # type: ignore[union-attr]  # as it was numbered
    except EngineError as error:
        return error.pointer
    except BaseException as error:  # noqa: BLE001 - as above
        dropped.failed(error)
    return 0


_ended = _DESTRUCTOR(_end_ours)


def _pointer(wrapped: Any) -> int:
    return ctypes.cast(wrapped.ptr(), c_void_p).value or 0


def _defined(error: int | None, name: str) -> None:
    if error:
        raise RuntimeError(f"the engine doesn't take our {name}")
