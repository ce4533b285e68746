"""The engine's settings, in one place: an artefact runs only where it was compiled alike."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from wasmtime import Config, Engine, Store, _ffi

from wassette_protocol.capabilities import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Setters of its C API, which has more of them than its classes; all are in the key of artefacts.
_SETTINGS = {
    "wasmtime_config_consume_fuel_set": True,
    "wasmtime_config_epoch_interruption_set": True,
    # wasmtime 50 traps every host function with two borrows otherwise: a guest's rename.
    "wasmtime_config_concurrency_support_set": False,
}

# Proposals that no toolchain known to us needs; fewer features are fewer holes.
_PROPOSALS_OFF = (
    "wasmtime_config_wasm_threads_set",
    "wasmtime_config_wasm_memory64_set",
    "wasmtime_config_wasm_stack_switching_set",
    "wasmtime_config_wasm_wide_arithmetic_set",
    "wasmtime_config_wasm_custom_page_sizes_set",
)


def build_engine() -> Engine:
    """An engine that counts fuel, obeys epochs and starts no thread."""
    config = Config()
    for setter, value in _SETTINGS.items():
        getattr(_ffi, setter)(config.ptr(), value)
    for setter in _PROPOSALS_OFF:
        getattr(_ffi, setter)(config.ptr(), False)  # noqa: FBT003 - the C API's
    return Engine(config)


def engine_key() -> str:
    """Name what an artefact depends on beside its component: hex of 128 bits.

    The engine's version, these settings, and the processor's features: code compiled for one
    processor may hold instructions that another lacks.
    """
    engine = version("wasmtime"), _SETTINGS, _PROPOSALS_OFF
    return key_of(*engine, platform.machine(), _processor_features())


def key_of(
    engine: str, settings: Mapping[str, bool], off: Sequence[str], machine: str, features: str
) -> str:
    """As `engine_key`, of another engine, its settings or another processor."""
    parts = [engine, sorted(settings.items()), sorted(off), machine, features]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _processor_features() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    except OSError:
        pass
    return platform.processor()


def build_store(engine: Engine, limits: Limits) -> Store:
    """A store under every limit that the engine keeps; its epoch deadline is the next tick."""
    store = Store(engine)
    store.set_limits(
        memory_size=limits.memory,
        table_elements=limits.table_elements,
        instances=limits.instances,
        tables=limits.tables,
        memories=limits.memories,
    )
    store.set_fuel(limits.fuel)
    store.set_epoch_deadline(1)
    return store
