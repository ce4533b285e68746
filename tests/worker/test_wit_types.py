from __future__ import annotations

import pytest
from hypothesis import given, settings
from wasmtime.component import Component, ListType

from support.echo_component import ENGINE, TYPES, echo_text
from wassette_protocol.frames import Export
from wassette_worker import wit_types as wit
from wassette_worker.wit_types import MAX_DEPTH, MAX_NODES, exports, imports

HOST = """
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "none"))
    (func (export "take") (param i32))
    (func (export "take-two") (param i32 i32))
    (func (export "take-four") (param i32 i32 i32 i32))
    (func (export "give") (result i32) unreachable))
  (core instance $i (instantiate $m))
"""
LIFT = '(canon lift (core func $i "{}") (memory (core memory $i "memory")) \
(realloc (core func $i "realloc")))'


def listed(text: str) -> dict[Export, wit.Signature | str]:
    return dict(exports(Component(ENGINE, text), ENGINE))


def only(text: str) -> wit.Signature | str:
    (found,) = listed(text).values()
    return found


def taking(valtype: str, before: str = "", core: str = "take") -> str:
    return f"""(component {HOST} {before}
      (func (export "f") (param "a" {valtype}) {LIFT.format(core)}))"""


def named(definition: str, number: int) -> str:
    return f'(type $t{number} {definition}) (export $n{number} "t{number}" (type $t{number}))'


@settings(max_examples=40, deadline=None)
@given(of=TYPES)
def test_any_type_is_read_as_it_was_written(of: wit.WitType) -> None:
    found = only(echo_text(of))
    assert isinstance(found, wit.Signature)
    assert found.params[0] == ("value", of)
    assert found.result == of
    assert found.params[1] == ("pad0", wit.Option(wit.U8))


def test_functions_of_the_world_and_of_interfaces_are_listed() -> None:
    text = f"""(component {HOST}
      (func $none {LIFT.format("none")})
      (func $give (result u32) {LIFT.format("give")})
      (type $t (record (field "a" u8)))
      (instance $one (export "run" (func $none)) (export "count" (func $give)))
      (instance $outer (export "deep" (instance $one)))
      (export "top" (func $give))
      (export "acme:tools/one@1.0.0" (instance $one))
      (export "inline" (instance $one))
      (export "nested" (instance $outer))
      (export "a-type" (type $t))
      (core module $empty) (export "a-module" (core module $empty)))"""
    nothing, count = wit.Signature((), None), wit.Signature((), wit.Int(32, signed=False))
    assert listed(text) == {
        Export(None, "top"): count,
        Export("acme:tools/one@1.0.0", "run"): nothing,
        Export("acme:tools/one@1.0.0", "count"): count,
        Export("inline", "run"): nothing,
        Export("inline", "count"): count,
    }


def test_what_toolchains_export_for_themselves_is_not_listed() -> None:
    text = f"""(component {HOST}
      (func $none {LIFT.format("none")})
      (instance $one (export "init" (func $none)))
      (export "exports" (instance $one))
      (export "init" (func $none))
      (export "cabi-like" (func $none))
      (export "acme:a/b" (instance $one)))"""
    assert [*listed(text)] == [Export(None, "cabi-like"), Export("acme:a/b", "init")]


@pytest.mark.parametrize(
    "init", [f'(param "a" u8) {LIFT.format("take")}', f"(result u8) {LIFT.format('give')}"]
)
def test_an_init_that_takes_or_gives_something_is_listed(init: str) -> None:
    assert [*listed(f'(component {HOST} (func (export "init") {init}))')] == [Export(None, "init")]


def test_imports_are_named_as_the_component_spells_them() -> None:
    text = """(component
      (import "acme:host/log@0.1.0" (instance (export "log" (func))))
      (import "plain" (func)))"""
    assert imports(Component(ENGINE, text), ENGINE) == ["acme:host/log@0.1.0", "plain"]


RESOURCE = "(type $r' (resource (rep i32))) (export $r \"r\" (type $r'))"


@pytest.mark.parametrize(
    ("valtype", "before", "core"),
    [
        ("(own $r)", RESOURCE, "take"),
        ("(borrow $r)", RESOURCE, "take"),
        ("(list (own $r))", RESOURCE, "take-two"),
        ("(result (error (own $r)))", RESOURCE, "take-two"),
    ],
)
def test_a_function_with_a_resource_is_left_out_with_the_reason(
    valtype: str, before: str, core: str
) -> None:
    assert only(taking(valtype, before, core)) == "a resource has no JSON form"


def test_one_function_that_can_not_be_a_tool_does_not_hide_another() -> None:
    text = f"""(component {HOST} {RESOURCE}
      (func (export "bad") (param "a" (own $r)) {LIFT.format("take")})
      (func (export "good") (param "a" u8) {LIFT.format("take")}))"""
    assert [isinstance(found, wit.Signature) for found in listed(text).values()] == [False, True]


def doubled(times: int) -> str:
    """A tuple of two tuples of two tuples ... behind a list: small to write, huge to unfold."""
    types = " ".join(f"(type $d{n} (tuple $d{n - 1} $d{n - 1}))" for n in range(1, times + 1))
    return taking(f"(list $d{times})", f"(type $d0 (tuple u8)) {types}", "take-two")


def test_a_small_component_with_a_huge_type_is_left_out_with_the_reason() -> None:
    # A list, 2^n - 1 tuples of two, 2^n tuples of one, and as many numbers.
    assert isinstance(only(doubled(11)), wit.Signature)
    assert only(doubled(12)) == f"its types have more than {MAX_NODES} nodes"


def test_names_count_as_nodes() -> None:
    for count, fits in ((MAX_NODES - 1, True), (MAX_NODES, False)):
        names = " ".join(f'"n{n}"' for n in range(count))
        found = only(taking("$n0", named(f"(enum {names})", 0)))
        assert isinstance(found, wit.Signature) == fits


def test_a_type_may_be_as_deep_as_the_limit_and_not_deeper() -> None:
    # A string is no level: nothing is inside it.
    for depth, fits in ((MAX_DEPTH, True), (MAX_DEPTH + 1, False)):
        found = only(taking("(list " * depth + "string" + ")" * depth, core="take-two"))
        assert isinstance(found, wit.Signature) == fits
        assert fits or found == f"its types nest deeper than {MAX_DEPTH}"


def test_parameters_share_one_budget() -> None:
    one, two = '(param "a" (list $d11))', '(param "a" (list $d11)) (param "b" (list $d11))'
    text = doubled(11).replace(one, two).replace('$i "take-two"', '$i "take-four"')
    assert only(text) == f"its types have more than {MAX_NODES} nodes"


def test_a_kind_of_type_that_is_not_known_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(wit._READERS, ListType)
    assert only(taking("(list u8)", core="take-two")) == "a type that is not known here"
