"""Which results are images and files: by schema, as the worker writes it."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # no stubs in dev

from wassette_supervisor.front.media_records import count, gives_media, published, replaced
from wassette_worker import wit_types as wit
from wassette_worker.json_schema import output_schema

MIME, DATA = ("mime-type", wit.String()), ("data", wit.List(wit.U8))
FILE = wit.Record((MIME, DATA))
NAMED = wit.Record((MIME, DATA, ("name", wit.Option(wit.String()))))
VALUE = {"mime-type": "image/png", "data": "AAEC"}
PLACED = {"mime-type": "image/png", "data": {"content": 1, "bytes": 3}}


def schema(of: wit.WitType | None) -> dict[str, Any] | None:
    return output_schema(wit.Signature((), of))


@pytest.mark.parametrize(
    ("of", "plain", "placed"),
    [
        pytest.param(FILE, VALUE, PLACED, id="alone"),
        pytest.param(wit.Record((DATA, MIME)), VALUE, PLACED, id="the other way round"),
        pytest.param(NAMED, VALUE, PLACED, id="with a name that may be left out"),
        pytest.param(
            wit.Record((MIME, ("name", wit.String()), DATA)),
            VALUE | {"name": "a"},
            PLACED | {"name": "a"},
            id="with a name",
        ),
        pytest.param(wit.Option(FILE), VALUE, PLACED, id="option"),
        pytest.param(wit.Option(FILE), None, None, id="option, none"),
        pytest.param(wit.Result(FILE, wit.String()), VALUE, PLACED, id="result"),
        pytest.param(wit.List(FILE), [VALUE], [PLACED], id="list"),
        pytest.param(
            wit.Result(wit.Option(wit.List(wit.Option(FILE))), None),
            [None, VALUE],
            [None, PLACED],
            id="all of them",
        ),
    ],
)
def test_a_record_of_a_type_and_bytes_is_published_as_what_stands_in_the_value(
    of: wit.WitType, plain: Any, placed: Any
) -> None:
    own = schema(of)
    assert gives_media(own)
    validator = Draft202012Validator(published(own))
    validator.check_schema(published(own))
    for value in (plain, placed):  # plain: of a type that is none
        validator.validate({"result": value})
    put = PLACED["data"]
    assert replaced(plain, lambda record: record | {"data": put}) == placed
    assert count(plain) == str(plain).count("mime-type")


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(None, id="nothing"),
        pytest.param(wit.List(wit.U8), id="bytes alone"),
        pytest.param(wit.Record((MIME, ("data", wit.String()))), id="text for bytes"),
        pytest.param(wit.Record((("mime-type", wit.Option(wit.String())), DATA)), id="no type"),
        pytest.param(wit.Record((("mime", wit.String()), DATA)), id="another word"),
        pytest.param(wit.Record((MIME, ("bytes", wit.List(wit.U8)))), id="another word for bytes"),
        pytest.param(wit.Record((MIME, DATA, ("size", wit.U8))), id="one member more"),
        pytest.param(wit.Record((MIME, DATA, ("name", wit.U8))), id="a name that is none"),
        pytest.param(wit.Tuple((FILE,)), id="in a tuple"),
        pytest.param(wit.Record((("file", FILE),)), id="in a record"),
        pytest.param(wit.Option(wit.Option(FILE)), id="in an option of an option"),
        pytest.param(wit.Result(None, FILE), id="as an error"),
        pytest.param(wit.Variant((("file", FILE), ("no", None))), id="in a variant"),
    ],
)
def test_any_other_result_is_published_as_it_is(of: wit.WitType | None) -> None:
    own = schema(of)
    assert not gives_media(own)
    assert published(own) is own


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"properties": None},
        {"properties": {"result": True}},
        {"properties": {"result": {"type": "object", "properties": []}}},
        {"properties": {"result": {"anyOf": None}}},
        {"properties": {"result": {"type": "array", "items": [1]}}},
    ],
    ids=str,
)
def test_a_schema_that_no_worker_writes_is_published_as_it_is(odd: dict[str, Any]) -> None:
    assert published(odd) is odd
