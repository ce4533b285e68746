"""wasi:http/outgoing-handler: each request is judged by the supervisor, and served by the broker.

A guest's request stays the engine's own, with its headers, its body and its streams. `handle` is
replaced: it tells the supervisor what the guest wants, and sends the request on by the id that it
is told, to an address that doesn't matter: the broker answers a worker's connections, wherever they
go. And `future-incoming-response.get`, so that an error of the broker's reaches the guest as such.

Nothing is enforced here. A worker that goes around this guard comes to the same broker, which
serves nothing without an id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmtime import WasiConfig, WasmtimeError
from wasmtime.component import Component, Linker

from wassette_protocol.capabilities import Limits
from wassette_protocol.frames import (
    MAX_AUTHORITY,
    MAX_METHOD,
    MAX_TARGET,
    HttpAllowed,
    HttpRefused,
    HttpRequested,
)
from wassette_worker import component_values as cv
from wassette_worker import host_functions as hf
from wassette_worker.engine import build_store
from wassette_worker.guards import shims
from wassette_worker.host_definitions import Definitions
from wassette_worker.shim_functions import Passed

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmtime import Engine, Store

    Ask = Callable[[HttpRequested], HttpAllowed | HttpRefused]

PREFIX = "wasi:http/"
HANDLER, TYPES = "wasi:http/outgoing-handler", "wasi:http/types"
GET = "[method]future-incoming-response.get"

DENIED = "HTTP-request-denied"

# Where a request goes instead: its connection is answered by the broker, whatever this says.
_AUTHORITY = b"127.0.0.1:1"
_SHIM = ("describe", "redirect", "forward", "get")


class HttpGuard:
    """For the one store of this process."""

    def __init__(self) -> None:
        self.error: BaseException | None = None  # why it ended a call itself
        # Asks the supervisor; nobody is there to ask before the call.
        self.ask: Ask | None = None
        self._refused_for_good: str | None = None
        self._functions: dict[str, Passed] = {}
        self._definitions = Definitions(self._fail)
        self._authority, self._path = hf.Room(len(_AUTHORITY)), hf.Room(64)

    def define(self, linker: Linker, wasi: str) -> None:
        """Replace the native functions; only after `add_wasi_http()`, or they replace ours."""
        linker.allow_shadowing = True
        with linker.root() as root:
            with root.add_instance(f"{HANDLER}@{wasi}") as instance:
                self._definitions.function(instance, "handle", self._handle)
            with root.add_instance(f"{TYPES}@{wasi}") as instance:
                self._definitions.function(instance, GET, self._get)

    def attach(self, store: Store, native: Linker, shim: Component, *, wake: bool) -> None:
        """Reach the native functions in this store, through the shim.

        Args:
            store: Where the guest will be.
            native: A linker with the engine's own functions.
            shim: The compiled shim.
            wake: Have the engine start its threads now: some milliseconds of a first request.
        """
        instance = native.instantiate(store, shim)
        for name in _SHIM:
            func = instance.get_func(store, name)
            if func is None:
                raise shims.GuardError(f"the shim of http has no {name}")
            self._functions[name] = Passed(func)
        if wake and (rouse := instance.get_func(store, "wake")) is not None:
            rouse(store)

    def _fail(self, error: BaseException) -> None:
        self.error = error

    # --- the functions ----------------------------------------------------------------------

    def _handle(self, context: int, at: int, results: int) -> None:
        refused = self._redirected(context, at)
        if refused is None:
            self._functions["forward"].into(context, hf.raw_at(at, 2), results)
            return
        self._drop(context, at)
        hf.put(results, hf.err(hf.variant(refused)))

    def _get(self, context: int, at: int, results: int) -> None:
        self._functions["get"].into(context, hf.raw_at(at, 1), results)
        hf.end_loan(context, at)

    def _redirected(self, context: int, at: int) -> str | None:
        """Have the request sent to the broker by its id; why it isn't, if it is refused."""
        words = self._described(context, at)
        if not isinstance(words, HttpRequested):
            return words
        answer = self._asked(words)
        if isinstance(answer, HttpRefused):
            return answer.code
        path = self._path.value(b"/" + answer.id.encode())
        arguments = hf.raw_at(at, 1) + self._authority.value(_AUTHORITY) + path
        taken = self._functions["redirect"].value(context, arguments)
        redirected = hf.bool_at(taken.address)
        taken.delete()
        return None if redirected else DENIED

    def _asked(self, words: HttpRequested) -> HttpAllowed | HttpRefused:
        if self._refused_for_good is not None:
            return HttpRefused(self._refused_for_good)
        if self.ask is None:
            return HttpRefused(DENIED)
        answer = self.ask(words)
        if isinstance(answer, HttpRefused) and answer.final:
            self._refused_for_good = answer.code
        return answer

    def _described(self, context: int, at: int) -> HttpRequested | str:
        """The guest's words; or the error, if they are longer than any server's."""
        taken = self._functions["describe"].value(context, hf.raw_at(at, 1))
        try:
            method, scheme, authority, path = _words(hf.first_of_tuple(taken.address))
        finally:
            taken.delete()
        if len(method) > MAX_METHOD:
            return "HTTP-request-method-invalid"
        if len(scheme or "") > MAX_METHOD or len(authority or "") > MAX_AUTHORITY:
            return "HTTP-request-URI-invalid"
        if len(path or "") > MAX_TARGET:
            return "HTTP-request-URI-too-long"
        return HttpRequested(method, scheme, authority, path)

    def _drop(self, context: int, at: int) -> None:
        """Give back what the guest gave: the request, and perhaps its options."""
        options = hf.number_at(at + cv.VALUE_SIZE)
        for value in (at, options) if options else (at,):
            hf.end_loan(context, value)


def _words(first: int) -> tuple[str, str | None, str | None, str | None]:
    """The values of the shim's tuple: method, scheme, authority and path."""
    scheme, authority, path = (
        hf.number_at(first + number * cv.VALUE_SIZE) for number in range(1, 4)
    )
    case, payload = hf.case_at(first)
    method = hf.text_at(payload) if case == "other" else case.upper()
    return (
        method,
        _scheme(scheme) if scheme else None,
        hf.text_at(authority) if authority else None,
        hf.text_at(path) if path else None,
    )


def _scheme(value: int) -> str:
    case, payload = hf.case_at(value)
    return hf.text_at(payload) if case == "other" else case.lower()


def needs_guard(imports: list[str]) -> bool:
    """Whether a component that imports these can have to do with requests."""
    return any(name.startswith(PREFIX) for name in imports)


def prove(engine: Engine, wasi: str) -> None:
    """Check with probe guests, of the oldest version and of ours, that they reach the guard.

    A guard at another version than the native one, or one that was defined before it, is
    bypassed without any error.

    Raises:
        GuardError: A probe got past it, or the engine defines another version.
    """
    for interface, function in ((HANDLER, "handle"), (TYPES, GET)):
        if shims.find_version(engine, interface, function) != wasi:
            raise shims.GuardError(f"the engine defines {interface} at another version than clocks")
    for version in ("0.2.0", wasi):
        recorder = _Recorder()
        linker = Linker(engine)
        linker.add_wasip2()
        linker.add_wasi_http()
        recorder.define(linker, wasi)
        store = build_store(engine, Limits())
        store.set_wasi(WasiConfig())
        store.set_wasi_http()
        probe = Component(engine, shims.text("http_probe.wat", version))
        try:
            ask = linker.instantiate(store, probe).get_func(store, "ask")
        except WasmtimeError as error:
            why = str(error).splitlines()[0]
            raise shims.GuardError(f"a guest of {HANDLER}@{version} doesn't link: {why}") from error
        if ask is not None:
            ask(store)
        if recorder.reached != 1:
            raise shims.GuardError(f"a guest of {HANDLER}@{version} gets past the guard")


class _Recorder(HttpGuard):
    def __init__(self) -> None:
        super().__init__()
        self.reached = 0

    def _handle(self, context: int, at: int, results: int) -> None:
        self.reached += 1
        self._drop(context, at)
        hf.put(results, hf.err(hf.variant(DENIED)))
