"""Whether tools can have a network here: a broker is started, and a worker connects to it.

What the worker asks for is a port of this machine at which `doctor` listens. Its connection has to
end at the broker, and never come there.
"""

from __future__ import annotations

import errno
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from wassette_protocol.capabilities import Limits
from wassette_protocol.frames import Attempt, Try
from wassette_supervisor.doctor import probe, seen
from wassette_supervisor.doctor.check import Found, check, lacking, there
from wassette_supervisor.errors import CallError, SupervisorError
from wassette_supervisor.pool.broker import Broker
from wassette_supervisor.pool.grants import Grants

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from wassette_supervisor.doctor.check import Check
    from wassette_supervisor.pool.compiler import Compiler
    from wassette_supervisor.pool.sandbox import Sandbox
    from wassette_supervisor.pool.zygote import Zygote
    from wassette_supervisor.settings import Settings

_LOST = "no tool is given a network"
# Of /proc/PID/status: what the kernel shows of a broker that gave up what it says it did.
_SHOWN = {"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0000000000000000"}


class Network(NamedTuple):
    """What was seen; `lacks` is why no tool is given a network here, and empty if one can be."""

    lacks: str
    doorbell: Found
    second_layer: Found
    broker: Found
    connection: Found


async def run(
    zygote: Zygote, tasks: TaskGroup, compiler: Compiler, artefact: int, settings: Settings
) -> Network:
    """Start a broker, and have a worker of the component on this descriptor connect."""
    sandbox = zygote.sandbox
    lacks = sandbox.network_lacks()
    none = lacking("no tool is given a network here, so none was started")
    found = Network(lacks, _doorbell(sandbox), _second_layer(sandbox), none, none)
    if lacks:
        return found
    broker = _Quiet(tasks, settings, sandbox)
    try:
        began = time.monotonic()
        await broker.ready()
        found = found._replace(broker=_seen(began))
        connection = await _connected(zygote, tasks, compiler, artefact, broker)
        return found._replace(connection=connection)
    except (SupervisorError, OSError) as error:
        why = lacking(str(error))
        return found._replace(connection=why, broker=why if found.broker is none else found.broker)
    finally:
        await broker.end()


def untried(why: str) -> Network:
    """What is known where no call runs."""
    found = lacking(f"it could not be tried: {why}")
    return Network(why, found, found, found, found)


def checks(found: Network) -> list[Check]:
    """A line each; what should work and doesn't is a fault, what the system lacks is none."""
    could = not found.lacks
    return [
        check(
            "doorbell", found.doorbell, _LOST,
            "Linux from 5.9 on, and start it where nobody listens to its filters (docs/doctor.md)",
            in_use=could,
        ),
        check(
            "second layer", found.second_layer, _LOST,
            "namespaces for this user, or Linux from 6.7 on with Landlock", in_use=could,
        ),
        check(
            "broker", found.broker, _LOST, "what is missing above; else mend what it says",
            in_use=could, required=could,
        ),
        check(
            "can't pass the broker", found.connection, "a tool with a host talks to anybody",
            "what is missing above; else tell the authors, it is a hole (SECURITY.md)",
            in_use=could, required=could,
        ),
    ]  # fmt: skip


def _doorbell(sandbox: Sandbox) -> Found:
    if why := sandbox.lacking.get("doorbell"):
        return lacking(why)
    return there("a filter with a listener was put in force, and its kernel plants descriptors")


def _second_layer(sandbox: Sandbox) -> Found:
    layers = ["namespaces"] if sandbox.namespaces else []
    if "own-landlock" not in sandbox.lacking:
        layers.append("Landlock's rules of ports")
    if not layers:
        return lacking("there are neither namespaces nor Landlock's rules of ports")
    return there(" and ".join(layers))


def _seen(began: float) -> Found:
    """What the kernel shows of the broker that is ready."""
    how = f"one was started in {(time.monotonic() - began) * 1000:.0f} ms, and told of each step"
    fields = next(iter(seen.brokers()), {})
    shown = {name: fields.get(name, "nothing") for name in _SHOWN}
    how += "; the kernel shows " + ", ".join(f"{name} {value}" for name, value in shown.items())
    return there(how) if shown == _SHOWN else lacking(how)


async def _connected(
    zygote: Zygote, tasks: TaskGroup, compiler: Compiler, artefact: int, broker: Broker
) -> Found:
    """Whom a worker meets that connects to a port of ours."""
    grants = Grants(Limits(), network=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with probe.holding(zygote, tasks, compiler, artefact, grants) as template:
            worker = await template.start_worker(tasks, grants, broker=broker)
            try:
                number = await worker.attempt(Try(Attempt.CONNECT, str(port)))
            except CallError as error:
                return lacking(f"a worker connected, and {error}")
            finally:
                await worker.end()
        if _somebody_came(listener):
            return lacking("a worker connected, and reached another process than the broker")
    if number != 0:
        refused = errno.errorcode.get(number, str(number))
        return lacking(f"a worker connected, and was not answered ({refused})")
    return there(f"a worker connected to port {port}, and met the broker in its place")


def _somebody_came(listener: socket.socket) -> bool:
    listener.setblocking(False)  # noqa: FBT003 - the standard library's
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


class _Quiet(Broker):
    """That it is lost is not logged, as by a server: it is in the answer."""

    def _lost(self, why: str) -> None:
        pass
