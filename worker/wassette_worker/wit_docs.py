"""The documentation of exported functions, from a component's `package-docs` section.

The section is JSON after one byte of version (wit-parser, `metadata.rs`). Linking a component
drops it; those who want it in a tool's description add it again (`wit-docs-inject`). It is a
publisher's word about the component: bounded, cleaned, and never a reason to fail.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SECTION = 256 << 10
MAX_TEXT = 1024  # bytes of UTF-8 for one function

_PREAMBLE = b"\0asm\x0d\0\x01\0"  # a component, not a core module
_CUSTOM, _EXPORT = 0, 11
_NAME = b"package-docs"
_VERSIONS = (0, 1)  # 0: documentation as a string; 1: as {"docs": ...}
_INSTANCE = 0x05  # the sort of an exported instance

Docs = dict[tuple[str | None, str], str]


def read_docs(component: bytes) -> Docs:
    """The text for each function by its interface's export name (None: the world) and its own.

    The section knows an interface by its short name only. Where two exported interfaces share
    one, neither gets a text: a wrong one is worse than none.
    """
    docs: Docs = {}
    try:
        payload, instances = _scan(memoryview(component))
        document = msgspec.json.decode(payload) if payload else None
        for (interface, function), text in _functions(document):
            for name in _export_names(interface, instances):
                docs.setdefault((name, function), text)
    except (ValueError, IndexError, TypeError, RecursionError):  # also msgspec's: it is malformed
        return {}
    return docs


def clean(text: str) -> str:
    """Take out what a terminal or a model would obey or not see, and what is too much."""
    kept = "".join(c for c in text[:MAX_TEXT] if c == "\n" or _is_visible(c))
    return kept.encode()[:MAX_TEXT].decode(errors="ignore").strip()


def _is_visible(character: str) -> bool:
    # Cc: controls; Cf: bidirectional controls, zero widths, tags; Cs: half a character;
    # Zl, Zp: line and paragraph separators; and fillers and variation selectors, which hide text.
    return not (
        unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0000" <= character <= "\U000e0fff"
        or character in "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    )


def _functions(document: Any) -> Iterator[tuple[tuple[str | None, str], str]]:
    for world in _members(document, "worlds").values():
        for function, text in _texts(_members(world, "func_exports")):
            yield (None, function), text
        for interface, inner in _members(world, "interface_exports").items():
            for function, text in _texts(_members(inner, "funcs")):
                yield (interface, function), text
    for interface, inner in _members(document, "interfaces").items():
        for function, text in _texts(_members(inner, "funcs")):
            yield (interface, function), text


def _members(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _texts(functions: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in functions.items():
        docs = value.get("docs") if isinstance(value, dict) else value
        text = clean(docs) if isinstance(docs, str) else ""
        if text:
            yield name, text


def _export_names(interface: str | None, instances: list[str]) -> list[str | None]:
    if interface is None:
        return [None]
    if interface in instances:
        return [interface]
    matches = [name for name in instances if _short_name(name) == interface]
    return list(matches) if len(matches) == 1 else []


def _short_name(name: str) -> str:
    """`types` of `wasi:http/types@0.2.0`."""
    return name.rpartition("/")[2].partition("@")[0]


# --- the binary format (component-model, design/mvp/Binary.md) --------------------------------


def _scan(component: memoryview) -> tuple[bytes | None, list[str]]:
    """The first documentation section at the top level, and the names of exported instances."""
    if component[: len(_PREAMBLE)] != _PREAMBLE:
        return None, []
    payload: bytes | None = None
    instances: list[str] = []
    at = len(_PREAMBLE)
    while at < len(component):
        section = component[at]
        size, at = _number(component, at + 1)
        body = component[at : at + size]
        at += size
        if section == _CUSTOM and payload is None:
            payload = _documentation(body)
        elif section == _EXPORT:
            instances += _exported_instances(body)
    return payload, instances


def _documentation(body: memoryview) -> bytes | None:
    name, at = _text(body, 0)
    if name != _NAME or not at < len(body) <= MAX_SECTION or body[at] not in _VERSIONS:
        return None
    return bytes(body[at + 1 :])


def _exported_instances(body: memoryview) -> Iterator[str]:
    count, at = _number(body, 0)
    for _ in range(count):
        # 0x00 and 0x01 are the same today: a name, and a name with a version in it.
        name, at = _text(body, at + 1)
        sort = body[at]
        at += 1 if sort else 2  # a core sort is a second byte
        _, at = _number(body, at)
        at = _skip_type(body, at)
        if sort == _INSTANCE:
            yield name.decode()


def _skip_type(body: memoryview, at: int) -> int:
    """Pass over the type that an export may be given."""
    if body[at] == 0:
        return at + 1
    kind, at = body[at + 1], at + 2
    if kind in (0x00, 0x02, 0x03):  # a core module, a value, a type: one more byte
        bound, at = body[at], at + 1
        if kind == 0x03 and bound == 0x01:  # a resource has no index
            return at
    return _number(body, at)[1]


def _number(data: memoryview, at: int) -> tuple[int, int]:
    """An unsigned LEB128 of 32 bits and where it ends."""
    value = 0
    for shift in range(0, 35, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 32 bits")


def _text(data: memoryview, at: int) -> tuple[bytes, int]:
    size, at = _number(data, at)
    if at + size > len(data):
        raise ValueError("text beyond its section")
    return bytes(data[at : at + size]), at + size
