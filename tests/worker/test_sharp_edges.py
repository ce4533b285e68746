"""Where wasmtime-py surprises, and that `component_values.py`, which stands before it, does not.

Each test shows the library's edge first: when a release has smoothed it, the test says so.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from wasmtime import WasmtimeError
from wasmtime.component import Variant

from support.echo_component import Echo, echo
from support.guests import guest_path
from wassette_worker import wit_types as wit
from wassette_worker.json_values import BadValue

U8, U32, S32 = wit.Int(8, signed=False), wit.Int(32, signed=False), wit.Int(32, signed=True)
TEXT, ENUM = wit.String(), wit.Enum(("red", "green"))


def library(guest: Echo, value: Any) -> Any:
    """What the library's own conversion makes of a value, there and back."""
    return guest.func(guest.store, value, *(None,) * 8)


@pytest.mark.parametrize(
    ("of", "number", "wrapped"), [(U8, 256, 0), (U32, 2**32, 0), (U32, -1, 2**32 - 1)], ids=str
)
def test_the_library_wraps_a_number_that_is_out_of_range_and_we_refuse_it(
    of: wit.Int, number: int, wrapped: int
) -> None:
    assert library(echo(of), number) == wrapped
    with pytest.raises(BadValue, match=f"from {of.minimum} to {of.maximum}, got {number}"):
        echo(of).send(number)


def test_the_library_takes_no_integer_for_a_float_and_we_do() -> None:
    with pytest.raises(TypeError):
        library(echo(wit.Float(64)), 1)
    assert echo(wit.Float(64)).send(1) == 1.0


def test_a_wrong_name_ends_the_librarys_instance_and_leaves_ours_as_it_was() -> None:
    theirs, ours = echo(ENUM), echo(ENUM)
    with pytest.raises(WasmtimeError):
        library(theirs, "blue")
    with pytest.raises(WasmtimeError, match="cannot enter"):
        library(theirs, "red")
    fuel = ours.store.get_fuel()
    with pytest.raises(BadValue, match="one of red, green"):
        ours.send("blue")
    assert ours.store.get_fuel() == fuel
    assert ours.send("red") == "red"


def test_the_library_tells_a_result_by_its_class_or_by_a_tag_and_we_always_alike() -> None:
    mixed, alike = wit.Tuple((wit.Result(S32, TEXT),)), wit.Tuple((wit.Result(TEXT, TEXT),))
    assert library(echo(mixed), (5,)) == (5,)
    [found] = library(echo(alike), (Variant("ok", "a"),))
    assert (found.tag, found.payload) == ("ok", "a")
    for of, ok in ((mixed, 5), (alike, "a")):
        for value in ({"ok": ok}, {"err": "b"}):
            assert echo(of).send([value]) == [value]


def test_the_library_refuses_a_tag_where_the_classes_differ_and_we_always_want_one() -> None:
    differ = wit.Variant((("number", U32), ("text", TEXT)))
    with pytest.raises((TypeError, ValueError)):
        library(echo(differ), Variant("number", 1))
    assert library(echo(differ), 1) == 1
    for value in ({"tag": "number", "val": 1}, {"tag": "text", "val": "a"}):
        assert echo(differ).send(value) == value
    with pytest.raises(BadValue):
        echo(differ).send(1)


def test_the_library_aborts_without_a_wasi_configuration() -> None:
    program = """
import sys
from wasmtime import Engine, Store, WasiConfig
from wasmtime.component import Component, Linker
engine = Engine()
linker = Linker(engine)
linker.add_wasip2()
store = Store(engine)
if sys.argv[2] == "with":
    store.set_wasi(WasiConfig())
instance = linker.instantiate(store, Component.from_file(engine, sys.argv[1]))
instance.get_func(store, "random-u64")(store)
"""

    def status(how: str) -> int:
        command = [sys.executable, "-I", "-c", program, str(guest_path("random_bytes")), how]
        return subprocess.run(command, capture_output=True, check=False, timeout=50).returncode  # noqa: S603 - our own words

    assert (status("without"), status("with")) == (-6, 0)
