"""Pools for tests, and components that are compiled once a run."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import msgspec

from support.guests import guest_bytes
from wassette_protocol.capabilities import Limits, Reach
from wassette_protocol.file_rules import Clause, FileRules, Layer
from wassette_protocol.frames import ComponentId, Digest, Export
from wassette_protocol.patterns import Pattern
from wassette_supervisor import settings
from wassette_supervisor.pool.grants import Directory, Grants, Place
from wassette_supervisor.pool.pool import open_pool

if TYPE_CHECKING:
    from wassette_protocol.frames import Compiled
    from wassette_supervisor.pool.opened import FileRecords
    from wassette_supervisor.pool.outcome import CallOutcome
    from wassette_supervisor.pool.pool import Pool
    from wassette_supervisor.settings import Settings

NOTHING = Grants(Limits())


def settings_for(isolation: str = "fork", **changes: object) -> Settings:
    """Settings of a pool with room for two calls."""
    base = settings.load({"isolation": isolation, "max_workers": 2}, {"HOME": "/nonexistent"})
    return msgspec.structs.replace(base, **changes)


def limited(**limits: int) -> Grants:
    """Nothing but limits, these in place of their defaults."""
    return Grants(Limits(**limits))


def directory(path: Path, guest: str, *, writable: bool = False) -> Directory:
    """The directory as it stands there now."""
    found = path.stat()
    return Directory(guest, str(path.resolve()), found.st_dev, found.st_ino, writable)


def judged(granted: Directory, *deny: Pattern) -> Directory:
    """The same directory, each path in it judged; all of it is granted but what is denied."""
    everything = Clause(Pattern((), below=True), read=True, write=granted.writable)
    denied = tuple(Clause(pattern, read=True, write=True) for pattern in deny)
    reach = Reach(read=True, write=granted.writable)
    place = Place(granted.path, granted.device, granted.inode, reach)
    return replace(granted, rules=FileRules((Layer((everything,), denied),)), places=(place,))


def granting(*directories: Directory, **environment: str) -> Grants:
    """The directories of whom they belong to, and the variables."""
    uid = Path(directories[0].path).stat().st_uid if directories and os.geteuid() == 0 else None
    return Grants(Limits(), tuple(environment.items()), directories, uid)


@dataclass(frozen=True)
class Component:
    """A compiled guest; a source of the pool."""

    id: ComponentId
    digest: Digest
    memory: int
    compiled: Compiled

    async def artefact(self, engine: str) -> int:  # noqa: ARG002 - as the pool asks
        return os.dup(self.memory)

    async def call(
        self,
        pool: Pool,
        export: str,
        arguments: str = "{}",
        grants: Grants = NOTHING,
        records: FileRecords | None = None,
    ) -> CallOutcome:
        interface, _, function = export.rpartition("#")
        called = Export(interface or None, function)
        with anyio.fail_after(30):
            return await pool.call(
                self,
                called,
                arguments.encode(),
                grants=grants,
                component=self.id,
                records=records,
            )


_compiled: dict[str, Component] = {}


async def component(name: str) -> Component:
    """Compile a guest, once a run, in a pool of its own."""
    if name not in _compiled:
        async with open_pool(settings_for()) as pool:
            _compiled[name] = await compile_with(pool, guest_bytes(name))
    return _compiled[name]


async def compile_with(pool: Pool, content: bytes) -> Component:
    """Compile bytes in this pool."""
    memory = os.memfd_create("component", os.MFD_CLOEXEC)
    try:
        os.write(memory, content)
        compiled, artefact = await pool.compiler.compile(memory, len(content), _silent)
    finally:
        os.close(memory)
    digest = os.urandom(32).hex()
    return Component(ComponentId(f"c{digest[:8]}"), Digest(digest), artefact, compiled)


async def _silent(_: str) -> None:
    pass
