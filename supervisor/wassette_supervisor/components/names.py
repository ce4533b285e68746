"""What components and their tools are called; pure.

WIT allows names that MCP clients don't, and two components may export the same function. A tool
keeps the name that it was first given: clients and their models have learned it.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from wassette_protocol.frames import ComponentId, Export
from wassette_supervisor.errors import LoadError, UsageError, one_line
from wassette_supervisor.store.record import COMPONENT_ID

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

MAX_TOOL_NAME = 64  # what the strictest of the known MCP clients takes
RESERVED: Final = frozenset(
    {
        "load-component",
        "unload-component",
        "list-components",
        "search-components",
        "call-tool",
        "get-policy",
        "reset-permission",
        "grant-storage-permission",
        "grant-network-permission",
        "grant-environment-variable-permission",
        "revoke-storage-permission",
        "revoke-network-permission",
        "revoke-environment-variable-permission",
    }
)

_TOOL_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_TOOL_NAME}}}")
_RULE = "1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or digit"
_HASH_DIGITS = 8


def component_id(stem: str) -> ComponentId:
    """The id of a component whose file is called `stem`.

    Raises:
        LoadError: No id can be made of it.
    """
    made = re.sub(r"[^a-z0-9._-]", "-", stem.lower())
    if not COMPONENT_ID.fullmatch(made):
        raise LoadError(
            f"the file name {one_line(stem)!r} makes no component id ({_RULE}); "
            "give the component one with --name"
        )
    return ComponentId(made)


def check_name(name: str) -> ComponentId:
    """The id that `--name` asks for, as it is.

    Raises:
        UsageError: It is none.
    """
    if not COMPONENT_ID.fullmatch(name):
        raise UsageError(f"--name {one_line(name)!r} is no component id; it takes {_RULE}")
    return ComponentId(name)


def is_reserved(name: str) -> bool:
    """Whether a model could take this name for that of a built-in tool."""
    return name.lower().replace("_", "-") in RESERVED


def name_tools(
    component: ComponentId,
    exports: Sequence[Export],
    taken: Container[str],
    previous: Mapping[Export, str],
) -> list[str]:
    """Name the exports of a component, in their order.

    Args:
        component: Whose exports they are.
        exports: Those that become tools.
        taken: The tool names of all other components.
        previous: What this component's exports were called when it was loaded before.
    """
    used: set[str] = set()

    def free(name: str) -> bool:
        fits = _TOOL_NAME.fullmatch(name) and not is_reserved(name)
        return bool(fits) and name not in used and name not in taken

    names: dict[int, str] = {}
    for index, export in enumerate(exports):
        kept = previous.get(export, "")
        if free(kept):
            names[index] = kept
            used.add(kept)
    for index, own in enumerate(_own_names(exports)):
        if index not in names:
            names[index] = next(filter(free, _candidates(component, exports[index], own)))
            used.add(names[index])
    return [names[index] for index in range(len(exports))]


def _own_names(exports: Sequence[Export]) -> list[str]:
    """The names as they would be were this the only component; of any length."""
    functions = Counter(_folded(export.function) for export in exports)
    qualified = Counter(_qualified(export) for export in exports)
    return [_own_name(export, functions, qualified) for export in exports]


def _own_name(export: Export, functions: Counter[str], qualified: Counter[str]) -> str:
    function = _folded(export.function)
    if export.interface is None or functions[function] == 1:
        return function
    short = _qualified(export)
    return short if qualified[short] == 1 else f"{_folded(export.interface)}_{function}"


def _qualified(export: Export) -> str:
    """`greet` of `example:hello/greetings@1.0.0` is `greetings_greet`."""
    interface = (export.interface or "").partition("@")[0].rpartition("/")[2]
    return f"{_folded(interface)}_{_folded(export.function)}"


def _candidates(component: ComponentId, export: Export, own: str) -> Iterator[str]:
    prefixed = f"{_folded(component)}_{own}"
    identity = f"{component}\0{export.interface}\0{export.function}"
    for name in (own, prefixed):
        yield name if len(name) <= MAX_TOOL_NAME else _with_hash(name, identity)
    # Only names made to collide come here; each round is another hash.
    for attempt in itertools.count():
        yield _with_hash(prefixed, f"{identity}\0{attempt}")


def _with_hash(name: str, identity: str) -> str:
    digest = hashlib.sha256(identity.encode(errors="surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{name[: MAX_TOOL_NAME - 1 - _HASH_DIGITS]}_{digest}"


def _folded(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name) or "_"
