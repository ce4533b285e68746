"""wasi:clocks/monotonic-clock: a guest that sleeps wakes up at the call's deadline.

Neither fuel nor an epoch ends a guest that waits in the host. So both `subscribe-` functions
are replaced: they wait for the wish or for the deadline, whichever comes first. The epoch has
been raised when the guest wakes at the deadline, so the engine ends it there.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from wasmtime import WasiConfig, WasmtimeError
from wasmtime.component import Component, Linker

from wassette_protocol.capabilities import Limits
from wassette_worker.engine import build_store
from wassette_worker.guards import shims
from wassette_worker.guards.shims import GuardError

if TYPE_CHECKING:
    from wasmtime import Engine, Store
    from wasmtime.component import Func

INTERFACE = "wasi:clocks/monotonic-clock"
REPLACED = ("subscribe-instant", "subscribe-duration")

# After the deadline, so that the timer has raised the epoch when the guest wakes.
MARGIN_NS = 5_000_000
_LATEST = (1 << 64) - 1


class ClockGuard:
    """The two functions that wait, for the one store of this process."""

    def __init__(self) -> None:
        self.deadline_ns = _LATEST
        self._store: Store | None = None
        self._now: Func | None = None
        self._subscribe_instant: Func | None = None

    def define(self, linker: Linker, wasi: str) -> None:
        """Replace the native functions; only after `linker.add_wasip2()`, or they replace ours."""
        linker.allow_shadowing = True
        with linker.root() as root, root.add_instance(f"{INTERFACE}@{wasi}") as instance:
            instance.add_func("subscribe-instant", self._until_instant)
            instance.add_func("subscribe-duration", self._until_duration)

    def attach(self, store: Store, native: Linker, shim: Component) -> None:
        """Reach the native clock in this store, through the shim."""
        instance = native.instantiate(store, shim)
        self._store = store
        self._now = instance.get_func(store, "now")
        self._subscribe_instant = instance.get_func(store, "subscribe-instant")

    def end_in(self, nanoseconds: int) -> None:
        """Set the deadline from now on."""
        if self._now is not None and self._store is not None:
            self.deadline_ns = self._now(self._store) + nanoseconds

    def _until_instant(self, store: Any, when: int) -> object:
        return self._wait(store, when)

    def _until_duration(self, store: Any, when: int) -> object:
        if self._now is None:
            raise GuardError("the clock's shim is not attached")
        return self._wait(store, min(self._now(store) + when, _LATEST))

    def _wait(self, store: Any, when: int) -> object:
        if self._subscribe_instant is None:
            raise GuardError("the clock's shim is not attached")
        latest = min(self.deadline_ns + MARGIN_NS, _LATEST)
        return self._subscribe_instant(store, min(when, latest))


def needs_guard(imports: list[str]) -> bool:
    """Whether a component that imports these can wait for a clock."""
    return any(name.split("@")[0] == INTERFACE for name in imports)


def prove(engine: Engine, wasi: str) -> None:
    """Check with probe guests, of the oldest version and of ours, that they reach the guard.

    A guard at another version than the native one, or one that was defined before it, is
    bypassed without any error.

    Raises:
        GuardError: A probe got past it.
    """
    for version in ("0.2.0", wasi):
        probe = Component(engine, shims.text("clock_probe.wat", version))
        for name in REPLACED:
            recorder = _Recorder()
            linker = Linker(engine)
            linker.add_wasip2()
            recorder.define(linker, wasi)
            store = build_store(engine, Limits())
            store.set_wasi(WasiConfig())
            ask = linker.instantiate(store, probe).get_func(store, name)
            # The recorder answers with an error, so that no real pollable is needed.
            with contextlib.suppress(WasmtimeError, _ReachedError):
                if ask is not None:
                    ask(store)
            if recorder.reached != [name]:
                raise GuardError(f"a guest of {INTERFACE}@{version} gets past the guard of {name}")


class _ReachedError(Exception):
    pass


class _Recorder(ClockGuard):
    def __init__(self) -> None:
        super().__init__()
        self.reached: list[str] = []

    def _until_instant(self, store: Any, when: int) -> object:  # noqa: ARG002 - as replaced
        self.reached.append("subscribe-instant")
        raise _ReachedError

    def _until_duration(self, store: Any, when: int) -> object:  # noqa: ARG002 - as replaced
        self.reached.append("subscribe-duration")
        raise _ReachedError
