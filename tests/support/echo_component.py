"""Components made of text that give back what they are given, for any type; and such types.

The value always arrives in memory: eight options after it make more than the 16 flat
parameters that the canonical ABI passes in registers. So the guest returns a pointer, or the
one register that the type flattens to.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import strategies as st
from wasmtime import Store
from wasmtime.component import Component, Func, Linker

from wassette_worker import wit_types as wit
from wassette_worker.engine import build_engine
from wassette_worker.json_values import Call, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wasmtime.component import Instance

    from wassette_worker.wit_types import WitType

ENGINE = build_engine()
MAX_BYTES = 16 << 20
_PADS = 8

# A bump allocator that forgets everything after each call. Memory grows by half of what there is:
# a list of a million strings asks a million times.
_GUEST = """
  (core module $guest
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 16))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
        (then (drop (memory.grow (i32.add
          (i32.add (i32.const 1) (i32.shr_u (memory.size) (i32.const 1)))
          (i32.div_u (local.get 3) (i32.const 65536)))))))
      (local.get $at))
    {forgets}
    {echoes})
  (core instance $i (instantiate $guest))
"""
# What gives back a value that arrived at an address: the address, or the one register.
_RETURNS = {
    "at": ("i32", "(local.get 0)"),
    "i32.load8_u": ("i32", "(i32.load8_u (local.get 0))"),
    "i32.load16_u": ("i32", "(i32.load16_u (local.get 0))"),
    "i32.load": ("i32", "(i32.load (local.get 0))"),
    "i64.load": ("i64", "(i64.load (local.get 0))"),
    "f32.load": ("f32", "(f32.load (local.get 0))"),
    "f64.load": ("f64", "(f64.load (local.get 0))"),
}


def echoes_text(exports: Mapping[str, tuple[WitType, WitType]]) -> str:
    """The text of a component whose exports take a `value` of one type and give it as another.

    The two are laid out alike, and most often the same. The pads go unused.
    """
    text = _Text()
    lifted = [_lifted(name, text.name(of), text.name(to), to) for name, (of, to) in exports.items()]
    return f"(component {_guest()} {' '.join(text.definitions)} {' '.join(lifted)})"


def echo_text(of: WitType) -> str:
    """The text of a component that exports `echo` for a type."""
    return echoes_text({"echo": (of, of)})


def _guest() -> str:
    registers = ("i32", "i64", "f32", "f64")
    return _GUEST.format(
        forgets=" ".join(
            f'(func (export "forget-{core}") (param {core}) (global.set $next (i32.const 16)))'
            for core in registers
        ),
        echoes=" ".join(
            f'(func (export "{name}") (param i32) (result {core}) {body})'
            for name, (core, body) in _RETURNS.items()
        ),
    )


def _lifted(name: str, takes: str, gives: str, to: WitType) -> str:
    function = _load(to) if _flat_count(to) == 1 else "at"
    pads = " ".join(f'(param "pad{n}" (option u8))' for n in range(_PADS))
    return f"""
  (func (export "{name}") (param "value" {takes}) {pads} (result {gives})
    (canon lift (core func $i "{function}") (memory (core memory $i "memory"))
      (realloc (core func $i "realloc"))
      (post-return (core func $i "forget-{_RETURNS[function][0]}"))))"""


class _Text:
    """Names for the types that WIT can only use by a name."""

    def __init__(self) -> None:
        self.definitions: list[str] = []
        self._known: dict[WitType, str] = {}

    def name(self, of: WitType) -> str:
        inline = _inline(self, of)
        if inline is not None:
            return inline
        if of not in self._known:
            body = _definition(self, of)
            number = len(self._known)
            self._known[of] = f"$n{number}"
            self.definitions.append(
                f'(type $t{number} {body}) (export $n{number} "t{number}" (type $t{number}))'
            )
        return self._known[of]


def _inline(text: _Text, of: WitType) -> str | None:  # noqa: PLR0911, C901 - one line for each type
    match of:
        case wit.Bool():
            return "bool"
        case wit.Int():
            return f"{'s' if of.signed else 'u'}{of.width}"
        case wit.Float():
            return f"f{of.width}"
        case wit.Char():
            return "char"
        case wit.String():
            return "string"
        case wit.List():
            return f"(list {text.name(of.element)})"
        case wit.Tuple():
            return f"(tuple {' '.join(map(text.name, of.items))})"
        case wit.Option():
            return f"(option {text.name(of.payload)})"
        case wit.Result():
            ok = text.name(of.ok) if of.ok else ""
            err = f"(error {text.name(of.err)})" if of.err else ""
            return f"(result {ok} {err})"
        case _:
            return None


def _definition(text: _Text, of: WitType) -> str:
    match of:
        case wit.Record():
            fields = (f'(field "{name}" {text.name(field)})' for name, field in of.fields)
            return f"(record {' '.join(fields)})"
        case wit.Variant():
            cases = (f'(case "{tag}" {text.name(p) if p else ""})' for tag, p in of.cases)
            return f"(variant {' '.join(cases)})"
        case wit.Enum():
            return f"(enum {_quoted(of.names)})"
        case wit.Flags():
            return f"(flags {_quoted(of.names)})"
        case _:
            raise TypeError(of)


def _quoted(names: tuple[str, ...]) -> str:
    return " ".join(f'"{name}"' for name in names)


def _flat_count(of: WitType) -> int:
    match of:
        case wit.String() | wit.List():
            return 2
        case wit.Record() | wit.Tuple():
            return sum(map(_flat_count, _parts(of)))
        case wit.Variant() | wit.Option() | wit.Result():
            return 1 + max(map(_flat_count, _parts(of)), default=0)
        case _:
            return 1


def _parts(of: WitType) -> Iterator[WitType]:
    match of:
        case wit.Record():
            yield from (field for _, field in of.fields)
        case wit.Tuple():
            yield from of.items
        case wit.Variant():
            yield from (payload for _, payload in of.cases if payload)
        case wit.Option():
            yield of.payload
        case wit.Result():
            yield from (payload for payload in (of.ok, of.err) if payload)
        case _:
            return


def _load(of: WitType) -> str:
    """The instruction that fills the register of a type that flattens to one."""
    match of:
        case wit.Record() | wit.Tuple():
            return _load(next(_parts(of)))
        case wit.Float():
            return f"f{of.width}.load"
        case wit.Int(width=64):
            return "i64.load"
        case wit.Int():
            width = of.width
        case wit.Char():
            width = 32
        case wit.Flags():
            width = next(w for w in (8, 16, 32) if len(of.names) <= w)
        case wit.Enum() | wit.Variant():
            width = 8 if len(of.names if isinstance(of, wit.Enum) else of.cases) <= 256 else 16
        case _:
            width = 8
    return "i32.load" if width == 32 else f"i32.load{width}_u"


@dataclass
class Echo:
    """A running echo component."""

    signature: wit.Signature
    call: Call
    store: Store
    func: Func

    def outcome(self, value: object, max_bytes: int = MAX_BYTES) -> Outcome:
        arguments = self.call.arguments({"value": value})
        return self.call.invoke(self.store, self.func, arguments, max_bytes=max_bytes)

    def send(self, value: object) -> Any:
        return msgspec.json.decode(self.outcome(value).json)["result"]


def start(text: str) -> tuple[Component, Store, Func]:
    """Instantiate a component that imports nothing; its function `echo`."""
    component, store, instance = _instantiate(text)
    func = instance.get_func(store, "echo")
    assert func is not None
    return component, store, func


def _instantiate(text: str) -> tuple[Component, Store, Instance]:
    component = Component(ENGINE, text)
    store = Store(ENGINE)
    store.set_fuel(10**12)
    store.set_epoch_deadline(1)
    return component, store, Linker(ENGINE).instantiate(store, component)


def echo(of: WitType) -> Echo:
    return reinterpreting(of, of)


def reinterpreting(of: WitType, to: WitType) -> Echo:
    """A component that takes one type and gives its bytes as another of the same layout."""
    _, store, func = start(echoes_text({"echo": (of, to)}))
    return _running(store, func)


def echoes(types: Sequence[WitType]) -> list[Echo]:
    """One component, and one instance of it, that echoes each of the types."""
    names = [f"echo{n}" for n in range(len(types))]
    text = echoes_text({name: (of, of) for name, of in zip(names, types, strict=True)})
    _, store, instance = _instantiate(text)
    found = []
    for name in names:
        func = instance.get_func(store, name)
        assert func is not None
        found.append(_running(store, func))
    return found


def _running(store: Store, func: Func) -> Echo:
    signature = wit.signature(func.type(store))
    return Echo(signature, Call(signature), store, func)


# --- Hypothesis: types, and the JSON that a value of a type comes back as ------------------------

_NAMES = ("a", "b2", "with-dash", "type")
SCALARS: list[WitType] = [
    wit.Bool(),
    wit.Char(),
    wit.String(),
    wit.Float(32),
    wit.Float(64),
    *(wit.Int(width, signed=signed) for width in (8, 16, 32, 64) for signed in (False, True)),
]


def _composites(inner: st.SearchStrategy[WitType]) -> st.SearchStrategy[WitType]:
    maybe = st.none() | inner
    return st.one_of(
        st.builds(wit.List, inner),
        st.builds(wit.Tuple, st.lists(inner, min_size=1, max_size=4).map(tuple)),
        st.builds(wit.Record, _named(inner)),
        st.builds(wit.Variant, _named(maybe)),
        st.builds(wit.Option, inner),
        st.builds(wit.Result, maybe, maybe),
    )


def _named(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[tuple[str, Any], ...]]:
    members = st.lists(inner, min_size=1, max_size=len(_NAMES))
    return members.map(lambda found: tuple(zip(_NAMES, found, strict=False)))


# 9 flags take two bytes, 17 take four.
_LABELS = st.sampled_from([1, 8, 9, 17]).map(lambda n: tuple(f"n{i}" for i in range(n)))
TYPES: st.SearchStrategy[WitType] = st.recursive(
    st.sampled_from(SCALARS) | st.builds(wit.Enum, _LABELS) | st.builds(wit.Flags, _LABELS),
    _composites,
    max_leaves=8,
)


def json_of(of: WitType) -> st.SearchStrategy[Any]:  # noqa: PLR0911, PLR0912, C901 - one line for each type
    """The JSON values of a type, in the form that results have."""
    match of:
        case wit.Bool():
            return st.booleans()
        case wit.Int():
            return st.integers(of.minimum, of.maximum).map(_integer)
        case wit.Float():
            return st.floats(width=32 if of.width == 32 else 64).map(_number)
        case wit.Char():
            return st.characters(exclude_categories=["Cs"])
        case wit.String():
            return st.text(max_size=20)
        case wit.List() if of.element == wit.U8:
            return st.binary(max_size=20).map(lambda data: base64.b64encode(data).decode())
        case wit.List():
            return st.lists(json_of(of.element), max_size=4)
        case wit.Tuple():
            return st.tuples(*map(json_of, of.items)).map(list)
        case wit.Record():
            return st.fixed_dictionaries({name: json_of(field) for name, field in of.fields})
        case wit.Variant():
            return st.one_of([_case(tag, payload) for tag, payload in of.cases])
        case wit.Enum():
            return st.sampled_from(of.names)
        case wit.Flags():
            return st.sets(st.sampled_from(of.names)).map(
                lambda chosen: [name for name in of.names if name in chosen]
            )
        case wit.Option():
            return st.none() | _some(of)
        case wit.Result():
            return _keyed("ok", of.ok) | _keyed("err", of.err)


def _integer(value: int) -> int | str:
    return value if abs(value) < 1 << 53 else str(value)


def _number(value: float) -> float | str:
    if value != value:  # noqa: PLR0124 - NaN
        return "NaN"
    return {float("inf"): "Infinity", float("-inf"): "-Infinity"}.get(value, value)


def _case(tag: str, payload: WitType | None) -> st.SearchStrategy[Any]:
    if payload is None:
        return st.just({"tag": tag})
    return st.fixed_dictionaries({"tag": st.just(tag), "val": json_of(payload)})


def _some(of: wit.Option) -> st.SearchStrategy[Any]:
    some = json_of(of.payload)
    if isinstance(of.payload, wit.Option):
        return st.fixed_dictionaries({"some": some})
    return some


def _keyed(key: str, payload: WitType | None) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({key: st.none() if payload is None else json_of(payload)})
