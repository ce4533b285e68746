"""wasmtime-py alone, pinned to one processor, with a directory: no guard, no pool.

`python native_files.py ARTEFACT DIRECTORY PROCESSOR` answers each line, a call as JSON, with the
nanoseconds that the guest says. It compiles nothing: a compiler's idle threads would be in the way.
"""

from __future__ import annotations

import json
import os
import sys

from wasmtime import Store, WasiConfig
from wasmtime.component import Component, Linker

from wassette_worker.engine import build_engine

INTERFACE = "test:timed/files@0.1.0"


def main(artefact: str, directory: str, processor: str) -> None:
    os.sched_setaffinity(0, {int(processor)})
    engine = build_engine()
    component = Component.deserialize_file(engine, artefact)
    linker = Linker(engine)
    linker.add_wasip2()
    for line in sys.stdin:
        function, *arguments = json.loads(line)
        config = WasiConfig()
        config.preopen_dir(directory, "/d", True)  # noqa: FBT003 - the library's
        store = Store(engine)
        store.set_wasi(config)
        store.set_fuel(10**15)
        store.set_epoch_deadline(1 << 30)
        instance = linker.instantiate(store, component)
        interface = instance.get_export_index(store, INTERFACE)
        index = instance.get_export_index(store, function, interface)
        func = None if index is None else instance.get_func(store, index)
        if func is None:
            raise LookupError(function)
        sys.stdout.write(f"{func(store, *arguments)}\n")
        sys.stdout.flush()
        store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
