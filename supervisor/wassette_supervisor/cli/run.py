"""`run`: serve MCP on standard input and output."""

from __future__ import annotations

import gc
import signal
import sys
from typing import TYPE_CHECKING

import anyio

from wassette_supervisor.cli import logs

if TYPE_CHECKING:
    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.settings import Settings

WAITING = (
    "wassette-supervisor: an MCP server, waiting for a client on standard input; clients start "
    'it themselves, configured with {"command": "wassette-supervisor"}; Ctrl-C ends it'
)


def run(invocation: Invocation) -> None:
    gc.disable()  # what is loaded from here on is needed to the end: see `_serve`
    logs.configure(invocation.settings)
    if sys.stdin is not None and sys.stdin.isatty():
        sys.stderr.write(WAITING + "\n")
        sys.stderr.flush()
    anyio.run(_serve_until_stopped, invocation.settings)


async def _serve_until_stopped(settings: Settings) -> None:
    async with anyio.create_task_group() as tasks:
        await tasks.start(_stop_on_signal, tasks.cancel_scope)
        await _serve(settings)
        tasks.cancel_scope.cancel()


async def _serve(settings: Settings) -> None:
    from wassette_supervisor.app import open_backend  # noqa: PLC0415 - after signals are taken
    from wassette_supervisor.front.server import serve  # noqa: PLC0415 - 1 s that only this needs

    async with open_backend(settings, warm=True) as backend:
        # Else a collection goes through all of it while every call waits: for 130 ms with 250
        # components, for 210 with a thousand.
        gc.freeze()
        gc.enable()
        await serve(settings, backend)


async def _stop_on_signal(
    scope: anyio.CancelScope, *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()
            return
