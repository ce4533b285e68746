"""The guard of requests stands before the native function, whatever version a guest names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wassette_protocol.http_errors import ERROR_CODES, OWN_HEADER, REFUSALS
from wassette_worker.engine import build_engine
from wassette_worker.guards import clock, http, shims

if TYPE_CHECKING:
    from wasmtime import Engine
    from wasmtime.component import Linker


@pytest.fixture(scope="module")
def engine() -> Engine:
    return build_engine()


@pytest.fixture(scope="module")
def wasi(engine: Engine) -> str:
    return shims.find_version(engine, clock.INTERFACE, "now")


def test_guests_of_the_oldest_version_and_of_ours_reach_it(engine: Engine, wasi: str) -> None:
    http.prove(engine, wasi)


@pytest.mark.parametrize("other", ["0.2.0", "0.2.11", "0.2.99"])
def test_at_any_other_version_it_would_be_bypassed_and_nothing_starts(
    engine: Engine, other: str
) -> None:
    with pytest.raises(shims.GuardError, match="another version"):
        http.prove(engine, other)


def test_one_that_stands_at_another_version_is_noticed_by_a_probe_as_well(
    engine: Engine, wasi: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    define = http.HttpGuard.define

    def elsewhere(self: http.HttpGuard, linker: Linker, _: str) -> None:
        define(self, linker, "0.2.11")

    monkeypatch.setattr(http.HttpGuard, "define", elsewhere)
    with pytest.raises(shims.GuardError, match=r"gets past the guard|doesn't link"):
        http.prove(engine, wasi)


def test_one_that_the_engines_own_replaces_is_noticed(
    engine: Engine, wasi: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    define = http.HttpGuard.define

    def too_early(self: http.HttpGuard, linker: Linker, wasi: str) -> None:
        define(self, linker, wasi)
        linker.add_wasi_http()

    monkeypatch.setattr(http.HttpGuard, "define", too_early)
    with pytest.raises(shims.GuardError, match="gets past the guard"):
        http.prove(engine, wasi)


def test_an_error_is_named_by_its_number_in_the_order_of_its_definition() -> None:
    assert len(ERROR_CODES) == len(set(ERROR_CODES)) == 39
    assert set(ERROR_CODES) >= REFUSALS
    assert (ERROR_CODES[0], ERROR_CODES[-1]) == ("DNS-timeout", "internal-error")
    assert len(OWN_HEADER) == 16  # the shim has it as two numbers
