"""Builds what front and command line work with, and ends it in reverse order."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

import anyio
import structlog

from wassette_supervisor.audit.entry import Event
from wassette_supervisor.audit.log import AuditLog
from wassette_supervisor.authority.attached import ceiling
from wassette_supervisor.authority.directories import protected
from wassette_supervisor.authority.granting import Granter
from wassette_supervisor.authority.permissions import Permissions
from wassette_supervisor.authority.workspace import workspace
from wassette_supervisor.components.registry import Registry
from wassette_supervisor.errors import AuditError, PolicyError, UsageError, one_line
from wassette_supervisor.pool.pool import ZYGOTE, open_pool
from wassette_supervisor.settings import NAME
from wassette_supervisor.settings.sources import config_file
from wassette_supervisor.store import files
from wassette_supervisor.store.files import DamagedError
from wassette_supervisor.store.policies import MAX_POLICY_BYTES
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from wassette_supervisor.policy.document import Policy
    from wassette_supervisor.settings import Settings

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_backend(
    settings: Settings, *, warm: bool = False, zygote: str = ZYGOTE
) -> AsyncIterator[Registry]:
    """Everything that the front and the command line ask for, until the block ends.

    Starts no process before the first thing that needs one, unless `warm`.

    Raises:
        UsageError: The ceiling can't be used.
    """
    store = Store(settings.component_dir)
    permissions = Permissions(store, granter(settings))
    audit = AuditLog(settings.component_dir / "audit")
    failure: Exception | None = None
    async with open_pool(settings, zygote) as pool:
        registry = Registry(store, pool, settings, permissions, audit)
        if not warm:
            yield registry
            return
        registry.warn_of_damage()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pool.warm)
            tasks.start_soon(registry.rights.watch, registry.records)
            try:
                with _on_record(audit, settings):
                    yield registry
            except Exception as error:  # noqa: BLE001 - raised again below, in no group
                failure = error
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


@contextmanager
def _on_record(audit: AuditLog, settings: Settings) -> Iterator[None]:
    """Record that a server started and stopped; without a log it only refuses calls."""
    decides = {
        "version": version(NAME),
        "approve": settings.approve,
        "isolation": settings.isolation,
        "ceiling": None if settings.ceiling is None else str(settings.ceiling),
        "builtin_tools": not settings.disable_builtin_tools,
    }
    _record(audit, Event.SERVER_START, decides)
    try:
        yield
    finally:
        _record(audit, Event.SERVER_STOP, {})


def _record(audit: AuditLog, event: Event, detail: Mapping[str, object]) -> None:
    try:
        audit.append(event, detail=detail)
    except AuditError as error:
        log.warning("audit.unwritable", why=str(error))


def granter(settings: Settings) -> Granter:
    """What this server has to give, and what it keeps to itself."""
    keep_out = protected(
        [
            (settings.component_dir, "the store"),
            (settings.state_dir, "the files of components"),
            (config_file(os.environ).parent, "this program's configuration"),
        ]
    )
    return Granter(
        settings=settings,
        ceiling=_ceiling(settings),
        workspace=workspace(settings.workspace, keep_out),
        keep_out=keep_out,
        variables=os.environ,
    )


def _ceiling(settings: Settings) -> Policy | None:
    if settings.ceiling is None:
        return None
    try:
        return ceiling(files.read_bounded(settings.ceiling, MAX_POLICY_BYTES))
    except (OSError, DamagedError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"--ceiling {one_line(str(settings.ceiling))}: it can't be read: {why}; name a policy "
            "file"
        ) from error
    except PolicyError as error:
        raise UsageError(f"--ceiling {one_line(str(settings.ceiling))}: {error}") from error
