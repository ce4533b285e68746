"""The one release of wasmtime that this is written for: of its package, and of the library in it.

How values lie in memory, what a shadowed function does and what an error is called are facts of a
release; another one is refused before anything runs.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from wasmtime.component import Component

if TYPE_CHECKING:
    from wasmtime import Engine

RELEASE = "50.0.1"

# Read when the zygote starts: a locked-down process may not be able to.
_installed = version("wasmtime")

# Where an artefact says which library wrote it: behind its ELF header.
_WRITTEN_BY = 64


def check(engine: Engine) -> None:
    """See that wasmtime-py and the library below it are of this release.

    Raises:
        RuntimeError: One is of another.
    """
    if _installed != RELEASE:
        raise RuntimeError(f"wasmtime {_installed} is installed, and {RELEASE} is needed")
    major = RELEASE.split(".", maxsplit=1)[0].encode()
    artefact = bytes(Component(engine, "(component)").serialize())
    if not artefact.startswith(bytes((0, len(major))) + major, _WRITTEN_BY):
        raise RuntimeError(
            f"the library in the package wasmtime is not of version {major.decode()}"
        )
