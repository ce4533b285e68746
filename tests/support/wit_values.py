"""Types and values made from a seed, and counted: what a test of conversion has seen.

Hypothesis shrinks better, but makes far fewer in the same time, and does not tell what
it made. Here a batch is its number: the same types and values each time.
"""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from support.echo_component import SCALARS
from wassette_worker import wit_types as wit

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator
    from random import Random

    from wassette_worker.wit_types import WitType

_MAX_SAFE = (1 << 53) - 1
# The words of our own JSON forms, WIT keywords, capitals: none of them may matter.
_NAMES = ("tag", "val", "some", "ok", "err", "type", "with-dash", "b2", "result", "HTTP-url")
_MAX_NODES = 60  # of a type: else its values take seconds to check against the schema

COMPOSITES = ("list", "record", "tuple", "variant", "option", "result")
LEAVES = (
    *("bool", "char", "string", "f32", "f64", "enum", "flags"),
    *(f"{sign}{width}" for sign in "us" for width in (8, 16, 32, 64)),
)


def constructor(of: WitType) -> str:
    """What WIT calls the outermost part of a type."""
    match of:
        case wit.Int():
            return f"{'s' if of.signed else 'u'}{of.width}"
        case wit.Float():
            return f"f{of.width}"
        case _:
            return type(of).__name__.lower()


def inside(of: WitType) -> Iterator[WitType]:
    """The types directly inside of a type."""
    match of:
        case wit.Record():
            yield from (field for _, field in of.fields)
        case wit.Tuple():
            yield from of.items
        case wit.Variant():
            yield from (payload for _, payload in of.cases if payload)
        case wit.Option():
            yield of.payload
        case wit.List():
            yield of.element
        case wit.Result():
            yield from (payload for payload in (of.ok, of.err) if payload)
        case _:
            return


def nesting(of: WitType) -> int:
    """How many composites stand in each other; a scalar is 0."""
    is_composite = constructor(of) in COMPOSITES
    return is_composite + max(map(nesting, inside(of)), default=0)


def nodes(of: WitType) -> int:
    return 1 + sum(map(nodes, inside(of)))


def count_types(of: WitType, counts: Counter[str]) -> None:
    """Count each constructor, and each that stands directly in another: `list<u8>`."""
    counts[constructor(of)] += 1
    for inner in inside(of):
        counts[f"{constructor(of)}<{constructor(inner)}>"] += 1
        count_types(inner, counts)


class TypeMaker:
    """Makes types from a source of chance."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def nested(self, at_least: int) -> WitType:
        """A type in which so many composites stand in each other."""
        while True:
            made = self._composite(at_least + self._random.randrange(2))
            if nodes(made) <= _MAX_NODES:
                return made

    def _composite(self, depth: int) -> WitType:
        """One whose first inner type is as deep as asked, and the others at most."""
        return _COMPOSITE_MAKERS[self._random.choice(COMPOSITES)](self, depth - 1)

    def some(self, depth: int) -> WitType:
        return self._composite(depth) if depth > 0 else self._leaf()

    def few(self, depth: int) -> list[WitType]:
        """One as deep as asked, and up to three that are flatter, in any order."""
        random = self._random
        flatter = [self.some(random.randint(-2, depth)) for _ in range(random.randrange(4))]
        found = [self.some(depth), *flatter]
        random.shuffle(found)
        return found

    def few_or_none(self, depth: int) -> list[WitType | None]:
        found: list[WitType | None] = [*self.few(depth), *[None] * self._random.randrange(3)]
        self._random.shuffle(found)
        return found

    def names(self, count: int) -> tuple[str, ...]:
        return tuple(self._random.sample(_NAMES, count))

    def two(self, depth: int) -> tuple[WitType | None, WitType | None]:
        other = None if self._random.randrange(2) else self.some(self._random.randint(-2, depth))
        return (self.some(depth), other) if self._random.randrange(2) else (other, self.some(depth))

    def _leaf(self) -> WitType:
        chosen = self._random.randrange(len(SCALARS) + 2)
        if chosen < len(SCALARS):
            return SCALARS[chosen]
        # The sizes on both sides of each width in memory; the engine allows flags up to 32.
        if chosen == len(SCALARS):
            return wit.Enum(_numbered(self._random.choice((1, 2, 10, 256, 257))))
        return wit.Flags(_numbered(self._random.choice((1, 8, 9, 16, 17, 32))))


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"n{i}" for i in range(count))


def _variant(maker: TypeMaker, depth: int) -> WitType:
    payloads = maker.few_or_none(depth)
    return wit.Variant(tuple(zip(maker.names(len(payloads)), payloads, strict=True)))


def _record(maker: TypeMaker, depth: int) -> WitType:
    fields = maker.few(depth)
    return wit.Record(tuple(zip(maker.names(len(fields)), fields, strict=True)))


_COMPOSITE_MAKERS: dict[str, Callable[[TypeMaker, int], WitType]] = {
    "list": lambda maker, depth: wit.List(maker.some(depth)),
    "record": _record,
    "tuple": lambda maker, depth: wit.Tuple(tuple(maker.few(depth))),
    "variant": _variant,
    "option": lambda maker, depth: wit.Option(maker.some(depth)),
    "result": lambda maker, depth: wit.Result(*maker.two(depth)),
}


class Sample(NamedTuple):
    """A value as a caller may send it, and as it must come back."""

    sent: Any
    received: Any


def _same(value: Any) -> Sample:
    return Sample(value, value)


class ValueMaker:
    """Makes values of any type, and counts what is special about them."""

    def __init__(self, random: Random, counts: Counter[str]) -> None:
        self.random = random
        self.counts = counts

    def make(self, of: WitType) -> Sample:
        made: Sample = _VALUE_MAKERS[type(of)](self, of)
        return made

    def special(self, of: WitType, what: str) -> None:
        self.counts[f"{constructor(of)}: {what}"] += 1

    def one_in(self, count: int) -> bool:
        return not self.random.randrange(count)


def _bool(maker: ValueMaker, of: wit.Bool) -> Sample:
    chosen = maker.one_in(2)
    maker.special(of, str(chosen))
    return _same(chosen)


def _int(maker: ValueMaker, of: wit.Int) -> Sample:
    edges = [of.minimum, of.minimum + 1, 0, of.maximum - 1, of.maximum]
    if of.width == 64:
        edges += [_MAX_SAFE, _MAX_SAFE + 1, _MAX_SAFE + 2]
        edges += [-_MAX_SAFE, -_MAX_SAFE - 1, -_MAX_SAFE - 2] if of.signed else []
    if maker.one_in(2):
        value = maker.random.choice(edges)
        maker.special(of, str(value))
    else:
        bits = maker.random.randint(1, of.width - of.signed)
        value = maker.random.getrandbits(bits) * (-1 if of.signed and maker.one_in(2) else 1)
    if abs(value) > _MAX_SAFE:
        return _same(str(value))
    if of.width == 64 and maker.one_in(4):
        maker.special(of, "small, in decimal text")
        return Sample(str(value), value)
    if maker.one_in(8):
        maker.special(of, "with a fraction of zero")
        return Sample(float(value), value)
    return _same(value)


_FLOAT_EDGES: dict[int, tuple[float | str, ...]] = {
    # The least and the greatest, normal and not; beyond 2^24 and 2^53 not each integer is there.
    32: (2**-149, 2**-126, 3.4028234663852886e38, 2.0**24, 2.0**-24, -(2.0**24)),
    64: (5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 2.0**53, 2.0**53 - 1, -(2.0**53)),
}
_NAMED = ("NaN", "Infinity", "-Infinity", 0.0, -0.0, 1.0, -1.0)


def _float(maker: ValueMaker, of: wit.Float) -> Sample:
    if maker.one_in(2):
        value = maker.random.choice((*_FLOAT_EDGES[of.width], *_NAMED))
        maker.special(of, str(value))
        if value == 1.0 and maker.one_in(2):
            return Sample(1, 1.0)
        return _same(value)
    form = {32: "<f", 64: "<d"}[of.width]
    while True:
        (value,) = struct.unpack(form, maker.random.randbytes(of.width // 8))
        if abs(value) < float("inf"):
            return _same(value)


def _character(maker: ValueMaker) -> str:
    """One of every plane, of the Basic one as often as of the others, and its edges."""
    if maker.one_in(3):
        return maker.random.choice('\x00\x1f"\\/\x7f\x80\u2028\ud7ff\ue000\ufffe\uffff\U0010ffff')
    plane = maker.random.choice((0, maker.random.randrange(17)))
    maker.counts[f"plane {plane}"] += 1
    point = plane << 16 | maker.random.getrandbits(16)
    return chr(point) if not 0xD800 <= point <= 0xDFFF else "\ufeff"


def _text(maker: ValueMaker, of: wit.String) -> Sample:
    size = maker.random.choice((0, 1, 2, 3, 12))
    maker.special(of, str(size))
    return _same("".join(_character(maker) for _ in range(size)))


def _list(maker: ValueMaker, of: wit.List) -> Sample:
    size = maker.random.choice((0, 1, 2, 4))
    maker.special(of, str(size))
    if of.element == wit.U8:
        data = maker.random.randbytes(maker.random.choice((size, 100)) if size else 0)
        return _same(base64.b64encode(data).decode())
    samples = [maker.make(of.element) for _ in range(size)]
    return Sample([one.sent for one in samples], [one.received for one in samples])


def _tuple_value(maker: ValueMaker, of: wit.Tuple) -> Sample:
    samples = [maker.make(item) for item in of.items]
    return Sample([one.sent for one in samples], [one.received for one in samples])


def _record_value(maker: ValueMaker, of: wit.Record) -> Sample:
    samples = {name: maker.make(field) for name, field in of.fields}
    received = {name: one.received for name, one in samples.items()}
    sent = [
        (name, one.sent) for name, one in samples.items() if not _left_out(maker, of, name, one)
    ]
    maker.random.shuffle(sent)
    return Sample(dict(sent), received)


def _left_out(maker: ValueMaker, of: wit.Record, name: str, sample: Sample) -> bool:
    if not isinstance(dict(of.fields)[name], wit.Option) or sample.received is not None:
        return False
    left_out = maker.one_in(2)
    maker.special(of, "option left out" if left_out else "option null")
    return left_out


def _variant_value(maker: ValueMaker, of: wit.Variant) -> Sample:
    tag, payload = maker.random.choice(of.cases)
    maker.special(of, "no payload" if payload is None else "payload")
    if payload is None:
        return _same({"tag": tag})
    sample = maker.make(payload)
    return Sample({"val": sample.sent, "tag": tag}, {"tag": tag, "val": sample.received})


def _option_value(maker: ValueMaker, of: wit.Option) -> Sample:
    wrapped = isinstance(of.payload, wit.Option)
    if maker.one_in(3):
        maker.special(of, "none of an option" if wrapped else "none")
        return _same(None)
    sample = maker.make(of.payload)
    if not wrapped:
        maker.special(of, "some")
        return sample
    maker.special(of, "some none" if sample.received is None else "some some")
    return Sample({"some": sample.sent}, {"some": sample.received})


def _result_value(maker: ValueMaker, of: wit.Result) -> Sample:
    key, payload = maker.random.choice((("ok", of.ok), ("err", of.err)))
    maker.special(of, f"{key} of nothing" if payload is None else key)
    sample = _same(None) if payload is None else maker.make(payload)
    return Sample({key: sample.sent}, {key: sample.received})


def _flags_value(maker: ValueMaker, of: wit.Flags) -> Sample:
    size = maker.random.choice((0, 1, len(of.names)))
    maker.special(of, "none" if not size else "all" if size == len(of.names) else "one")
    sent = maker.random.sample(of.names, size)
    return Sample(sent, [name for name in of.names if name in sent])


_VALUE_MAKERS: dict[type, Callable[[ValueMaker, Any], Sample]] = {
    wit.Bool: _bool,
    wit.Int: _int,
    wit.Float: _float,
    wit.Char: lambda maker, _: _same(_character(maker)),
    wit.String: _text,
    wit.List: _list,
    wit.Tuple: _tuple_value,
    wit.Record: _record_value,
    wit.Variant: _variant_value,
    wit.Enum: lambda maker, of: _same(maker.random.choice((*of.names[:1], *of.names[-2:]))),
    wit.Option: _option_value,
    wit.Result: _result_value,
    wit.Flags: _flags_value,
}
