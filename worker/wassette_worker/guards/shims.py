"""Our shims: components that pass on native functions which guards have replaced.

They come compiled, together in one file, to each process that will hold a component.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from wasmtime import WasmtimeError
from wasmtime.component import Component, Linker

from wassette_protocol.http_errors import ERROR_CODES, OWN_HEADER, OWN_STATUS

if TYPE_CHECKING:
    from wasmtime import Engine

# Read when the zygote starts: a locked-down process may not be able to.
_TEXTS = {
    path.name: path.read_text(encoding="utf-8")
    for path in (Path(__file__).parent / "wat").glob("*.wat")
}

# A shim's file of all of them: no more than this is read.
_MAX_BYTES = 4 << 20


class GuardError(Exception):
    """A guard doesn't stand between a guest and the native function: nothing may run."""


class Shims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The compiled shim of each guard."""

    clock: bytes
    files: bytes
    http: bytes


def build(engine: Engine, wasi: str) -> bytes:
    """Compile the shims for the version of WASI that the engine defines."""
    compiled = [bytes(Component(engine, text(name, wasi)).serialize()) for name in _NAMES]
    return msgspec.msgpack.encode(Shims(*compiled))


_NAMES = ("clock.wat", "files.wat", "http.wat")


def read(number: int) -> Shims:
    """The shims from a file that is open under this number.

    Raises:
        msgspec.MsgspecError: It holds something else.
    """
    return msgspec.msgpack.decode(os.pread(number, _MAX_BYTES, 0), type=Shims)


def text(name: str, wasi: str) -> str:
    """A shim or a probe, of a version of WASI."""
    found = _TEXTS[name]
    for word, meant in {"V": wasi, **_WORDS}.items():
        found = found.replace(f"{{{word}}}", meant)
    return found


_WORDS = {
    # Sixteen characters, as two numbers.
    "OWN_HEADER_HEAD": str(int.from_bytes(OWN_HEADER[:8].encode(), "little")),
    "OWN_HEADER_TAIL": str(int.from_bytes(OWN_HEADER[8:].encode(), "little")),
    "OWN_STATUS": str(OWN_STATUS),
    "CODES": str(len(ERROR_CODES)),
}


def find_version(engine: Engine, interface: str, function: str) -> str:
    """The version at which the native linker defines an interface that has this function.

    What is defined already can't be defined again: at every other version a new, empty
    instance takes the function without complaint.

    Raises:
        GuardError: None, or more than one.
    """
    linker = Linker(engine)  # thrown away: a wrong guess leaves an instance behind
    linker.add_wasip2()
    linker.add_wasi_http()
    versions = [f"0.2.{patch}" for patch in range(100)]
    found = [each for each in versions if _is_defined(linker, f"{interface}@{each}", function)]
    if len(found) != 1:
        raise GuardError(f"the engine defines {interface} at {found or 'no version known to us'}")
    return found[0]


def _is_defined(linker: Linker, interface: str, function: str) -> bool:
    try:
        with linker.root() as root, root.add_instance(interface) as instance:
            instance.add_func(function, lambda *_: None)
    except WasmtimeError as error:
        if "defined twice" not in str(error):
            raise
        return True
    return False
