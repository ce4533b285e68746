"""What a worker can't do after its lock-down: tried by real ones, each in the place of its guest.

They get what lets them most: a directory to write to, of this user's. Everything that they try to
reach is there, so that nothing but the sandbox keeps them from it.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wassette_protocol.capabilities import Limits
from wassette_protocol.frames import Attempt, Try
from wassette_supervisor.doctor import seen
from wassette_supervisor.errors import CallError, ForbiddenCallError, WorkerDiedError
from wassette_supervisor.pool.grants import Directory, Grants
from wassette_supervisor.pool.identities import spare_ids
from wassette_supervisor.pool.template import Template

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskGroup

    from wassette_supervisor.pool.compiler import Compiler
    from wassette_supervisor.pool.zygote import Zygote

_PASSWD, _SHELL = "/etc/passwd", "/bin/sh"


class Deed(NamedTuple):
    name: str  # what is promised
    attempt: Attempt
    lost_without: str


DEEDS = (
    Deed("can't read others' files", Attempt.READ_FILE, "a worker reads /etc/passwd"),
    Deed("can't write the store", Attempt.WRITE_FILE, "a worker gives itself rights"),
    Deed("can't connect out", Attempt.CONNECT, "a worker talks to anybody"),
    Deed("can't fork", Attempt.FORK, "a worker outlives its call"),
    Deed("can't run a program", Attempt.EXECUTE, "a worker runs this system's shell"),
    Deed("can't make code", Attempt.MAP_EXECUTABLE, "a worker runs code of its own"),
    Deed("can't trace a sibling", Attempt.TRACE, "a worker takes over other calls"),
    Deed("can't read a sibling", Attempt.READ_MEMORY, "a worker reads other calls"),
)


class Tried(NamedTuple):
    """How one attempt ended."""

    deed: Deed
    held: bool
    how: str


async def run(
    zygote: Zygote, tasks: TaskGroup, compiler: Compiler, artefact: int, store: Path
) -> list[Tried]:
    """Have each tried by a worker of its own, of the component on this descriptor.

    Raises:
        SupervisorError: No worker starts.
        OSError: There is nothing that could be tried.
    """
    with (
        tempfile.TemporaryDirectory(prefix="wassette-doctor-") as folder,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        grants = _granting(folder)
        async with holding(zygote, tasks, compiler, artefact, grants) as template:
            sibling = await template.start_worker(tasks, grants)
            process = _as_workers_know_it()
            written = _nearest(store) / f".doctor-{secrets.token_hex(8)}"
            targets = {
                Attempt.READ_FILE: _PASSWD,
                Attempt.WRITE_FILE: str(written),
                Attempt.CONNECT: str(listener.getsockname()[1]),
                Attempt.EXECUTE: _SHELL,
                Attempt.TRACE: process,
                Attempt.READ_MEMORY: process,
            }
            try:
                return [
                    await _try(template, tasks, grants, deed, targets.get(deed.attempt, ""))
                    for deed in DEEDS
                ]
            finally:
                await sibling.end()
                written.unlink(missing_ok=True)


@asynccontextmanager
async def holding(
    zygote: Zygote, tasks: TaskGroup, compiler: Compiler, artefact: int, grants: Grants
) -> AsyncIterator[Template]:
    """A template that holds the component on this descriptor.

    Raises:
        SupervisorError: It doesn't start.
    """
    shims = await compiler.shims()
    try:
        template = await Template.start(zygote, tasks, artefact, shims, grants)
        try:
            yield template
        finally:
            await template.end()
    finally:
        os.close(shims.artefact)


async def _try(
    template: Template, tasks: TaskGroup, grants: Grants, deed: Deed, target: str
) -> Tried:
    worker = await template.start_worker(tasks, grants)
    try:
        number = await worker.attempt(Try(deed.attempt, target))
    except ForbiddenCallError:
        return Tried(deed, held=True, how="a worker tried, and the kernel ended it (SIGSYS)")
    except WorkerDiedError as error:
        if error.status == 0:
            # It gave no answer, because it was another program that ended.
            return Tried(deed, held=False, how="a worker tried, and became another program")
        return Tried(deed, held=True, how=f"a worker tried, and {error.cause}")
    except CallError as error:
        return Tried(deed, held=False, how=f"it could not be seen: {error}")
    finally:
        await worker.end()
    if number == 0:
        return Tried(deed, held=False, how="a worker tried, and could")
    refused = errno.errorcode.get(number, str(number))
    return Tried(deed, held=True, how=f"a worker tried, and was refused ({refused})")


def _granting(folder: str) -> Grants:
    path = Path(folder).resolve()
    found = path.stat()
    directory = Directory("d", str(path), found.st_dev, found.st_ino, writable=True)
    # Root of a namespace may be able to become nobody else, and then is the owner already.
    uid = found.st_uid if spare_ids() is not None else None
    return Grants(Limits(), (), (directory,), uid)


def _as_workers_know_it() -> str:
    """The number of the worker that stands there, in the innermost namespace that it is in."""
    for fields in seen.workers():
        return fields["NSpid"].split()[-1]
    raise OSError(errno.ESRCH, "no worker is to be seen in /proc")


def _nearest(store: Path) -> Path:
    """The folder of the store, or the one in which it would be made."""
    return next(folder for folder in (store, *store.absolute().parents) if folder.is_dir())
