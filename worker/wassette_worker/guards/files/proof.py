"""At each start: a guest that imports wasi:filesystem reaches the guard, whatever version it names.

At another version than the engine's, or defined before the engine's functions, the guard would be
bypassed without any error. What takes or gives a descriptor can't be mixed: the guard's resource is
another type than the engine's, so that a function which was not replaced doesn't link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmtime import WasiConfig, WasmtimeError
from wasmtime.component import Component, Linker

from wassette_protocol.capabilities import Limits
from wassette_worker import host_functions as hf
from wassette_worker import release
from wassette_worker.engine import build_store
from wassette_worker.guards import shims
from wassette_worker.guards.files.guard import PREOPENS, TYPES, FilesGuard

if TYPE_CHECKING:
    from wasmtime import Engine


def prove(engine: Engine, wasi: str) -> None:
    """Check it with probe guests of the oldest version and of ours.

    Raises:
        GuardError: A probe got past the guard; or this is not the engine that the guard knows.
    """
    try:
        release.check(engine)
        hf.check_layout()
    except RuntimeError as error:
        raise shims.GuardError(str(error)) from error
    for interface, function in ((TYPES, "filesystem-error-code"), (PREOPENS, "get-directories")):
        if shims.find_version(engine, interface, function) != wasi:
            raise shims.GuardError(f"the engine defines {interface} at another version than clocks")
    for version in ("0.2.0", wasi):
        recorder = _Recorder()
        linker = Linker(engine)
        linker.add_wasip2()
        recorder.define(linker, wasi)
        store = build_store(engine, Limits())
        store.set_wasi(WasiConfig())
        # The shim can be the guest: it imports what a guest imports.
        probe = Component(engine, shims.text("files.wat", version))
        try:
            ask = linker.instantiate(store, probe).get_func(store, "get-directories")
        except WasmtimeError as error:
            why = str(error).splitlines()[0]
            raise shims.GuardError(f"a guest of {TYPES}@{version} doesn't link: {why}") from error
        if ask is None or ask(store) != [] or recorder.reached != ["get-directories"]:
            raise shims.GuardError(f"a guest of {PREOPENS}@{version} gets past the guard")


class _Recorder(FilesGuard):
    def __init__(self) -> None:
        super().__init__()
        self.reached: list[str] = []

    def _get_directories(self, context: int, _: int, results: int) -> None:
        self.reached.append("get-directories")
        super()._get_directories(context, _, results)
