from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import wat2wasm

from wassette_worker.wit_docs import MAX_SECTION, MAX_TEXT, clean, read_docs

COMPONENT = """(component
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (instance $one (export "get" (func $f)))
  (export "add" (func $f))
  (export $forecast "acme:weather/forecast@1.2.0" (instance $one))
  (export "inline" (instance $one) (instance (export "get" (func))))
  (export "acme:other/twin" (instance $one))
  (export "acme:weather/twin@1.2.0" (instance $one)))"""
PLAIN = bytes(wat2wasm(COMPONENT))

# What `wasm-tools component wit --wasm` 1.262.0 writes for a package like this.
DOCUMENT = {
    "docs": "The package.",
    "worlds": {
        "tool": {
            "docs": "The world.",
            "funcs": {"log": {"docs": "An import."}},
            "interface_exports": {"inline": {"docs": "i", "funcs": {"get": {"docs": "Inner."}}}},
            "func_exports": {"add": {"docs": "Adds."}, "plain": {"stability": "unknown"}},
        }
    },
    "interfaces": {
        "forecast": {
            "docs": "An interface.",
            "funcs": {
                "get": {"docs": "Get it.\nSecond line.", "stability": {"stable": {}}},
                "set": {"stability": {"stable": {"since": "1.0.0"}}},
            },
            "types": {"day": {"docs": "A record.", "items": {"t": "field"}}},
        }
    },
}


def leb(number: int) -> bytes:
    rest, low = number >> 7, number & 0x7F
    return bytes([low | 0x80]) + leb(rest) if rest else bytes([low])


def section(payload: bytes, name: bytes = b"package-docs") -> bytes:
    body = leb(len(name)) + name + payload
    return b"\0" + leb(len(body)) + body


def with_docs(document: Any, version: bytes = b"\x01") -> bytes:
    return PLAIN + section(version + json.dumps(document).encode())


def world_docs(text: Any) -> bytes:
    return with_docs({"worlds": {"w": {"func_exports": {"add": text}}}})


def test_functions_of_the_world_and_of_interfaces_get_their_texts() -> None:
    assert read_docs(with_docs(DOCUMENT)) == {
        (None, "add"): "Adds.",
        ("acme:weather/forecast@1.2.0", "get"): "Get it.\nSecond line.",
        ("inline", "get"): "Inner.",
    }


def test_the_older_form_has_texts_as_strings() -> None:
    older = {"worlds": {"w": {"func_exports": {"add": "Adds."}}}}
    assert read_docs(with_docs(older, b"\0")) == {(None, "add"): "Adds."}


def test_an_interface_that_two_exports_could_mean_gets_no_text() -> None:
    twin = {"interfaces": {"twin": {"funcs": {"get": {"docs": "Which?"}}}}}
    assert read_docs(with_docs(twin)) == {}


def test_an_interface_may_be_named_in_full() -> None:
    name = "acme:weather/twin@1.2.0"
    full = {"interfaces": {name: {"funcs": {"get": {"docs": "This."}}}}}
    assert read_docs(with_docs(full)) == {(name, "get"): "This."}


def test_an_interface_that_is_not_exported_gets_no_text() -> None:
    other = {"interfaces": {"other": {"funcs": {"get": {"docs": "?"}}}}}
    assert read_docs(with_docs(other)) == {}


def test_a_component_without_the_section_has_no_texts() -> None:
    assert read_docs(PLAIN) == {}
    assert read_docs(PLAIN + section(b"\x01{}", b"producers")) == {}
    assert read_docs(b"") == {}
    assert read_docs(bytes(wat2wasm("(module)")) + section(b"\x01{}")) == {}


def test_the_first_section_counts_and_one_inside_another_component_does_not() -> None:
    first = world_docs({"docs": "First."})
    assert read_docs(first + section(b"\x01{}")) == {(None, "add"): "First."}
    inner = b"\0asm\x0d\0\x01\0" + section(b"\x01{}")
    nested = PLAIN + b"\x04" + leb(len(inner)) + inner
    assert read_docs(nested) == {}


def test_a_section_may_be_as_long_as_the_limit_and_not_longer() -> None:
    fixed = len(section(b"\x01" + b'{"worlds":{"w":{"func_exports":{"add":"A"}}},"docs":""}'))
    for extra, found in ((0, 1), (1, 0)):
        padding = "x" * (MAX_SECTION - fixed + 2 + extra)
        payload = b'\x01{"worlds":{"w":{"func_exports":{"add":"A"}}},"docs":"%s"}'
        body = section(payload.replace(b"%s", padding.encode()))
        assert len(body) - 4 == MAX_SECTION + extra
        assert len(read_docs(PLAIN + body)) == found


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x01",
        b"\x02{}",
        b"{}",
        b"\x01{",
        b"\x01[]",
        b"\x01null",
        b'\x01"\xff"',
        b"\x01" + b"[" * 100_000,
        b'\x01{"worlds":[]}',
        b'\x01{"worlds":{"w":{"func_exports":{"add":7}}}}',
        b'\x01{"worlds":{"w":{"func_exports":{"add":{"docs":["x"]}}}}}',
        b'\x01{"interfaces":{"forecast":null}}',
        b'\x01{"interfaces":{"forecast":{"funcs":"get"}}}',
    ],
)
def test_a_malformed_section_says_nothing(payload: bytes) -> None:
    assert read_docs(PLAIN + section(payload)) == {}


@given(cut=st.integers(0, 900), flips=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255))))
def test_no_damage_to_a_component_raises(cut: int, flips: list[tuple[int, int]]) -> None:
    damaged = bytearray(with_docs(DOCUMENT))
    for at, value in flips:
        damaged[at % len(damaged)] = value
    read_docs(bytes(damaged[: len(damaged) - cut]))


@given(text=st.text())
def test_a_cleaned_text_is_bounded_and_shows_all_that_it_says(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned.encode()) <= MAX_TEXT
    assert all(c.isprintable() or c == "\n" or unicodedata.category(c) == "Zs" for c in cleaned)
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize(
    ("dirty", "cleaned"),
    [
        ("one\ntwo", "one\ntwo"),
        ("a\x00b\x1b[31mc\r\td\x7f\x9b", "ab[31mcd"),
        ("a\u202eb\u2066c\u2069\u200e\u061c", "abc"),
        ("a\u200b\u200c\u200d\u2060\ufeff\u00adb", "ab"),
        ("a\U000e0041\U000e0001\U000e007fb", "ab"),
        ("a\u2028b\u2029c\ufe0f\U000e0100\u3164", "abc"),
        ("Grüße, 日本 \U0001f600", "Grüße, 日本 \U0001f600"),
        ("x" * 2000, "x" * 1024),
        ("x" * 1022 + "é", "x" * 1022 + "é"),
        ("x" * 1023 + "é", "x" * 1023),
    ],
)
def test_what_can_not_be_seen_is_taken_out_of_a_text(dirty: str, cleaned: str) -> None:
    assert clean(dirty) == cleaned
    expected = {(None, "add"): cleaned}
    assert read_docs(world_docs({"docs": dirty})) == expected
