"""Where the pool gets a compiled component: kept, or compiled anew for this engine."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wassette_supervisor.errors import NoRoomError, StoreError
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from wassette_protocol.frames import Digest
    from wassette_supervisor.pool.pool import Pool
    from wassette_supervisor.store.store import Store


@dataclass(frozen=True)
class Kept:
    """One component of a store, for a pool."""

    digest: Digest
    store: Store
    pool: Pool

    async def artefact(self, engine: str) -> int:
        """A sealed memfd with the compiled code, which is the caller's.

        Raises:
            StoreError: There is none, and nothing to make it of.
        """
        kept = await run_sync(self.store.load_artefact, self.digest, engine)
        if kept is not None:
            return kept
        blob = await run_sync(self.store.open_blob, self.digest)
        try:
            size = os.fstat(blob).st_size
            compiled, artefact = await self.pool.compiler.compile(blob, size, _silent)
        finally:
            os.close(blob)
        # Without it the component runs all the same, and is compiled again at the next start.
        with suppress(StoreError, NoRoomError):
            await run_sync(self._add, engine, artefact, compiled.artefact)
        return artefact

    def _add(self, engine: str, artefact: int, size: int) -> None:
        with self.store.writing("keep what was compiled"):
            self.store.add_artefact(self.digest, engine, artefact, size)


async def _silent(_: str) -> None:
    pass
