"""The composition root: builds the store, the pool and the registry, and ends them in reverse."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from wassette_supervisor.components.registry import Registry
from wassette_supervisor.pool.pool import ZYGOTE, open_pool
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wassette_supervisor.settings import Settings


@asynccontextmanager
async def open_backend(
    settings: Settings, *, warm: bool = False, zygote: str = ZYGOTE
) -> AsyncIterator[Registry]:
    """Everything that the front and the command line ask for, until the block ends.

    Starts no process before the first thing that needs one, unless `warm`.
    """
    async with open_pool(settings, zygote) as pool:
        registry = Registry(Store(settings.component_dir), pool, settings)
        if not warm:
            yield registry
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pool.warm)
            yield registry
            tasks.cancel_scope.cancel()
