"""Every way to make a right JSON value wrong in one place, and what must be said of it.

Written from the table of forms in the documentation, not from the converter.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from wassette_worker import wit_types as wit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wassette_worker.wit_types import WitType

Path: TypeAlias = tuple[str | int, ...]

# One of each kind of JSON value, and none that an enum, flags or base64 would take.
_KINDS: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "integer": 7,
    "fraction": 0.5,
    "text": "no such text!",
    "array": [None],
    "object": {"no such member": 1},
}
_MISSING = object()
_GOT_CUT = 77  # of a longer value only this much is told


class Wrong(NamedTuple):
    """A value that does not fit, for a place of a type."""

    kind: str
    value: Any
    below: Path = ()  # where inside of it the mistake is
    expected: str = ""  # how what is expected there begins, if it is not what the type says
    got: Any = _MISSING  # what came there, if it is not the value
    # Whether the published schema refuses it too: no schema says base64, or a number's range
    # in text, and lone surrogates and NaN are in no JSON text.
    schema_too: bool = True


class Mistake(NamedTuple):
    """A value that is wrong in one place, and the three things that a refusal must tell."""

    kind: str  # the type's, and the mistake's
    value: Any
    pointer: str
    expected: str  # its beginning
    got: str  # its beginning
    schema_too: bool


def mistakes(of: WitType, value: Any, at: Path) -> Iterator[Mistake]:
    """Make each mistake in each place of a right value, which is in the form of results."""
    for path, inner, found in _places(of, value, ()):
        for wrong in wrongs(inner, found):
            yield Mistake(
                f"{type(inner).__name__.lower()}: {wrong.kind}",
                _replaced(value, path, wrong.value),
                "".join(f"/{token}" for token in (*at, *path, *wrong.below)),
                wrong.expected or expected(inner),
                wrong.got if isinstance(wrong.got, _Said) else _said(wrong),
                wrong.schema_too,
            )


class _Said(str):
    """What is said to have come, where that is no JSON value."""

    __slots__ = ()


def _said(wrong: Wrong) -> str:
    return json.dumps(wrong.value if wrong.got is _MISSING else wrong.got)[:_GOT_CUT]


def _replaced(value: Any, path: Path, wrong: Any) -> Any:
    if not path:
        return wrong
    copied = value.copy()
    copied[path[0]] = _replaced(value[path[0]], path[1:], wrong)
    return copied


def _places(of: WitType, value: Any, path: Path) -> Iterator[tuple[Path, WitType, Any]]:
    yield path, of, value
    for token, inner in _inside(of, value):
        found = _places(inner, value if token is None else value[token], ())
        if token is None:
            next(found)  # the option's own place
        prefix = path if token is None else (*path, token)
        yield from (((*prefix, *below), *rest) for below, *rest in found)


def _inside(of: WitType, value: Any) -> Iterator[tuple[str | int | None, WitType]]:
    match of:
        case wit.List() if isinstance(value, list):
            yield from ((index, of.element) for index in range(len(value)))
        case wit.Tuple():
            yield from enumerate(of.items)
        case wit.Record():
            yield from of.fields
        case wit.Variant() if (payload := dict(of.cases)[value["tag"]]) is not None:
            yield "val", payload
        case wit.Option() if value is not None:
            yield "some" if isinstance(of.payload, wit.Option) else None, of.payload
        case wit.Result():
            ((key, _),) = value.items()
            if (payload := {"ok": of.ok, "err": of.err}[key]) is not None:
                yield key, payload
        case _:
            return


def expected(of: WitType) -> str:
    """What a refusal says of a place of this type: how it begins."""
    words: str = _EXPECTED[type(of)](of)
    return words


_EXPECTED: dict[type, Callable[[Any], str]] = {
    wit.Bool: lambda _: "true or false",
    wit.Int: lambda of: f"an integer from {of.minimum} to {of.maximum}",
    wit.Float: lambda of: f'a number of {of.width} bits, "NaN", "Infinity" or "-Infinity"',
    wit.Char: lambda _: "a string of one character",
    wit.String: lambda _: "a string",
    wit.List: lambda of: "base64 text or an array" if of.element == wit.U8 else "an array",
    wit.Record: lambda _: "an object",
    wit.Tuple: lambda of: f"an array of {len(of.items)} values",
    wit.Variant: lambda of: f'an object whose "tag" is one of {of.cases[0][0]}',
    wit.Enum: lambda of: f"one of {of.names[0]}",
    wit.Flags: lambda _: "an array of names",
    wit.Option: lambda of: (
        'null or {"some": value}'
        if isinstance(of.payload, wit.Option)
        else f"null or {expected(of.payload)}"
    ),
    wit.Result: lambda _: '{"ok": value} or {"err": value}',
}

# Which kinds of JSON value a type takes, if they are right otherwise. A few are wrong in their
# own way, and are among the type's own mistakes.
_TAKES: dict[type, set[str]] = {
    wit.Bool: {"boolean"},
    wit.Int: {"integer"},
    wit.Float: {"integer", "fraction"},
    wit.Char: set(),
    wit.String: {"text"},
    wit.List: {"array"},
    wit.Record: {"object"},
    wit.Tuple: {"array"},
    wit.Variant: set(),
    wit.Enum: set(),
    wit.Flags: {"array"},
    wit.Result: set(),
}


def wrongs(of: WitType, value: Any) -> Iterator[Wrong]:
    """Each mistake that can be made in place of a value of a type; None: of an option's none."""
    if isinstance(of, wit.Option):
        yield from _wrong_options(of, value)
        return
    for kind, other in _KINDS.items():
        text_of_bytes = kind == "text" and of == wit.List(wit.U8)
        if kind not in _TAKES[type(of)] and not text_of_bytes:
            yield Wrong(kind, other)
    if type(of) in _OWN_MISTAKES:
        yield from _OWN_MISTAKES[type(of)](of, value)


def _wrong_options(of: wit.Option, value: Any) -> Iterator[Wrong]:
    if isinstance(of.payload, wit.Option):
        yield from (Wrong(kind, other) for kind, other in _KINDS.items() if kind != "null")
        yield Wrong("some and more", {"some": None, "more": None})
        yield Wrong("nothing inside", {})
        return
    for wrong in wrongs(of.payload, value):
        if wrong.kind == "null":
            continue
        here = wrong.expected or expected(of.payload)
        yield wrong._replace(expected=wrong.expected if wrong.below else f"null or {here}")


def _integers(of: wit.Int, _value: Any) -> Iterator[Wrong]:
    wide = of.width == 64
    # A schema says no range in text; as a number, a 64-bit integer is bounded well below.
    yield Wrong("below the least", of.minimum - 1)
    yield Wrong("above the greatest", of.maximum + 1)
    yield Wrong("1e300", 1e300)
    yield Wrong("Infinity", float("inf"), schema_too=False)
    yield Wrong("NaN", float("nan"), schema_too=False)
    for text in ("01", "-0", "-01", "+1", " 1", "1.0", "1e3", "\u0663", ""):
        yield Wrong("text of another form", text)
    # ECMA's `$`, which a schema's pattern means, does not stand before a newline; Python's does.
    yield Wrong("text of another form", "1\n", schema_too=False)
    if wide:
        yield Wrong("text below the least", str(of.minimum - 1), schema_too=not of.signed)
        yield Wrong("text above the greatest", str(of.maximum + 1), schema_too=False)
        yield Wrong("text of a longer number", "1" * 21)
    else:
        yield Wrong("text of a number", "1")


def _floats(of: wit.Float, _value: Any) -> Iterator[Wrong]:
    for text in ("nan", "inf", "+Infinity", "1.0", ""):
        yield Wrong("text of another form", text)
    yield Wrong("Infinity", float("inf"), schema_too=False)
    yield Wrong("NaN", float("nan"), schema_too=False)
    yield Wrong(
        "an integer beyond it", 10**400, got=_Said("an integer of 1329"), schema_too=of.width == 32
    )
    if of.width == 32:
        yield Wrong("a number beyond it", -3.5e38)


def _characters(_of: wit.Char, _value: Any) -> Iterator[Wrong]:
    yield Wrong("no character", "")
    yield Wrong("two characters", "e\u0301")
    yield Wrong("a lone surrogate", "\udfff", schema_too=False)


def _strings(_of: wit.String, _value: Any) -> Iterator[Wrong]:
    yield Wrong("a lone surrogate", "a\ud800", (), "text without lone", schema_too=False)


def _lists(of: wit.List, _value: Any) -> Iterator[Wrong]:
    if of.element != wit.U8:
        return
    for text in ("AP8", "_-8=", "AP8=\n", "A"):
        yield Wrong("bad base64", text, (), "base64 text, standard", schema_too=False)
    yield Wrong("bad base64", "no such text!", (), "base64 text, standard", schema_too=False)
    yield Wrong("stray bits", "AP9=", (), "base64 text without stray", schema_too=False)
    yield Wrong("no byte", [0, 256], (1,), "an integer from 0 to 255", 256)
    yield Wrong("no number", ["a"], (0,), "an integer from 0 to 255", "a")


def _tuples(_of: wit.Tuple, value: Any) -> Iterator[Wrong]:
    if value is not None:
        yield Wrong("one too few", value[:-1])
        yield Wrong("one too many", [*value, None])


def _records(of: wit.Record, value: Any) -> Iterator[Wrong]:
    if value is None:
        return
    yield Wrong("a member too many", {**value, "no~/such": 1}, got=_Said('one with "no~/such"'))
    for name, field in of.fields:
        if not isinstance(field, wit.Option):
            rest = {key: inner for key, inner in value.items() if key != name}
            yield Wrong("no member", rest, (name,), expected(field), _Said("nothing"))


def _variants(of: wit.Variant, value: Any) -> Iterator[Wrong]:
    yield Wrong("no tag", {"val": 1})
    yield Wrong("a tag of another type", {"tag": [of.cases[0][0]]})
    yield Wrong("an unknown tag", {"tag": "no-such-tag"})
    yield Wrong("a tag in capitals", {"tag": of.cases[0][0].swapcase()})
    for tag, payload in of.cases:
        if payload is None:
            yield Wrong("payload for none", {"tag": tag, "val": None}, (), '"tag" alone')
        else:
            yield Wrong("payload left out", {"tag": tag}, (), '"tag" and "val"')
    if value is not None:
        yield Wrong("a member too many", {**value, "more": 1}, (), '"tag" a')


def _enums(of: wit.Enum, _value: Any) -> Iterator[Wrong]:
    yield Wrong("an unknown name", "n")
    yield Wrong("its name in capitals", of.names[0].upper())


def _flags(of: wit.Flags, _value: Any) -> Iterator[Wrong]:
    name = of.names[-1]
    allowed = f"one of {of.names[0]}"
    yield Wrong("the same twice", [name, name], (1,), allowed, name)
    yield Wrong("an unknown name", [name, "n"], (1,), allowed, "n")
    yield Wrong("no name", [0], (0,), allowed, 0)
    yield Wrong("a name alone", name)


def _results(of: wit.Result, value: Any) -> Iterator[Wrong]:
    yield Wrong("neither", {})
    for key, payload in (("ok", of.ok), ("err", of.err)):
        if payload is None:
            yield Wrong("payload for none", {key: 0}, (key,), "null", 0)
    if value is not None:
        ((key, inner),) = value.items()
        yield Wrong("both", {key: inner, "err" if key == "ok" else "ok": None})


_OWN_MISTAKES: dict[type, Callable[[Any, Any], Iterator[Wrong]]] = {
    wit.Int: _integers,
    wit.Float: _floats,
    wit.Char: _characters,
    wit.String: _strings,
    wit.List: _lists,
    wit.Tuple: _tuples,
    wit.Record: _records,
    wit.Variant: _variants,
    wit.Enum: _enums,
    wit.Flags: _flags,
    wit.Result: _results,
}
