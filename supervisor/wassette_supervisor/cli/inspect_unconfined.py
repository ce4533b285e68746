"""`inspect` where there is no Linux: from the store, or a file that nothing holds while it is read.

No call of it runs here, and no start function. But its bytes go through the engine's parser and
compiler with all rights of the user, so a file needs that user's word.
"""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from wassette_protocol.frames import ComponentId, Digest
from wassette_supervisor.cli.inspected import shown
from wassette_supervisor.cli.output import warn
from wassette_supervisor.components.drafts import named
from wassette_supervisor.components.names import component_id
from wassette_supervisor.errors import LoadError, StoreError, SupervisorError, one_line
from wassette_supervisor.pool import unconfined
from wassette_supervisor.store.record import (
    COMPONENT_ID,
    MAX_COMPONENT_BYTES,
    MAX_RECORD_BYTES,
    Record,
    decoded,
)
from wassette_supervisor.store.trouble import DamagedError

if TYPE_CHECKING:
    from wassette_supervisor.cli.arguments import Invocation


class UnconfinedError(SupervisorError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"{one_line(name)} was not looked at: this is {sys.platform}, and nothing here could "
            "hold the process that compiles it; add --sandbox available if you trust its bytes "
            "with all that you may do, or use WSL 2 or a virtual machine"
        )


def inspect(invocation: Invocation) -> None:
    """Describe a loaded component, or a file.

    Raises:
        UnconfinedError: It is a file, and nobody said that it may be compiled without a sandbox.
        LoadError: It can't be read, or is no component.
        StoreError: It is a component's id, and the record is damaged.
    """
    name = invocation.options.component
    record = _kept(invocation.settings.component_dir, name)
    if record is not None:
        shown(invocation, record, rows=())
        return
    content = _read(name)
    if invocation.settings.sandbox != "available":
        raise UnconfinedError(name)
    warn(
        f"{one_line(name)} is compiled without the lock-down of Linux: by a process with all that "
        "you may do"
    )
    how = ("compiled", "without the lock-down of Linux")
    shown(invocation, _described(Path(name), content), rows=[how], unconfined=True)


def _described(path: Path, content: bytes) -> Record:
    component = component_id(path.stem)
    compiled = unconfined.describe(content)
    record = Record(
        id=component,
        source=path.absolute().as_uri(),
        digest=Digest(hashlib.sha256(content).hexdigest()),
        loaded=time.time(),
        imports=compiled.imports,
        tools=[],
        left_out=compiled.left_out,
    )
    return named(record, compiled, {})


def _kept(store: Path, component: str) -> Record | None:
    """The record of a component that was loaded into this store; None if there is none."""
    if not COMPONENT_ID.fullmatch(component):
        return None
    path = store / "components" / f"{component}.json"
    try:
        with path.open("rb") as file:
            record = decoded(file.read(MAX_RECORD_BYTES + 1))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"the record {one_line(str(path))} can't be read: {error.strerror}") from (
            error
        )
    except DamagedError as error:
        raise StoreError(
            f"the record of {component!r} is damaged: {error}; repair the store on Linux"
        ) from error
    if record.id != ComponentId(component):
        raise StoreError(f"the record of {component!r} is that of another component")
    return record


def _read(name: str) -> bytes:
    shown_name = one_line(name)
    if "://" in name:
        raise LoadError(f"{shown_name}: give the path of a file; nothing else is read here")
    try:
        if not Path(name).is_file():
            raise LoadError(f"{shown_name} is no file, and no component of the store; give a path")
        with Path(name).open("rb") as file:
            content = file.read(MAX_COMPONENT_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no path"
        raise LoadError(f"the component {shown_name} could not be read: {why}") from error
    if len(content) > MAX_COMPONENT_BYTES:
        raise LoadError(
            f"{shown_name} is larger than {MAX_COMPONENT_BYTES} bytes (100 MiB), the most that a "
            "component may have"
        )
    return content
