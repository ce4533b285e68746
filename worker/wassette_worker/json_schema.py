"""JSON Schema (2020-12) of a function's arguments and of its result; pure.

A schema is what a caller should send. The converter takes a little more: an array of numbers
for bytes, and 64-bit integers as numbers beyond what a JavaScript client can hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from wassette_worker import wit_types as wit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Schema: TypeAlias = dict[str, Any]

# Number.MAX_SAFE_INTEGER: beyond it, two integers may become one in a double.
MAX_SAFE_INTEGER = (1 << 53) - 1
MAX_F32 = 3.4028234663852886e38


def input_schema(signature: wit.Signature) -> Schema:
    """An object with one property for each parameter."""
    return _object_of(signature.params)


def output_schema(signature: wit.Signature) -> Schema | None:
    """`{"result": value}`; None if the function gives no value.

    An error of the function's own result type is no output: it is told in text.
    """
    result = signature.result
    if isinstance(result, wit.Result):
        result = result.ok
    return None if result is None else _object_with({"result": _schema(result)}, ["result"])


def integer_pattern(of: wit.Int) -> str:
    """The decimal form of a 64-bit integer, unanchored; its range is checked as a number."""
    return "(0|-?[1-9][0-9]{0,18})" if of.signed else "(0|[1-9][0-9]{0,19})"


def _schema(of: wit.WitType) -> Schema:
    return _SCHEMAS[type(of)](of)


def _object_with(properties: Schema, required: Iterable[str]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _object_of(members: tuple[tuple[str, wit.WitType], ...]) -> Schema:
    return _object_with(
        {name: _schema(of) for name, of in members},
        (name for name, of in members if not isinstance(of, wit.Option)),
    )


def _integer(of: wit.Int) -> Schema:
    if of.width < 64:
        return {"type": "integer", "minimum": of.minimum, "maximum": of.maximum}
    number = {
        "type": "integer",
        "minimum": max(of.minimum, -MAX_SAFE_INTEGER),
        "maximum": MAX_SAFE_INTEGER,
    }
    return _any_of(number, {"type": "string", "pattern": f"^{integer_pattern(of)}$"})


def _float(of: wit.Float) -> Schema:
    number: Schema = {"type": "number"}
    if of.width == 32:
        number |= {"minimum": -MAX_F32, "maximum": MAX_F32}
    return _any_of(number, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]})


def _list(of: wit.List) -> Schema:
    if of.element == wit.U8:
        return {"type": "string", "contentEncoding": "base64"}
    return {"type": "array", "items": _schema(of.element)}


def _tuple(of: wit.Tuple) -> Schema:
    return {
        "type": "array",
        "prefixItems": [_schema(item) for item in of.items],
        "items": False,
        "minItems": len(of.items),
        "maxItems": len(of.items),
    }


def _variant(of: wit.Variant) -> Schema:
    return _any_of(*(_case(tag, payload) for tag, payload in of.cases))


def _case(tag: str, payload: wit.WitType | None) -> Schema:
    properties: Schema = {"tag": {"const": tag}}
    if payload is not None:
        properties["val"] = _schema(payload)
    return _object_with(properties, properties)


def _option(of: wit.Option) -> Schema:
    some = _schema(of.payload)
    if isinstance(of.payload, wit.Option):  # null would be two values
        some = _object_with({"some": some}, ["some"])
    return _any_of(some, {"type": "null"})


def _result(of: wit.Result) -> Schema:
    return _any_of(
        *(
            _object_with({key: {"type": "null"} if payload is None else _schema(payload)}, [key])
            for key, payload in (("ok", of.ok), ("err", of.err))
        )
    )


def _any_of(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


_SCHEMAS: dict[type, Callable[[Any], Schema]] = {
    wit.Bool: lambda _: {"type": "boolean"},
    wit.Int: _integer,
    wit.Float: _float,
    wit.Char: lambda _: {"type": "string", "minLength": 1, "maxLength": 1},
    wit.String: lambda _: {"type": "string"},
    wit.List: _list,
    wit.Record: lambda of: _object_of(of.fields),
    wit.Tuple: _tuple,
    wit.Variant: _variant,
    wit.Enum: lambda of: {"type": "string", "enum": list(of.names)},
    wit.Option: _option,
    wit.Result: _result,
    wit.Flags: lambda of: {
        "type": "array",
        "items": {"type": "string", "enum": list(of.names)},
        "uniqueItems": True,
    },
}
