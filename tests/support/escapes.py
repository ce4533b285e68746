"""Tries every deed twice: in a process that has given up nothing, and in a worker broken out of.

`python -m support.escapes FOLDER ISOLATION [DEED ...]` writes the outcomes to `RESULT` in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import secrets
import select
import shutil
import signal
import socket
import sys
import termios
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import msgspec

from support import broken_out, processes
from support.deeds.catalogue import DEEDS, Scene, attempt, told
from support.guests import guest_bytes
from support.pools import settings_for
from wassette_protocol.capabilities import Limits
from wassette_protocol.frames import Export
from wassette_supervisor.errors import (
    CallError,
    SupervisorError,
    WorkerDiedError,
    WorkerViolatedError,
)
from wassette_supervisor.pool.broker import Broker
from wassette_supervisor.pool.compiler import Compiler
from wassette_supervisor.pool.grants import Directory, Grants
from wassette_supervisor.pool.sandbox import Sandbox
from wassette_supervisor.pool.template import Template
from wassette_supervisor.pool.zygote import Zygote

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from anyio.abc import TaskGroup

    from wassette_supervisor.pool.template import Shims
    from wassette_supervisor.pool.worker import Worker

Outcomes = dict[str, str]

RESULT = "outcomes.json"

_PATIENCE_S = 10
_AT_ONCE = 3
_LEAVES_NO_ROOM = "start-many-threads"  # for a worker of another deed
_EXPORT = Export(None, "add")


# --- the scene ------------------------------------------------------------------------------


def furnish(folder: Path) -> None:
    """Everything that a deed takes away or makes is as it was."""
    for name in ("outside", "store"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(mode=0o700)
    (folder / "inside").mkdir(exist_ok=True)
    (folder / "inside" / "second").unlink(missing_ok=True)
    outside = folder / "outside"
    for name in ("secret", "spare", "moved"):
        (outside / name).write_text("not granted")
    (outside / "empty").mkdir()
    (outside / "link").symlink_to("secret")
    (folder / "store" / "record").write_text("{}")


@contextlib.contextmanager
def listeners(folder: Path) -> Iterator[Scene]:
    """A scene whose sockets are there; its processes are this one."""
    with contextlib.ExitStack() as held:
        kinds = [
            (socket.AF_INET, socket.SOCK_STREAM),
            (socket.AF_INET6, socket.SOCK_STREAM),
            (socket.AF_INET, socket.SOCK_DGRAM),
            (socket.AF_UNIX, socket.SOCK_STREAM),
            (socket.AF_UNIX, socket.SOCK_STREAM),
        ]
        made = [held.enter_context(socket.socket(*kind)) for kind in kinds]
        path, abstract = str(folder / "socket"), f"wassette-{secrets.token_hex(8)}"
        Path(path).unlink(missing_ok=True)
        here, there = ("127.0.0.1", 0), ("::1", 0)
        places: list[tuple[str, int] | str] = [here, there, here, path, f"\0{abstract}"]
        for one, place in zip(made, places, strict=True):
            with contextlib.suppress(OSError):  # a machine without IPv6
                one.bind(place)
            if one.type == socket.SOCK_STREAM:
                one.listen(64)
        ports = [one.getsockname()[1] for one in made[:3]]
        own = os.getpid()
        outside, store, inside = (str(folder / name) for name in ("outside", "store", "inside"))
        tcp, tcp6, udp = ports
        _listening[:] = made
        yield Scene(
            outside, store, inside,
            own, own, own, own,
            tcp, tcp6, udp, path, abstract, _ctrl_alt_del(),
        )  # fmt: skip


_listening: list[socket.socket] = []


def _reached() -> bool:
    """Whether somebody came to where the scene listens."""
    return bool(select.select(_listening, [], [], 0)[0])


def _ctrl_alt_del() -> bool:
    return Path("/proc/sys/kernel/ctrl-alt-del").read_text().strip() == "1"


# --- without a sandbox ----------------------------------------------------------------------


def unlocked(folder: Path, names: Iterable[str]) -> Outcomes:
    """Each deed in a process of its own, which has a terminal and a socket."""
    found = {}
    with listeners(folder) as scene:
        for name in names:
            furnish(folder)
            victim = _fork(signal.pause)
            there = msgspec.structs.replace(scene, sibling=victim, template=victim, zygote=victim)
            found[name] = _in_a_child(name, there)
            os.kill(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
    return found


def _fork(be: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        try:
            be()
        finally:
            os._exit(1)
    return pid


def _in_a_child(name: str, scene: Scene) -> str:
    reader, writer = os.pipe()
    pid = _fork(partial(_act, name, scene, writer))
    os.close(writer)
    signal.alarm(_PATIENCE_S)
    with os.fdopen(reader) as answer:
        outcome = answer.read()
    _, status = os.waitpid(pid, 0)
    signal.alarm(0)
    return outcome or told(status)


def _act(name: str, scene: Scene, writer: int) -> None:
    """With descriptors as a worker has them, but for a terminal."""
    os.setsid()
    peer, own = socket.socketpair()
    # While a terminal's other end is open, nobody is hung up; not even what this becomes.
    other_end, terminal = os.openpty()
    answer, *_ = [fcntl.fcntl(number, fcntl.F_DUPFD, 200) for number in (writer, peer, other_end)]
    os.set_inheritable(answer, False)  # noqa: FBT003 - the standard library's
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    os.dup2(terminal, 0)
    os.dup2(own.fileno(), 3)
    os.closerange(4, 200)
    os.write(answer, attempt(name, scene).encode())
    os._exit(0)


# --- after the lock-down --------------------------------------------------------------------


NOTHING, DIRECTORY, HOST = "nothing granted", "a directory granted", "a host granted"
_LIMITS = Limits(wall_time_ms=_PATIENCE_S * 1000)


async def locked(folder: Path, isolation: str, names: Iterable[str], granted: str) -> Outcomes:
    """Each deed in a worker of its own.

    Args:
        folder: What is there to be reached.
        isolation: How workers are made.
        names: Of the deeds.
        granted: Nothing; a directory to write to; or a network, which the broker answers.
    """
    furnish(folder)
    given = {
        NOTHING: Grants(_LIMITS),
        DIRECTORY: _grants(folder),
        HOST: Grants(_LIMITS, network=True),
    }
    grants = given[granted]
    found: Outcomes = {}
    with listeners(folder) as scene:
        async with _template(folder, isolation, grants) as (tasks, template, broker):
            sibling = await template.start_worker(tasks, grants)
            there = _scene_of_workers(scene)
            one_by_one = anyio.CapacityLimiter(_AT_ONCE)

            async def one(name: str) -> None:
                async with one_by_one:
                    worker = partial(template.start_worker, tasks, grants, None, broker)
                    found[name] = await _in_a_worker(worker, name, there)

            async with anyio.create_task_group() as all_deeds:
                for name in names:
                    if name != _LEAVES_NO_ROOM:
                        all_deeds.start_soon(one, name)
            if _LEAVES_NO_ROOM in names:
                await one(_LEAVES_NO_ROOM)
            found["the sibling lives"] = str(not sibling.is_gone())
            found["the template lives"] = str(template.alive)
            found["nobody was reached"] = str(not _reached())
            await sibling.end()
    return found


def _grants(folder: Path) -> Grants:
    inside = folder / "inside"
    status = inside.stat()
    directory = Directory("d", str(inside), status.st_dev, status.st_ino, writable=True)
    uid = status.st_uid if os.geteuid() == 0 else None
    return Grants(_LIMITS, (), (directory,), uid)


@asynccontextmanager
async def _template(
    folder: Path, isolation: str, grants: Grants
) -> AsyncIterator[tuple[TaskGroup, Template, Broker]]:
    async with anyio.create_task_group() as tasks:
        zygote = Zygote(
            tasks,
            fresh=isolation == "exec",
            module=broken_out.program(folder),
            sandbox=Sandbox(available=False),
            calls=_AT_ONCE,
        )
        broker = Broker(tasks, settings_for(isolation), zygote.sandbox)
        try:
            shims, artefact = await _compiled(zygote)
            template = await Template.start(zygote, tasks, artefact, shims, grants)
            yield tasks, template, broker
            await template.end()
            await broker.end()
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await zygote.end()


async def _compiled(zygote: Zygote) -> tuple[Shims, int]:
    compiler, content = Compiler(zygote), guest_bytes("add")
    memory = os.memfd_create("component", os.MFD_CLOEXEC)
    os.write(memory, content)
    _, artefact = await compiler.compile(memory, len(content), _silent)
    return await compiler.shims(), artefact


async def _silent(_: str) -> None:
    pass


def _scene_of_workers(scene: Scene) -> Scene:
    """With the numbers by which a worker would have to name the others."""
    [worker] = processes.named("wassette-worker")
    [zygote] = processes.named("wassette-zygote")
    above = next(seen for seen in processes.descendants() if seen.pid == worker.parent)
    sibling, template = (int(seen.status("NSpid").split()[-1]) for seen in (worker, above))
    return msgspec.structs.replace(scene, sibling=sibling, template=template, zygote=zygote.pid)


async def _in_a_worker(start: Callable[[], Awaitable[Worker]], name: str, scene: Scene) -> str:
    try:
        worker = await start()
        if worker.grants.network:  # else the first request that is allowed does it
            await worker._network._attach(worker._network._broker, "add")  # type: ignore[arg-type]  # there is one
    except SupervisorError as error:
        return f"no worker: {error}"
    arguments = json.dumps({"deed": name, "scene": msgspec.to_builtins(scene)}).encode()
    try:
        value, _ = await worker.call(_EXPORT, arguments)
    except WorkerDiedError as error:
        return told(error.signal if error.signal is not None else (error.status or 0) << 8)
    except WorkerViolatedError:
        return "violation"
    except CallError as error:
        return f"{type(error).__name__}: {error}"
    finally:
        await worker.end()
    return str(value["result"])


def main() -> None:
    folder, isolation, *names = sys.argv[1:]
    names = names or list(DEEDS)
    place = Path(folder).resolve()
    place.mkdir(exist_ok=True)
    found = {"unlocked": unlocked(place, names)}
    for granted in (NOTHING, DIRECTORY, HOST):
        found[granted] = anyio.run(partial(locked, place, isolation, names, granted))
    kinds = {deed.name: deed.kind for deed in DEEDS.values()}
    (place / RESULT).write_text(json.dumps({"outcomes": found, "kinds": kinds}))


if __name__ == "__main__":
    main()
