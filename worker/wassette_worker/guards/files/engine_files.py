"""The engine's own wasi:filesystem, reached through the shim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_worker import component_values as cv
from wassette_worker import host_functions as hf
from wassette_worker.guards.files.codes import FileError
from wassette_worker.shim_functions import Passed

if TYPE_CHECKING:
    from wasmtime import Store
    from wasmtime.component import Component, Linker

_NOTHING = hf.flag_argument()
_DIRECTORY = hf.flag_argument("directory")
_HOW = {
    (True, False): hf.flag_argument("read"),
    (False, True): hf.flag_argument("write"),
    (True, True): hf.flag_argument("read", "write"),
}
_MAX_PATH = 4096  # bytes, as Linux
_EXPORTS = (
    "open-at",
    "read-via-stream",
    "write-via-stream",
    "append-via-stream",
    "filesystem-error-code",
    "get-directories",
)


class EngineFiles:
    """In the one store of this process."""

    def __init__(self, store: Store, native: Linker, shim: Component) -> None:
        instance = native.instantiate(store, shim)
        self._functions: dict[str, Passed] = {}
        for name in _EXPORTS:
            func = instance.get_func(store, name)
            assert func is not None  # noqa: S101 - our own shim
            self._functions[name] = Passed(func)
        self._context = hf.context_of(store)
        self._open_at = self._functions["open-at"]
        self._path = hf.Room(_MAX_PATH)
        self._is_ready = False

    def directories(self) -> list[tuple[int, str]]:
        """The engine's handle on each directory that it was given, and its name."""
        taken = self._functions["get-directories"].value(self._context, b"")
        try:
            return [
                (hf.take_handle(each), hf.text_at(each + cv.VALUE_SIZE))
                for each in map(hf.first_of_tuple, hf.elements_at(taken.address))
            ]
        finally:
            taken.delete()

    def ready(self, directory: int) -> None:
        if not self._is_ready:
            # The first file that it opens starts its threads, which wait by descriptors.
            self.drop(self.open(directory, b".", read=True, write=False, directory_only=True))
            self._is_ready = True

    def open(
        self, directory: int, path: bytes, *, read: bool, write: bool, directory_only: bool
    ) -> int:
        """A handle of the engine's on what is at a path; no link is followed at its end.

        Raises:
            FileError: It can't be opened.
        """
        arguments = (
            hf.handle_value(directory)
            + _NOTHING
            + self._path.value(path)
            + (_DIRECTORY if directory_only else _NOTHING)
            + _HOW[read, write]
        )
        taken = self._open_at.value(self._context, arguments)
        try:
            is_ok, payload = taken.outcome()
            if not is_ok:
                raise FileError(hf.text_at(payload))
            return hf.take_handle(payload)
        finally:
            taken.delete()

    def drop(self, handle: int) -> None:
        hf.drop_handle(self._context, handle)

    def pass_on(self, name: str, context: int, arguments: bytes, results: int) -> None:
        """Have the engine answer in our place."""
        self._functions[name].into(context, arguments, results)
