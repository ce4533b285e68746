"""wasi:logging: what a guest logs goes to its output, a line for each, beside what it prints.

The engine brings no host of its own for it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wasmtime.component import Linker

# Matched by their exact names, as drafts are; all of them are alike.
INTERFACES = ("wasi:logging/logging", "wasi:logging/logging@0.1.0-draft")

_OUTPUT = 1  # the guest's, and its limit is that of all it writes


def define(linker: Linker, imported: Iterable[str]) -> None:
    """Provide those of the interfaces that the component imports."""
    for interface in INTERFACES:
        if interface in imported:
            with linker.root() as root, root.add_instance(interface) as instance:
                instance.add_func("log", _log)


def _log(_: Any, level: str, context: str, message: str) -> None:
    prefix = f"{level} {context}" if context else level
    line = f"{prefix}: {message}\n".encode(errors="replace")
    while line:
        line = line[os.write(_OUTPUT, line) :]
