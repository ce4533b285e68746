"""The types of a component's functions as our own immutable tree; no values, no JSON.

The engine unfolds a type each time it is asked, and a few hundred bytes of a component can
name a million nodes: a walk is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from wasmtime import component as cm

from wassette_protocol.frames import Export

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wasmtime import Engine

# The schema of a function may take 64 KiB: some 1,000 nodes. The engine itself stops at 100 deep.
MAX_NODES = 10_000
MAX_DEPTH = 64


class Inexpressible(Exception):  # noqa: N818 - says what the function is
    """A function that can't be a tool; its text is the reason, for a person."""


@dataclass(frozen=True, slots=True)
class Bool:
    pass


@dataclass(frozen=True, slots=True)
class Int:
    width: int
    signed: bool

    @property
    def minimum(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        return (1 << (self.width - self.signed)) - 1


@dataclass(frozen=True, slots=True)
class Float:
    width: int


@dataclass(frozen=True, slots=True)
class Char:
    pass


@dataclass(frozen=True, slots=True)
class String:
    pass


@dataclass(frozen=True, slots=True)
class List:
    element: WitType


@dataclass(frozen=True, slots=True)
class Record:
    fields: tuple[tuple[str, WitType], ...]


@dataclass(frozen=True, slots=True)
class Tuple:
    items: tuple[WitType, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    cases: tuple[tuple[str, WitType | None], ...]


@dataclass(frozen=True, slots=True)
class Enum:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Option:
    payload: WitType


@dataclass(frozen=True, slots=True)
class Result:
    ok: WitType | None
    err: WitType | None


@dataclass(frozen=True, slots=True)
class Flags:
    names: tuple[str, ...]


WitType: TypeAlias = (
    Bool
    | Int
    | Float
    | Char
    | String
    | List
    | Record
    | Tuple
    | Variant
    | Enum
    | Option
    | Result
    | Flags
)

U8 = Int(8, signed=False)


@dataclass(frozen=True, slots=True)
class Signature:
    params: tuple[tuple[str, WitType], ...]
    result: WitType | None


def signature(func_type: cm.FuncType) -> Signature:
    """Read the type of one function.

    Raises:
        Inexpressible: A type has no JSON form, or there is more of it than the bounds allow.
    """
    walk = _Walk()
    try:
        params = tuple((name, walk.read(of)) for name, of in func_type.params)
        result = func_type.result
        return Signature(params, None if result is None else walk.read(result))
    except TypeError as error:  # wasmtime-py knows no class for the type: a map, say
        raise Inexpressible("a type that is not known here") from error


def exports(component: cm.Component, engine: Engine) -> Iterator[tuple[Export, Signature | str]]:
    """Yield each exported function with its signature, or with the reason why it has none.

    What toolchains export for themselves is left out. So is an instance inside an exported
    instance: WIT can't write one.
    """
    for name, extern in component.type.exports(engine).items():
        item = _item(extern)
        if (
            isinstance(item, cm.ComponentInstanceType) and name != "exports"
        ):  # componentize-py's own
            for function, inner in item.exports(engine).items():
                inner_item = _item(inner)
                if isinstance(inner_item, cm.FuncType):
                    yield Export(name, function), _signature_or_reason(inner_item)
        elif isinstance(item, cm.FuncType) and not name.startswith("cabi_"):
            found = _signature_or_reason(item)
            if name == "init" and _is_of_a_toolchain(found):
                continue
            yield Export(None, name), found


def _is_of_a_toolchain(init: Signature | str) -> bool:
    """Whether an export of this name is componentize-qjs's own: it has the guest run any script."""
    parameters = () if isinstance(init, str) else tuple(name for name, _ in init.params)
    return init == Signature((), None) or parameters == _SCRIPT


# Of componentize-qjs 0.4.
_SCRIPT = ("shim", "script", "entry-path", "disable-gc")


def imports(component: cm.Component, engine: Engine) -> list[str]:
    """The names of all imports, as the component spells them."""
    return list(component.type.imports(engine))


def _item(extern: Any) -> object:
    try:
        return extern.ty
    except TypeError:  # an exported type that wasmtime-py has no class for; no function
        return None


def _signature_or_reason(func_type: cm.FuncType) -> Signature | str:
    try:
        return signature(func_type)
    except Inexpressible as error:
        return str(error)


class _Walk:
    """One function's walk: what is left of its bounds."""

    def __init__(self) -> None:
        self._nodes = 0
        self._depth = 0

    def read(self, of: cm.ValType) -> WitType:
        self._count(1)
        scalar = _SCALARS.get(type(of))
        if scalar is not None:
            return scalar
        reader = _READERS.get(type(of))
        if reader is None:
            raise Inexpressible(_REASONS.get(type(of), "a type that is not known here"))
        if self._depth >= MAX_DEPTH:
            raise Inexpressible(f"its types nest deeper than {MAX_DEPTH}")
        self._depth += 1
        found = reader(self, of)
        self._depth -= 1
        return found

    def names(self, names: list[str]) -> tuple[str, ...]:
        self._count(len(names))
        return tuple(names)

    def maybe(self, of: cm.ValType | None) -> WitType | None:
        return None if of is None else self.read(of)

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise Inexpressible(f"its types have more than {MAX_NODES} nodes")


_SCALARS: dict[type, WitType] = {
    cm.Bool: Bool(),
    cm.S8: Int(8, signed=True),
    cm.S16: Int(16, signed=True),
    cm.S32: Int(32, signed=True),
    cm.S64: Int(64, signed=True),
    cm.U8: U8,
    cm.U16: Int(16, signed=False),
    cm.U32: Int(32, signed=False),
    cm.U64: Int(64, signed=False),
    cm.F32: Float(32),
    cm.F64: Float(64),
    cm.Char: Char(),
    cm.String: String(),
}

_READERS: dict[type, Callable[[_Walk, Any], WitType]] = {
    cm.ListType: lambda walk, of: List(walk.read(of.element)),
    cm.RecordType: lambda walk, of: Record(tuple((n, walk.read(t)) for n, t in of.fields)),
    cm.TupleType: lambda walk, of: Tuple(tuple(walk.read(item) for item in of.elements)),
    cm.VariantType: lambda walk, of: Variant(tuple((n, walk.maybe(t)) for n, t in of.cases)),
    cm.EnumType: lambda walk, of: Enum(walk.names(of.names)),
    cm.FlagsType: lambda walk, of: Flags(walk.names(of.names)),
    cm.OptionType: lambda walk, of: Option(walk.read(of.payload)),
    cm.ResultType: lambda walk, of: Result(walk.maybe(of.ok), walk.maybe(of.err)),
}

_REASONS: dict[type, str] = {
    cm.OwnType: "a resource has no JSON form",
    cm.BorrowType: "a resource has no JSON form",
    cm.FutureType: "a future has no JSON form",
    cm.StreamType: "a stream has no JSON form",
    cm.ErrorContext: "an error-context has no JSON form",
}
