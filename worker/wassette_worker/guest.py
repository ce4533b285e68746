"""A component that is mapped and linked, and the one instance of it that a worker makes."""

from __future__ import annotations

import _thread
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wasmtime import WasiConfig, WasmtimeError
from wasmtime.component import Component, Linker

from wassette_protocol.capabilities import Storage
from wassette_worker import host_functions, preopens
from wassette_worker.engine import build_store
from wassette_worker.guards.clock import ClockGuard, needs_guard
from wassette_worker.guards.files.guard import FilesGuard
from wassette_worker.guards.http import HttpGuard
from wassette_worker.guards.http import needs_guard as makes_requests
from wassette_worker.guards.shims import read as read_shims
from wassette_worker.host import logging
from wassette_worker.host.config import ConfigStore
from wassette_worker.json_values import Call, Outcome
from wassette_worker.sandbox import descriptors, rlimits
from wassette_worker.sandbox.profiles import Profile
from wassette_worker.traps import MemoryGauge
from wassette_worker.wit_types import Signature, exports, imports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmtime import Engine
    from wasmtime.component import Func, Instance

    from wassette_protocol.capabilities import Preopen
    from wassette_protocol.frames import Export, Grant, Prepare
    from wassette_worker.guards.files.telling import Tell
    from wassette_worker.guards.http import Ask
    from wassette_worker.json_values import Arguments

FILES = "wasi:filesystem/"

# Exports that a worker looks up before it is called: most components have fewer.
_LOOKED_UP_AHEAD = 32

# The guest's standard output and error; a file of its own, because the engine's callbacks panic
# when the process ends.
_OUTPUT = "/proc/self/fd/1"


class Guest:
    """A component mapped and linked. Made by a process that will fork: it makes no store."""

    def __init__(self, engine: Engine, artefact: int, shims: int, prepare: Prepare) -> None:
        host_functions.check_layout()
        before = descriptors.all_open()
        self.engine = engine
        self.limits = prepare.limits
        self.component = Component.deserialize_file(engine, f"/proc/self/fd/{artefact}")
        self.native, self.linker = _linker(engine), _linker(engine)
        self._imports = imported = imports(self.component, engine)
        self.config = ConfigStore()
        self.config.define(self.linker, imported)
        logging.define(self.linker, imported)
        self.clock = ClockGuard() if needs_guard(imported) else None
        if self.clock is not None:
            self.clock.define(self.linker, prepare.wasi)
            self.clock_shim = Component.deserialize(engine, read_shims(shims).clock)
        self.files: FilesGuard | None = None
        if prepare.exact and any(name.startswith(FILES) for name in imported):
            self.files = FilesGuard()
            self.files.define(self.linker, prepare.wasi)
            self.files_shim = Component.deserialize(engine, read_shims(shims).files)
        self.network = prepare.network
        self.http = HttpGuard() if makes_requests(imported) else None
        if self.http is not None:
            self.http.define(self.linker, prepare.wasi)
            self.http_shim = Component.deserialize(engine, read_shims(shims).http)
        # The engine's own, to map the initial memory of each instance: a fork must keep them.
        self.descriptors = frozenset(descriptors.all_open() - before)
        self.calls: dict[Export, Call] = {
            export: Call(signature)
            for export, signature in exports(self.component, engine)
            if isinstance(signature, Signature)
        }

    def may_ask(self, ask: Ask) -> None:
        """From now on requests can be decided: a call has begun."""
        if self.http is not None:
            self.http.ask = ask

    def profile(self, storage: Storage) -> Profile:
        """What its workers do after they have locked themselves down."""
        profile = profile_of(self._imports, storage)
        if not self.network:
            return profile
        return (Profile.RUNTIME if profile is Profile.COMPUTE else profile) | Profile.NETWORK


def _linker(engine: Engine) -> Linker:
    """With all that the engine itself provides."""
    linker = Linker(engine)
    linker.add_wasip2()
    linker.add_wasi_http()
    return linker


def open_output() -> WasiConfig:
    """A configuration that holds the guest's output, and nothing else: never an argument.

    To be made where a file can still be opened, and by no process that will fork.
    """
    config = WasiConfig()
    config.stdout_file = _OUTPUT
    config.stderr_file = _OUTPUT
    return config


# Of a component that imports nothing else, no call ever waits: the engine starts no thread for it.
_NEVER_WAIT = (
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:clocks/wall-clock",
    "wasi:config/store",
    "wasi:io/error",
    "wasi:random/",
)


def profile_of(imported: list[str], storage: Storage) -> Profile:
    """What a worker of a component that imports these does after it has locked itself down."""
    if storage is not Storage.NONE:
        return Profile.CHANGES if storage is Storage.WRITE else Profile.FILES
    waits = any(not name.startswith(_NEVER_WAIT) for name in imported)
    return Profile.RUNTIME if waits else Profile.COMPUTE


class NoThreadError(Exception):
    """The system gives no thread to keep the deadline; nothing may run without."""


class Running:
    """The instance of this process, with the grants and under the limits of one call."""

    def __init__(
        self, guest: Guest, config: WasiConfig, grant: Grant, directories: list[int], tell: Tell
    ) -> None:
        """Take the descriptors of the granted directories: they are closed here.

        Args:
            guest: What is instantiated.
            config: With the guest's output.
            grant: What it is given.
            directories: Descriptors of those in the grant.
            tell: Records an open, where that is wanted.

        Raises:
            NoThreadError: None can be had.
        """
        self._guest = guest
        self._limits = guest.limits
        self.store = build_store(guest.engine, guest.limits)
        if grant.environment:
            config.env = grant.environment
            guest.config.serve(grant.environment)
        self._files = grant.files
        self._mounts: list[tuple[Preopen, int]] = []
        if guest.files is not None:
            guest.files.tell = tell if grant.audited else None
            # Copies: the engine has its own of those that came.
            self._mounts = list(zip(grant.directories, map(os.dup, directories), strict=True))
        if directories:
            preopens.open_all(config, grant.directories, directories)
        self.store.set_wasi(config)
        if guest.http is not None:
            self.store.set_wasi_http()
        self._gauge = MemoryGauge(rlimits.data_of_worker(guest.limits.memory))
        self._instance: Instance | None = None
        self._functions: dict[Export, Func] = {}
        self._alarm = _Alarm(guest.engine)
        self.started_ns = time.monotonic_ns()

    def instantiate(self) -> None:
        """Run what the component runs at its start, under the limits of a call.

        Raises:
            WasmtimeError: It trapped, or wants more than the limits allow.
        """
        guest = self._guest
        if guest.clock is not None:
            guest.clock.attach(self.store, guest.native, guest.clock_shim)
        if guest.files is not None:
            guest.files.attach(
                self.store, guest.native, guest.files_shim, self._mounts, self._files
            )
        if guest.http is not None:
            guest.http.attach(self.store, guest.native, guest.http_shim, wake=guest.network)
        with self._deadline():
            self._instance = guest.linker.instantiate(self.store, guest.component)
        for export in list(guest.calls)[:_LOOKED_UP_AHEAD]:
            self._functions[export] = self._find(export)
        self.store.set_fuel(self._limits.fuel)

    def invoke(self, export: Export, call: Call, arguments: Arguments) -> Outcome:
        """Call an export.

        Raises:
            WasmtimeError: It trapped or reached a limit.
            ResultTooLarge: Its result is longer than the limit.
        """
        with self._deadline():
            func = self._functions.get(export) or self._find(export)
            return call.invoke(self.store, func, arguments, max_bytes=self._limits.result)

    def fuel_used(self) -> int:
        return self._limits.fuel - self.store.get_fuel()

    def memory_used(self) -> int:
        return self._gauge.used()

    def is_late(self) -> bool:
        """Whether the last deadline has passed, whatever the guest made of it."""
        return time.monotonic_ns() - self.started_ns >= self._limits.wall_time_ms * 1_000_000

    def _find(self, export: Export) -> Func:
        assert self._instance is not None  # noqa: S101 - instantiated first
        index = None
        if export.interface is not None:
            index = self._instance.get_export_index(self.store, export.interface)
        index = self._instance.get_export_index(self.store, export.function, index)
        func = None if index is None else self._instance.get_func(self.store, index)
        if func is None:
            raise WasmtimeError(f"the component exports no {export.function}")
        return func

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        wall_time_ns = self._limits.wall_time_ms * 1_000_000
        self.started_ns = time.monotonic_ns()
        if self._guest.clock is not None:
            self._guest.clock.end_in(wall_time_ns)
        self._alarm.set(wall_time_ns / 1e9)
        try:
            yield
        finally:
            self._alarm.set(None)


class _Alarm:
    """Raises the engine's epoch when its time is up; one thread, started ahead of the call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = threading.Condition(threading.Lock())
        self._at: float | None = None  # by the monotonic clock
        # Not threading.Thread: that waits until the thread runs, half a millisecond.
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError as error:  # the interpreter's word for a refusal of the system
            raise NoThreadError from error

    def set(self, seconds: float | None) -> None:
        """Go off once after so many seconds from now; None: not at all."""
        with self._changed:
            self._at = None if seconds is None else time.monotonic() + seconds
            # Put off, it wakes too early and looks again; only a nearer end has to wake it.
            if seconds is not None:
                self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while True:
                left = None if self._at is None else self._at - time.monotonic()
                if left is not None and left <= 0:
                    self._at = None
                    self._engine.increment_epoch()
                else:
                    self._changed.wait(left)
