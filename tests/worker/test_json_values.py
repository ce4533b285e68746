from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # no stubs in dev
from wasmtime import ExitTrap, Store, WasmtimeError, _ffi
from wasmtime.component import Component, Linker

from support.echo_component import ENGINE, MAX_BYTES, TYPES, echo, json_of, start
from wassette_worker import component_values
from wassette_worker import wit_types as wit
from wassette_worker.json_schema import input_schema, output_schema
from wassette_worker.json_values import BadValue, Call, ResultTooLarge, check_layout

# Each is a component to compile; five values go through it.
TYPES_TO_TRY = 40

A_TO_C = ("a", "b", "c")
ABSENT = wit.Result(None, None)
SHAPE = wit.Variant((("circle", wit.Float(64)), ("nothing", None), ("many", wit.List(wit.U8))))
POINT = wit.Record((("x", wit.Int(32, signed=True)), ("label", wit.Option(wit.String()))))


def u(width: int) -> wit.Int:
    return wit.Int(width, signed=False)


def s(width: int) -> wit.Int:
    return wit.Int(width, signed=True)


def refusal(of: wit.WitType, value: object) -> BadValue:
    with pytest.raises(BadValue) as caught:
        Call(wit.Signature((("v", of),), None)).arguments({"v": value})
    return caught.value


@settings(
    max_examples=TYPES_TO_TRY, deadline=None, suppress_health_check=[HealthCheck.data_too_large]
)
@given(of=TYPES, data=st.data())
def test_any_value_of_any_type_comes_back_as_it_was_and_fits_the_published_schemas(
    of: wit.WitType, data: st.DataObject
) -> None:
    guest = echo(wit.Tuple((of,)))  # a bare `result` would be the function's own
    signature = wit.Signature((("value", of),), wit.Tuple((of,)))
    published = output_schema(signature)
    assert published is not None
    arguments, results = (
        Draft202012Validator(schema) for schema in (input_schema(signature), published)
    )
    for _ in range(5):
        value = data.draw(json_of(of))
        arguments.validate({"value": value})
        result = guest.send([value])
        assert result == [value]
        results.validate({"result": result})


@pytest.mark.parametrize(
    ("of", "sent", "received"),
    [
        (wit.Bool(), True, True),
        (wit.Bool(), False, False),
        *((of, of.minimum, of.minimum) for of in (u(8), u(16), u(32), u(64), s(8), s(16), s(32))),
        *((of, of.maximum, of.maximum) for of in (u(8), u(16), u(32), s(8), s(16), s(32))),
        (u(8), 5.0, 5),
        (s(8), -0.0, 0),
        (u(64), 2**53 - 1, 2**53 - 1),
        (u(64), 2**53, "9007199254740992"),
        (u(64), 2**64 - 1, "18446744073709551615"),
        (u(64), "18446744073709551615", "18446744073709551615"),
        (u(64), "7", 7),
        (s(64), "-9223372036854775808", "-9223372036854775808"),
        (s(64), -(2**63), "-9223372036854775808"),
        (s(64), 2**63 - 1, "9223372036854775807"),
        (s(64), -(2**53) + 1, -(2**53) + 1),
        (s(64), 1e15, 10**15),
        (wit.Float(32), 1.5, 1.5),
        (wit.Float(32), 1, 1.0),
        (wit.Float(32), 3.4028234663852886e38, 3.4028234663852886e38),
        (wit.Float(32), "NaN", "NaN"),
        (wit.Float(64), 1.7976931348623157e308, 1.7976931348623157e308),
        (wit.Float(64), 5e-324, 5e-324),
        (wit.Float(64), "Infinity", "Infinity"),
        (wit.Float(64), "-Infinity", "-Infinity"),
        (wit.Float(64), "NaN", "NaN"),
        (wit.Char(), "\x00", "\x00"),
        (wit.Char(), "\ud7ff", "\ud7ff"),
        (wit.Char(), "\ue000", "\ue000"),
        (wit.Char(), "\U0010ffff", "\U0010ffff"),
        (wit.String(), "", ""),
        (wit.String(), "a\x00\u2028é\U0001f600", "a\x00\u2028é\U0001f600"),
        (wit.List(u(8)), "", ""),
        (wit.List(u(8)), [], ""),
        (wit.List(u(8)), "AP8=", "AP8="),
        (wit.List(u(8)), [0, 255], "AP8="),
        (wit.List(u(8)), [0.0, 255.0], "AP8="),
        (wit.List(u(32)), [], []),
        (wit.List(u(32)), [1, 2.0, 2**32 - 1], [1, 2, 2**32 - 1]),
        (wit.List(u(64)), [1, "2", 2**53], [1, 2, "9007199254740992"]),
        (wit.List(wit.Float(32)), [1, 0.5, "NaN"], [1.0, 0.5, "NaN"]),
        (wit.List(wit.Bool()), [True, False], [True, False]),
        (wit.List(wit.Char()), ["a", "\U0001f600"], ["a", "\U0001f600"]),
        (wit.List(wit.List(u(8))), ["AA==", [1]], ["AA==", "AQ=="]),
        (wit.List(wit.String()), ["", "b"], ["", "b"]),
        (wit.Tuple((u(8), wit.String())), [1, "a"], [1, "a"]),
        (POINT, {"x": 1}, {"x": 1, "label": None}),
        (POINT, {"label": "p", "x": 1}, {"x": 1, "label": "p"}),
        (SHAPE, {"tag": "nothing"}, {"tag": "nothing"}),
        (SHAPE, {"val": 1, "tag": "circle"}, {"tag": "circle", "val": 1.0}),
        (SHAPE, {"tag": "many", "val": [1]}, {"tag": "many", "val": "AQ=="}),
        (wit.Enum(A_TO_C), "b", "b"),
        (wit.Flags(A_TO_C), ["c", "a"], ["a", "c"]),
        (wit.Flags(A_TO_C), [], []),
        (wit.Option(wit.Option(u(8))), None, None),
        (wit.Option(wit.Option(u(8))), {"some": None}, {"some": None}),
        (wit.Option(wit.Option(u(8))), {"some": 1}, {"some": 1}),
        (wit.Option(wit.List(wit.Option(u(8)))), [None, 1], [None, 1]),
        (wit.Tuple((ABSENT,)), [{"ok": None}], [{"ok": None}]),
        (wit.Tuple((ABSENT,)), [{"err": None}], [{"err": None}]),
    ],
)
def test_a_value_passes_through_the_engine(of: wit.WitType, sent: Any, received: Any) -> None:
    result = echo(of).send(sent)
    assert result == received
    assert type(result) is type(received)


@pytest.mark.parametrize(
    ("of", "value", "pointer", "expected", "got"),
    [
        (wit.Bool(), 1, "/v", "true or false", "1"),
        (wit.Bool(), None, "/v", "true or false", "null"),
        (u(8), True, "/v", "an integer from 0 to 255", "true"),
        (u(8), 256, "/v", "an integer from 0 to 255", "256"),
        (u(8), -1, "/v", "an integer from 0 to 255", "-1"),
        (u(8), 0.5, "/v", "an integer from 0 to 255", "0.5"),
        (u(8), "1", "/v", "an integer from 0 to 255", '"1"'),
        (s(8), 128, "/v", "an integer from -128 to 127", "128"),
        (s(16), -32769, "/v", "an integer from -32768 to 32767", "-32769"),
        (u(32), 2**32, "/v", "an integer from 0 to 4294967295", "4294967296"),
        (u(32), 1e300, "/v", "an integer from 0 to 4294967295", "1e+300"),
        (u(32), float("inf"), "/v", "an integer from 0 to 4294967295", "Infinity"),
        (u(32), 10**400, "/v", "an integer from 0 to 4294967295", "an integer of 1329 bits"),
        (wit.Float(64), True, "/v", "a number of 64 bits", "true"),
        (wit.Float(64), "nan", "/v", "a number of 64 bits", '"nan"'),
        (wit.Float(64), 10**400, "/v", "a number of 64 bits", "an integer of 1329 bits"),
        (wit.Float(64), float("inf"), "/v", "a number of 64 bits", "Infinity"),
        (wit.Float(32), 3.5e38, "/v", "a number of 32 bits", "3.5e+38"),
        (wit.Float(32), float("nan"), "/v", "a number of 32 bits", "NaN"),
        (wit.Char(), "", "/v", "a string of one character", '""'),
        (wit.Char(), "ab", "/v", "a string of one character", '"ab"'),
        (wit.Char(), "\udc80", "/v", "a string of one character", r'"\udc80"'),
        (wit.Char(), 7, "/v", "a string of one character", "7"),
        (wit.String(), ["a\n"], "/v", "a string", r'["a\n"]'),
        (wit.String(), "a\ud800", "/v", "text without lone surrogates", r'"a\ud800"'),
        (wit.List(u(8)), "AP8", "/v", "base64 text, standard alphabet and padded", '"AP8"'),
        (wit.List(u(8)), "AP8=\n", "/v", "base64 text, standard alphabet", r'"AP8=\n"'),
        (wit.List(u(8)), "_-8=", "/v", "base64 text, standard alphabet", '"_-8="'),
        (wit.List(u(8)), "é===", "/v", "base64 text, standard alphabet", r'"\u00e9==="'),
        (wit.List(u(8)), "AP9=", "/v", "base64 text without stray bits", '"AP9="'),
        (wit.List(u(8)), "AAAAAB==", "/v", "base64 text without stray bits", '"AAAAAB=="'),
        (wit.List(u(8)), {}, "/v", "base64 text or an array", "{}"),
        (wit.List(u(8)), [0, 256], "/v/1", "an integer from 0 to 255", "256"),
        (wit.List(u(8)), [True], "/v/0", "an integer from 0 to 255", "true"),
        (wit.List(u(32)), [1, None], "/v/1", "an integer from 0", "null"),
        (wit.List(wit.Float(32)), [1.0, 1e39], "/v/1", "a number of 32 bits", "1e+39"),
        (wit.List(wit.Float(64)), [10**400], "/v/0", "a number of 64 bits", "an integer of"),
        (wit.List(wit.Float(64)), [float("nan")], "/v/0", "a number of 64 bits", "NaN"),
        (wit.List(wit.Char()), ["a", "bc"], "/v/1", "a string of one character", '"bc"'),
        (wit.List(wit.String()), ["a", 1], "/v/1", "a string", "1"),
        (wit.List(wit.String()), "a", "/v", "an array", '"a"'),
        (wit.Tuple((u(8), u(8))), [1], "/v", "an array of 2 values", "[1]"),
        (wit.Tuple((u(8), u(8))), [1, 2, 3], "/v", "an array of 2 values", "[1, 2, 3]"),
        (wit.Tuple((u(8), u(8))), [1, "2"], "/v/1", "an integer", '"2"'),
        (POINT, [], "/v", "an object", "[]"),
        (POINT, {}, "/v/x", "an integer from -2147483648", "nothing"),
        (POINT, {"x": None}, "/v/x", "an integer from -2147483648", "null"),
        (POINT, {"x": 1, "X": 1}, "/v", "an object with no members but x, label", 'one with "X"'),
        (POINT, {"x": 1, "label": 2}, "/v/label", "null or a string", "2"),
        (SHAPE, "circle", "/v", 'an object whose "tag" is one of circle, nothing', '"circle"'),
        (SHAPE, {"tag": "oval"}, "/v", 'an object whose "tag" is', '{"tag": "oval"}'),
        (SHAPE, {"tag": ["circle"]}, "/v", 'an object whose "tag" is', '{"tag": ["circle"]}'),
        (SHAPE, {"tag": "circle"}, "/v", '"tag" and "val" for this case', '{"tag": "circle"}'),
        (SHAPE, {"tag": "circle", "val": "1"}, "/v/val", "a number of 64 bits", '"1"'),
        (SHAPE, {"tag": "nothing", "val": None}, "/v", '"tag" alone', '{"tag": "nothing", '),
        (SHAPE, {"tag": "circle", "val": 1, "x": 1}, "/v", '"tag" and "val"', '{"tag": "circle"'),
        (wit.Enum(A_TO_C), "d", "/v", "one of a, b, c", '"d"'),
        (wit.Enum(A_TO_C), 0, "/v", "one of a, b, c", "0"),
        (wit.Flags(A_TO_C), "a", "/v", "an array of names", '"a"'),
        (wit.Flags(A_TO_C), ["a", "a"], "/v/1", "one of a, b, c, each at most once", '"a"'),
        (wit.Flags(A_TO_C), ["d"], "/v/0", "one of a, b, c, each at most once", '"d"'),
        (wit.Flags(A_TO_C), [{}], "/v/0", "one of a, b, c, each at most once", "{}"),
        (wit.Option(u(8)), "x", "/v", "null or an integer from 0 to 255", '"x"'),
        (wit.Option(wit.Option(u(8))), 1, "/v", 'null or {"some": value}', "1"),
        (wit.Option(wit.Option(u(8))), {}, "/v", 'null or {"some": value}', "{}"),
        (wit.Option(wit.Option(u(8))), {"some": "x"}, "/v/some", "null or an integer", '"x"'),
        (wit.Result(u(8), None), 1, "/v", '{"ok": value} or {"err": value}', "1"),
        (wit.Result(u(8), None), {"ok": 1, "err": None}, "/v", '{"ok": value} or', '{"ok": 1'),
        (wit.Result(u(8), None), {"ok": None}, "/v/ok", "an integer", "null"),
        (wit.Result(u(8), None), {"err": 1}, "/v/err", "null", "1"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_place(
    of: wit.WitType, value: object, pointer: str, expected: str, got: str
) -> None:
    bad = refusal(of, value)
    assert bad.pointer == pointer
    assert bad.expected.startswith(expected)
    assert bad.got.startswith(got)
    assert str(bad) == f"at {pointer}: expected {bad.expected}, got {bad.got}"


@pytest.mark.parametrize("of", [u(64), s(64)])
@pytest.mark.parametrize(
    "text",
    ["", "+1", "-0", "01", "1.0", "1e3", " 1", "1\n", "٣", "--1", "18446744073709551616", "9" * 40],
)
def test_only_a_canonical_decimal_in_range_stands_for_a_64_bit_integer(
    of: wit.Int, text: str
) -> None:
    assert "decimal text" in refusal(of, text).expected


def test_a_pointer_escapes_what_its_rfc_reserves() -> None:
    inner = wit.Record((("a/b~c", u(8)),))  # no WIT name, but the writer need not know
    assert refusal(wit.List(inner), [{"a/b~c": 1}, {"a/b~c": -1}]).pointer == "/v/1/a~1b~0c"


def test_missing_options_are_none_and_other_missing_arguments_are_named() -> None:
    call = Call(wit.Signature((("a", wit.Option(u(8))), ("b", wit.String())), None))
    call.arguments({"b": "x"})
    with pytest.raises(BadValue) as caught:
        call.arguments({})
    assert (caught.value.pointer, caught.value.got) == ("/b", "nothing")
    with pytest.raises(BadValue) as caught:
        call.arguments({"b": "x", "c": 1})
    assert (caught.value.expected, caught.value.got) == (
        "an object with no members but a, b",
        'one with "c"',
    )


def test_a_function_without_parameters_takes_no_argument() -> None:
    call = Call(wit.Signature((), None))
    call.arguments({})
    with pytest.raises(BadValue, match="an object with no members,"):
        call.arguments({"a": 1})


def test_nothing_huge_is_said_of_huge_types() -> None:
    names = tuple(f"name-{n}" for n in range(1000))
    assert len(str(refusal(wit.Enum(names), "x" * 1000))) < 250
    assert len(str(refusal(wit.Flags(names), ["x" * 1000]))) < 250
    assert len(str(refusal(wit.Variant(tuple((n, None) for n in names)), {}))) < 250


def test_long_lists_pass_in_bulk() -> None:
    data = bytes(range(256)) * 1024
    text = base64.b64encode(data).decode()
    assert echo(wit.List(u(8))).send(text) == text
    numbers = list(range(0, 2**32, 2**32 // 50_000))
    assert echo(wit.List(u(32))).send(numbers) == numbers
    fractions = [n / 8 for n in range(50_000)]
    assert echo(wit.List(wit.Float(64))).send(fractions) == fractions


def test_arguments_can_be_used_again() -> None:
    guest = echo(wit.List(wit.String()))
    arguments = guest.call.arguments({"value": ["a", "b" * 10_000]})
    first, second = (
        guest.call.invoke(guest.store, guest.func, arguments, max_bytes=MAX_BYTES) for _ in range(2)
    )
    assert first == second
    assert guest.send(["a" * 5000] * 3) == ["a" * 5000] * 3


@pytest.mark.parametrize(
    ("of", "sent", "encoded", "failed"),
    [
        (wit.Result(u(8), wit.String()), {"ok": 7}, b'{"result":7}', False),
        (wit.Result(u(8), wit.String()), {"err": "no"}, b'{"result":"no"}', True),
        (wit.Result(None, wit.String()), {"ok": None}, b"{}", False),
        (wit.Result(None, wit.String()), {"err": "no"}, b'{"result":"no"}', True),
        (ABSENT, {"ok": None}, b"{}", False),
        (ABSENT, {"err": None}, b'{"result":null}', True),
        (wit.Result(wit.Option(u(8)), None), {"ok": None}, b'{"result":null}', False),
        (wit.Result(ABSENT, None), {"ok": {"err": None}}, b'{"result":{"err":null}}', False),
    ],
)
def test_a_functions_own_result_is_its_value_or_its_failure(
    of: wit.WitType,
    sent: object,
    encoded: bytes,
    failed: bool,  # noqa: FBT001 - of a parametrized row
) -> None:
    assert echo(of).outcome(sent) == (encoded, failed)


def test_a_function_without_a_result_gives_an_empty_object() -> None:
    _, store, func = start("""(component
      (core module $m (func (export "f")))
      (core instance $i (instantiate $m))
      (func (export "echo") (canon lift (core func $i "f"))))""")
    call = Call(wit.signature(func.type(store)))
    assert call.invoke(store, func, call.arguments({}), max_bytes=2) == (b"{}", False)


@pytest.mark.parametrize(
    ("of", "value", "size"),
    [
        (wit.String(), "a" * 100, 113),
        (wit.String(), "\x01" * 100, 613),
        (wit.List(u(8)), "AAAA" * 100, 413),
        (wit.List(u(32)), [0] * 100, 212),
        (wit.List(wit.String()), ["ab"] * 100, 512),
    ],
)
def test_a_result_may_be_as_long_as_the_limit_and_not_one_byte_longer(
    of: wit.WitType, value: object, size: int
) -> None:
    guest = echo(of)
    assert len(guest.outcome(value, max_bytes=size).json) == size
    for limit in (size - 1, 10):
        with pytest.raises(ResultTooLarge) as caught:
            guest.outcome(value, max_bytes=limit)
        assert caught.value.limit == limit
    assert guest.send(value) == value


TRAPPING = """(component
  (import "host" (func $host))
  (core module $m
    (import "" "host" (func $host))
    (func (export "f") (param i32) (result i32)
      (call $host) (local.get 0)))
  (core func $lowered (canon lower (func $host)))
  (core instance $i (instantiate $m (with "" (instance (export "host" (func $lowered))))))
  (func (export "echo") (param "value" u8) (result u8) (canon lift (core func $i "f"))))"""


def run_with_host(host: Any) -> None:
    store = Store(ENGINE)
    store.set_fuel(10**6)
    store.set_epoch_deadline(1)
    linker = Linker(ENGINE)
    with linker.root() as root:
        root.add_func("host", host)
    func = linker.instantiate(store, Component(ENGINE, TRAPPING)).get_func(store, "echo")
    assert func is not None
    call = Call(wit.Signature((("value", u(8)),), u(8)))
    call.invoke(store, func, call.arguments({"value": 1}), max_bytes=100)


def test_an_exception_of_a_host_function_comes_out_as_itself() -> None:
    def host(_store: object) -> None:
        raise LookupError("from the host")

    with pytest.raises(LookupError, match="from the host"):
        run_with_host(host)


def test_a_trap_is_the_engines_error_and_no_exit() -> None:
    _, store, func = start("""(component
      (core module $m (func (export "f") unreachable))
      (core instance $i (instantiate $m))
      (func (export "echo") (canon lift (core func $i "f"))))""")
    call = Call(wit.signature(func.type(store)))
    with pytest.raises(WasmtimeError, match="unreachable") as caught:
        call.invoke(store, func, call.arguments({}), max_bytes=100)
    assert not isinstance(caught.value, ExitTrap)


def test_the_layout_written_down_is_the_librarys() -> None:
    check_layout()


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (component_values, "VALUE_SIZE", 40),
        (component_values, "RECORD", 15),
        (component_values, "FIELD_VALUE", 8),
        (_ffi, "WASMTIME_COMPONENT_FLAGS", _ffi.WASMTIME_COMPONENT_RESOURCE),
    ],
)
def test_another_layout_is_refused(
    owner: Any, name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, value)
    with pytest.raises(RuntimeError, match="in another way"):
        check_layout()


def test_decoded_json_of_every_kind_is_taken_as_msgspec_gives_it() -> None:
    decoded = msgspec.json.decode(b'{"value": [5.0, 1e2, -0]}')
    assert echo(wit.List(s(16))).send(decoded["value"]) == [5, 100, 0]
