"""Running one command's work on a backend of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

from wassette_supervisor.cli import logs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.settings import Settings

_Result = TypeVar("_Result")


def with_backend(settings: Settings, work: Callable[[Backend], Awaitable[_Result]]) -> _Result:
    """Open the store, do the work, and stop every process that it started."""
    logs.configure(settings, quiet=True)

    async def run() -> _Result:
        from wassette_supervisor.app import open_backend  # noqa: PLC0415 - not for --help

        async with open_backend(settings) as backend:
            return await work(backend)

    return anyio.run(run)
