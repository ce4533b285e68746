"""Generated types through the engine: components that echo them, and values in and out.

A batch is one component with an echo for each of its types. Its number is its seed, and in the
name of the test.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # no stubs in dev

from support.echo_component import echoes
from support.wit_values import (
    COMPOSITES,
    LEAVES,
    Sample,
    TypeMaker,
    ValueMaker,
    count_types,
    nesting,
)
from support.wrong_values import mistakes
from wassette_worker import wit_types as wit
from wassette_worker.json_schema import input_schema, output_schema
from wassette_worker.json_values import BadValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.echo_component import Echo

pytestmark = pytest.mark.thorough

BATCHES = range(24)
TYPES_IN_A_BATCH = 25
VALUES_OF_A_TYPE = 20
MISTAKES_FOR_A_SCHEMA = 20


def types_of(batch: int) -> list[wit.WitType]:
    maker = TypeMaker(Random(f"types {batch}"))  # noqa: S311 - repeatable on purpose
    return [maker.nested(at_least=3) for _ in range(TYPES_IN_A_BATCH)]


def samples_of(batch: int, of: wit.WitType, number: int, counts: Counter[str]) -> list[Sample]:
    maker = ValueMaker(Random(f"values {batch} {number}"), counts)  # noqa: S311 - repeatable
    return [maker.make(of) for _ in range(VALUES_OF_A_TYPE)]


class Told:
    """What must come out of a function that gives back its argument."""

    def __init__(self, of: wit.WitType, value: Any) -> None:
        self.failed = False
        self.members = {"result": value}
        if isinstance(of, wit.Result):  # the function's own
            ((key, payload),) = value.items()
            self.failed = key == "err"
            self.members = {"result": payload} if self.failed or of.ok else {}


@pytest.mark.parametrize("batch", BATCHES)
def test_each_value_of_each_type_comes_back_and_fits_the_published_schemas(batch: int) -> None:
    types = types_of(batch)
    for number, (of, guest) in enumerate(zip(types, echoes(types), strict=True)):
        signature = guest.signature
        assert (signature.params[0], signature.result) == (("value", of), of)
        samples = samples_of(batch, of, number, Counter())
        check_all(guest, signature, samples)


def check_all(guest: Echo, signature: wit.Signature, samples: list[Sample]) -> None:
    published = output_schema(signature)
    arguments = Draft202012Validator(input_schema(signature))
    results = Draft202012Validator(published or {"maxProperties": 0})
    assert signature.result is not None
    for sample in samples:
        text = msgspec.json.encode({"value": sample.sent})
        arguments.validate(msgspec.json.decode(text))
        told = Told(signature.result, sample.received)
        outcome = guest.outcome(msgspec.json.decode(text)["value"])
        # As text: 1 is not 1.0 there, nor is 0.0 -0.0.
        assert outcome == (msgspec.json.encode(told.members), told.failed), (signature, sample)
        if not told.failed:
            results.validate(msgspec.json.decode(outcome.json))


@pytest.mark.parametrize("batch", BATCHES)
def test_a_value_that_is_wrong_in_one_place_is_refused_there_before_the_guest_runs(
    batch: int,
) -> None:
    types = types_of(batch)
    for number, (of, guest) in enumerate(zip(types, echoes(types), strict=True)):
        right = richest(samples_of(batch, of, number, Counter()))
        fuel = guest.store.get_fuel()
        for mistake in mistakes(of, right, ("value",)):
            with pytest.raises(BadValue) as caught:
                guest.outcome(mistake.value)
            bad = caught.value
            assert bad.pointer == mistake.pointer, mistake
            assert bad.expected.startswith(mistake.expected), mistake
            assert bad.got.startswith(mistake.got), mistake
        assert guest.store.get_fuel() == fuel
        guest.outcome(right)  # the instance is as good as before
        assert guest.store.get_fuel() < fuel


def richest(samples: list[Sample]) -> Any:
    """The value with the most places to be wrong in."""
    return max((one.received for one in samples), key=lambda value: len(msgspec.json.encode(value)))


@pytest.mark.parametrize("batch", BATCHES)
def test_the_published_schema_refuses_what_the_converter_refuses_as_far_as_a_schema_can(
    batch: int,
) -> None:
    for number, of in enumerate(types_of(batch)):
        right = richest(samples_of(batch, of, number, Counter()))
        schema = Draft202012Validator(input_schema(wit.Signature((("value", of),), None)))
        made = [mistake for mistake in mistakes(of, right, ("value",)) if mistake.schema_too]
        random = Random(f"mistakes {batch} {number}")  # noqa: S311 - repeatable on purpose
        for mistake in random.sample(made, min(len(made), MISTAKES_FOR_A_SCHEMA)):
            assert not schema.is_valid({"value": mistake.value}), mistake


def test_the_generated_types_hold_each_constructor_in_each_other_one() -> None:
    types = [of for batch in BATCHES for of in types_of(batch)]
    assert len(types) >= 500
    assert min(map(nesting, types)) >= 3
    assert len(set(types)) == len(types)
    counts: Counter[str] = Counter()
    for of in types:
        count_types(of, counts)
    assert seldom(counts, at_least=3, of=[f"{a}<{b}>" for a in COMPOSITES for b in EVERY]) == {}
    assert seldom(counts, at_least=150, of=EVERY) == {}
    assert set(counts) == {*EVERY, *(f"{a}<{b}>" for a in COMPOSITES for b in EVERY)}


def test_the_generated_values_hold_every_boundary() -> None:
    counts: Counter[str] = Counter()
    for batch in BATCHES:
        for number, of in enumerate(types_of(batch)):
            samples_of(batch, of, number, counts)
    assert seldom(counts, at_least=20, of=BOUNDARIES) == {}


def test_the_generated_mistakes_are_of_every_kind() -> None:
    counts: Counter[str] = Counter()
    for batch in BATCHES:
        for number, of in enumerate(types_of(batch)):
            right = richest(samples_of(batch, of, number, Counter()))
            counts.update(mistake.kind for mistake in mistakes(of, right, ("value",)))
    assert seldom(counts, at_least=50, of=WRONG_KINDS) == {}
    assert len(counts) >= 160
    assert counts.total() >= 80_000


def seldom(counts: Counter[str], *, at_least: int, of: Sequence[str]) -> dict[str, int]:
    return {what: counts[what] for what in of if counts[what] < at_least}


EVERY = (*COMPOSITES, *LEAVES)
FLOATS = ("NaN", "Infinity", "-Infinity", "0.0", "-0.0")
BOUNDARIES = [
    *(f"bool: {value}" for value in (True, False)),
    *(
        f"{sign}{width}: {value}"
        for sign in "us"
        for width in (8, 16, 32, 64)
        for limits in [wit.Int(width, signed=sign == "s")]
        for value in (limits.minimum, 0, limits.maximum)
    ),
    *(f"{sign}64: {2**53 + offset}" for sign in "us" for offset in (-1, 0, 1)),
    *(f"s64: {-(2**53) + offset}" for offset in (-1, 0, 1)),
    *(f"{sign}64: small, in decimal text" for sign in "us"),
    *(f"f{width}: {value}" for width in (32, 64) for value in FLOATS),
    *("f32: 1.401298464324817e-45", "f32: 3.4028234663852886e+38"),
    *("f64: 5e-324", "f64: 1.7976931348623157e+308"),
    *(f"plane {plane}" for plane in range(17)),
    *("string: 0", "list: 0", "list: 1", "flags: none", "flags: one", "flags: all"),
    *("record: option left out", "record: option null"),
    *("variant: payload", "variant: no payload"),
    *(f"result: {what}" for what in ("ok", "err", "ok of nothing", "err of nothing")),
    *("option: none", "option: some"),
    *("option: none of an option", "option: some none", "option: some some"),
]
JSON_KINDS = ("null", "boolean", "integer", "fraction", "text", "array", "object")
RIGHT_KINDS = {
    "bool": ("boolean",),
    "int": ("integer",),
    "float": ("integer", "fraction"),
    "string": ("text",),
    "list": ("array",),
    "flags": ("array",),
    "tuple": ("array",),
    "record": ("object",),
    "option": ("null",),
}
WRONG_KINDS = [
    f"{of}: {kind}"
    for of in (*RIGHT_KINDS, "char", "enum", "variant", "result")
    for kind in JSON_KINDS
    if kind not in RIGHT_KINDS.get(of, ())
]
