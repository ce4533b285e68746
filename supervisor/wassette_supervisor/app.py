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
from wassette_supervisor.authority.directories import overlapping, protected
from wassette_supervisor.authority.granting import Granter
from wassette_supervisor.authority.names import Names
from wassette_supervisor.authority.permissions import Permissions
from wassette_supervisor.authority.workspace import workspace
from wassette_supervisor.components.local.follower import AGAIN_S, Follower
from wassette_supervisor.components.registry import Registry
from wassette_supervisor.errors import AuditError, PolicyError, UsageError, one_line
from wassette_supervisor.pool.pool import ZYGOTE, open_pool
from wassette_supervisor.settings import NAME
from wassette_supervisor.settings.sources import config_file
from wassette_supervisor.store import files
from wassette_supervisor.store.noticed import Notices
from wassette_supervisor.store.policies import MAX_POLICY_BYTES
from wassette_supervisor.store.store import Store
from wassette_supervisor.store.trouble import DamagedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

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
        UsageError: The ceiling can't be used, or the directory of local components.
    """
    if warm:
        _require_apart(settings)
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
            tasks.start_soon(_follow, settings, registry, Notices(store))
            try:
                with _on_record(audit, settings):
                    yield registry
            except Exception as error:  # noqa: BLE001 - raised again below, in no group
                failure = error
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _follow(settings: Settings, registry: Registry, notices: Notices) -> None:
    """Follow the directory of local components; nothing that happens there ends the server."""
    directory, mode = settings.local_components, settings.local_mode
    while directory is not None and mode != "off":
        follower = Follower(directory, registry, notices, allowed=settings.approve == "allow")
        try:
            await (follower.start() if mode == "startup" else follower.watch())
        except Exception:
            log.exception("local.failed", again_s=AGAIN_S)
            await anyio.sleep(AGAIN_S)
        else:
            return


@contextmanager
def _on_record(audit: AuditLog, settings: Settings) -> Iterator[None]:
    """Record that a server started and stopped; without a log it only refuses calls."""
    directory = settings.local_components
    decides = {
        "version": version(NAME),
        "approve": settings.approve,
        "isolation": settings.isolation,
        "sandbox": settings.sandbox,
        "plain_writes": settings.plain_writes,
        "audit_files": settings.audit_files,
        "ceiling": None if settings.ceiling is None else str(settings.ceiling),
        "builtin_tools": not settings.disable_builtin_tools,
        "local_components": None if directory is None else str(directory),
        "local_mode": settings.local_mode,
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
    keep_out = protected(_own(settings))
    # It may hold the directory of local components, which is not granted with it.
    desk = workspace(settings.workspace, keep_out)
    if settings.local_components is not None:
        local = (settings.local_components, "the directory of local components")
        keep_out = sorted({*keep_out, *protected([local])})
    return Granter(
        settings=settings,
        ceiling=_ceiling(settings),
        workspace=desk,
        keep_out=keep_out,
        variables=os.environ,
        names=Names(settings.name_server),
    )


def _own(settings: Settings) -> list[tuple[Path, str]]:
    return [
        (settings.component_dir, "the store"),
        (settings.state_dir, "the files of components"),
        (config_file(os.environ).parent, "this program's configuration"),
    ]


def _require_apart(settings: Settings) -> None:
    """Refuse a directory of local components in which something else is kept.

    Raises:
        UsageError: Names what.
    """
    directory = settings.local_components
    if directory is None:
        return
    own = _own(settings)
    names = {what for _, what in own}
    kept_out = [each for each in protected(own) if each.what in names]
    overlapped = overlapping(os.path.realpath(directory), kept_out)
    if overlapped is not None:
        raise UsageError(
            f"--local-components {one_line(str(directory))}: it overlaps {overlapped.what} "
            f"({one_line(overlapped.path)}); name a directory that has components alone"
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
