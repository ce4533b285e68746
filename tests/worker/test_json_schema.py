from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # no stubs in dev

from support.echo_component import TYPES
from wassette_worker import wit_types as wit
from wassette_worker.json_schema import input_schema, output_schema

S64 = wit.Int(64, signed=True)
U16 = wit.Int(16, signed=False)
STRING = {"type": "string"}
BYTE = {"type": "integer", "minimum": 0, "maximum": 255}
NAMED_FLOATS = {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}


def closed(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("of", "schema"),
    [
        (wit.Bool(), {"type": "boolean"}),
        (wit.U8, BYTE),
        (wit.Int(8, signed=True), {"type": "integer", "minimum": -128, "maximum": 127}),
        (U16, {"type": "integer", "minimum": 0, "maximum": 65535}),
        (
            wit.Int(32, signed=True),
            {"type": "integer", "minimum": -2147483648, "maximum": 2147483647},
        ),
        (
            S64,
            {
                "anyOf": [
                    {
                        "type": "integer",
                        "minimum": -9007199254740991,
                        "maximum": 9007199254740991,
                    },
                    {"type": "string", "pattern": "^(0|-?[1-9][0-9]{0,18})$"},
                ]
            },
        ),
        (
            wit.Int(64, signed=False),
            {
                "anyOf": [
                    {"type": "integer", "minimum": 0, "maximum": 9007199254740991},
                    {"type": "string", "pattern": "^(0|[1-9][0-9]{0,19})$"},
                ]
            },
        ),
        (wit.Float(64), {"anyOf": [{"type": "number"}, NAMED_FLOATS]}),
        (
            wit.Float(32),
            {
                "anyOf": [
                    {
                        "type": "number",
                        "minimum": -3.4028234663852886e38,
                        "maximum": 3.4028234663852886e38,
                    },
                    NAMED_FLOATS,
                ]
            },
        ),
        (wit.Char(), {"type": "string", "minLength": 1, "maxLength": 1}),
        (wit.String(), STRING),
        (wit.List(wit.String()), {"type": "array", "items": STRING}),
        (wit.List(wit.U8), {"type": "string", "contentEncoding": "base64"}),
        (
            wit.Tuple((wit.String(), wit.U8)),
            {
                "type": "array",
                "prefixItems": [STRING, BYTE],
                "items": False,
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (
            wit.Record((("a", wit.U8), ("b", wit.Option(wit.String())))),
            closed({"a": BYTE, "b": {"anyOf": [STRING, {"type": "null"}]}}, ["a"]),
        ),
        (
            wit.Variant((("one", wit.U8), ("two", None))),
            {
                "anyOf": [
                    closed({"tag": {"const": "one"}, "val": BYTE}, ["tag", "val"]),
                    closed({"tag": {"const": "two"}}, ["tag"]),
                ]
            },
        ),
        (wit.Enum(("x", "y")), {"type": "string", "enum": ["x", "y"]}),
        (
            wit.Flags(("x", "y")),
            {
                "type": "array",
                "items": {"type": "string", "enum": ["x", "y"]},
                "uniqueItems": True,
            },
        ),
        (
            wit.Option(wit.Option(wit.U8)),
            {
                "anyOf": [
                    closed({"some": {"anyOf": [BYTE, {"type": "null"}]}}, ["some"]),
                    {"type": "null"},
                ]
            },
        ),
        (
            wit.Tuple((wit.Result(wit.U8, None),)),
            {
                "type": "array",
                "prefixItems": [
                    {
                        "anyOf": [
                            closed({"ok": BYTE}, ["ok"]),
                            closed({"err": {"type": "null"}}, ["err"]),
                        ]
                    }
                ],
                "items": False,
                "minItems": 1,
                "maxItems": 1,
            },
        ),
    ],
)
def test_a_type_has_the_schema_of_the_table_for_input_and_output(
    of: wit.WitType, schema: dict[str, Any]
) -> None:
    signature = wit.Signature((("a", of),), of)
    required = [] if isinstance(of, wit.Option) else ["a"]
    assert input_schema(signature) == closed({"a": schema}, required)
    assert output_schema(signature) == closed({"result": schema}, ["result"])


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    assert input_schema(wit.Signature((), None)) == closed({}, [])


def test_option_parameters_are_not_required() -> None:
    signature = wit.Signature((("a", wit.Option(wit.U8)), ("b", wit.U8)), None)
    assert input_schema(signature)["required"] == ["b"]


@pytest.mark.parametrize(
    "result", [None, wit.Result(None, None), wit.Result(None, wit.String())], ids=str
)
def test_a_function_without_a_value_has_no_output_schema(result: wit.WitType | None) -> None:
    assert output_schema(wit.Signature((), result)) is None


def test_a_functions_own_result_is_described_by_its_ok_type() -> None:
    own = wit.Signature((), wit.Result(wit.U8, wit.String()))
    assert output_schema(own) == output_schema(wit.Signature((), wit.U8))


def test_a_result_that_must_be_there_is_required_even_if_it_may_be_null() -> None:
    schema = output_schema(wit.Signature((), wit.Option(wit.U8)))
    assert schema is not None
    assert schema["required"] == ["result"]


@settings(max_examples=30, deadline=None)
@given(of=TYPES)
def test_every_schema_is_valid(of: wit.WitType) -> None:
    signature = wit.Signature((("a", of),), wit.Tuple((of,)))
    Draft202012Validator.check_schema(input_schema(signature))
    Draft202012Validator.check_schema(output_schema(signature))
