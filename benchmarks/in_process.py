"""wasmtime-py without any process of ours: in this interpreter, or in a cold one for each call."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from wasmtime import Store, WasiConfig
from wasmtime.component import Component, Linker

from wassette_worker.engine import _PROPOSALS_OFF, _SETTINGS, build_engine

if TYPE_CHECKING:
    from pathlib import Path

# Only wasmtime is imported; the settings must be those that the artefact was compiled with.
_COLD = f"""
import sys
from wasmtime import Config, Engine, Store, WasiConfig, _ffi
from wasmtime.component import Component, Linker
config = Config()
config.consume_fuel = True
config.epoch_interruption = True
for setter, value in {[*_SETTINGS.items(), *((name, False) for name in _PROPOSALS_OFF)]!r}:
    getattr(_ffi, setter)(config.ptr(), value)
engine = Engine(config)
component = Component.deserialize_file(engine, sys.argv[1])
linker = Linker(engine)
linker.add_wasip2()
store = Store(engine)
store.set_wasi(WasiConfig())
store.set_fuel(10**12)
store.set_epoch_deadline(1)
func = linker.instantiate(store, component).get_func(store, sys.argv[2])
print(func(store, *eval(sys.argv[3])))
"""


class Guest:
    """A component in this interpreter, with nothing round it; each call in a new store."""

    def __init__(self, artefact: Path) -> None:
        engine = build_engine()
        self._engine = engine
        self._component = Component.deserialize_file(engine, str(artefact))
        self._linker = Linker(engine)
        self._linker.add_wasip2()

    def call(self, function: str, arguments: tuple[object, ...]) -> object:
        store = Store(self._engine)
        store.set_wasi(WasiConfig())
        store.set_fuel(10**12)
        store.set_epoch_deadline(1)
        func = self._linker.instantiate(store, self._component).get_func(store, function)
        if func is None:
            raise LookupError(function)
        return func(store, *arguments)


def call_cold(artefact: Path, function: str, arguments: tuple[object, ...]) -> str:
    """Start an interpreter that does the call and nothing else; what it printed."""
    command = [sys.executable, "-I", "-c", _COLD, str(artefact), function, repr(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    return done.stdout.strip()
