"""Requests of workers, from the guard to the broker; and workers that were broken out of."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import select
import signal
import socket
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from support import broken_out
from support.answering import Decider, answering
from support.deeds.catalogue import Scene
from support.pools import component, settings_for
from support.processes import descendants, named, open_descriptors, until
from wassette_protocol.capabilities import Limits
from wassette_protocol.frames import Export, HttpRequested
from wassette_supervisor.errors import (
    AuditError,
    IsolationUnavailableError,
    LimitExceededError,
    WorkerViolatedError,
)
from wassette_supervisor.pool import broker_process
from wassette_supervisor.pool.grants import Grants
from wassette_supervisor.pool.pool import open_pool
from wassette_supervisor.pool.requests import LOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.pools import Component
    from wassette_supervisor.pool.pool import Pool
    from wassette_supervisor.pool.requests import Decided, Refusal

NETWORK = Grants(Limits(), network=True)


async def call(pool: Pool, net: Component, decider: Decider | None, tool: str, **given: Any) -> Any:
    export = Export("test:net/client@0.1.0", tool)
    arguments = json.dumps(given).encode()
    outcome = await pool.call(
        net, export, arguments, grants=NETWORK, component=net.id, requests=decider
    )
    return outcome.value["result"]


async def test_each_request_of_a_hundred_is_asked_for_and_ends_before_its_call(
    isolation: str,
) -> None:
    net = await component("net")
    with answering() as port:
        decider = Decider(port)
        async with open_pool(settings_for(isolation)) as pool:
            urls = [f"http://127.0.0.1:{port}/{number}" for number in range(10)]
            for _ in range(10):
                done = await call(pool, net, decider, "parallel", urls=urls)
                assert done == [{"ok": 200}] * 10
            assert len(decider.ended) == 100
    assert {ended.outcome for ended in decider.ended} == {"complete"}
    assert {(asked.method, asked.scheme) for asked in decider.asked_for} == {("GET", "http")}
    assert 0 < decider.most < 10
    await until(lambda: not descendants(), "no process left")


async def test_words_of_a_guest_come_as_they_are_and_a_refusal_is_its_error() -> None:
    net = await component("net")
    decider = Decider(1)
    async with open_pool(settings_for()) as pool:
        words = {"method": "PURGE", "scheme": "ftp", "authority": "ex.ample:21", "path": "/a?b"}
        assert await call(pool, net, decider, "ask", **words) == "HTTP-request-denied"
        long = await call(pool, net, decider, "ask", **(words | {"path": "/" + "a" * 40_000}))
        assert long == "HTTP-request-URI-too-long"
        assert decider.ended == []
    assert decider.asked_for == [HttpRequested("PURGE", "ftp", "ex.ample:21", "/a?b")]


async def test_whom_nobody_decides_for_is_refused() -> None:
    net = await component("net")
    async with open_pool(settings_for()) as pool:
        got = await call(pool, net, None, "ask", method="GET", scheme=None, authority="a", path="/")
        assert got == "HTTP-request-denied"


class Unrecorded(Decider):
    async def asked(self, wanted: HttpRequested, under_way: int) -> Decided | Refusal:
        await super().asked(wanted, under_way)
        raise AuditError("the disk is full")


async def test_a_request_that_can_not_be_recorded_is_not_made() -> None:
    net = await component("net")
    with nobody_called() as port:
        decider = Unrecorded(port)
        async with open_pool(settings_for()) as pool:
            with pytest.raises(AuditError):
                await call(pool, net, decider, "download", url=f"http://127.0.0.1:{port}/")
    assert len(decider.asked_for) == 1
    assert decider.ended == []


async def test_connections_of_two_workers_are_told_apart(isolation: str) -> None:
    net = await component("net")
    with answering() as one, answering() as other:
        first, second = Decider(one), Decider(other)
        async with open_pool(settings_for(isolation)) as pool, anyio.create_task_group() as tasks:
            for decider in (first, second):
                urls = [f"http://127.0.0.1:{port}/" for port in (one, other) * 5]
                tasks.start_soon(partial(call, pool, net, decider, "parallel", urls=urls))
    for decider in (first, second):
        assert {ended.outcome for ended in decider.ended} == {"complete"}
        assert len(decider.ended) == 5


def _is_gone(pid: int) -> bool:
    return pid not in {seen.pid for seen in named("wassette-broker")}


async def test_a_broker_that_dies_between_calls_is_started_again() -> None:
    net = await component("net")
    with answering() as port:
        decider = Decider(port)
        async with open_pool(settings_for()) as pool:
            for _ in range(3):
                got = await call(pool, net, decider, "parallel", urls=[f"http://127.0.0.1:{port}/"])
                assert got == [{"ok": 200}]
                [broker] = named("wassette-broker")
                os.kill(broker.pid, signal.SIGKILL)
                await until(partial(_is_gone, broker.pid), "it is gone")
    await until(lambda: not descendants(), "no process left")


async def test_without_a_descriptor_left_for_a_new_broker_calls_go_on_that_need_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, add = await component("net"), await component("add")
    refused = anyio.Event()

    def start(_: object) -> None:
        refused.set()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        port = listening.getsockname()[1]
        async with open_pool(settings_for()) as pool, anyio.create_task_group() as tasks:
            urls = [f"http://127.0.0.1:{port}/"]
            tasks.start_soon(partial(call, pool, net, Decider(port), "parallel", urls=urls))
            # Not before it is under way: a connection to the broker that nobody answers would wait.
            with anyio.fail_after(20):
                peer, _ = await asyncio.get_running_loop().sock_accept(listening)
            [broker] = named("wassette-broker")
            monkeypatch.setattr("wassette_supervisor.pool.broker.start", start)
            with peer, anyio.fail_after(20):
                os.kill(broker.pid, signal.SIGKILL)
                await refused.wait()
            await add.call(pool, "add", '{"a": 2, "b": 3}')


async def test_a_connection_that_waits_is_answered_when_a_broker_can_be_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = await component("net")
    tried: list[object] = []

    def start(authorities: Path | None) -> object:
        tried.append(None)
        if len(tried) < 3:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return broker_process.start(authorities)

    with answering() as port:
        urls = [f"http://127.0.0.1:{port}/"]
        async with open_pool(settings_for()) as pool, anyio.create_task_group() as tasks:
            assert await call(pool, net, Decider(port), "parallel", urls=urls) == [{"ok": 200}]
            [broker] = named("wassette-broker")
            os.kill(broker.pid, signal.SIGSTOP)
            decider = Decider(port)
            tasks.start_soon(partial(call, pool, net, decider, "parallel", urls=urls))
            await until(_a_connection_waits, "the worker waits for the broker")
            monkeypatch.setattr("wassette_supervisor.pool.broker.start", start)
            os.kill(broker.pid, signal.SIGKILL)
    assert len(tried) == 3
    assert [ended.outcome for ended in decider.ended] == [LOST]


def _a_connection_waits() -> bool:
    """Whether a worker's connect() waits: its listener can be read then (seccomp_unotify(2))."""
    polled = select.poll()
    for number, what in open_descriptors().items():
        if what == "anon_inode:seccomp notify":
            polled.register(number, select.POLLIN)
    return any(events & select.POLLIN for _, events in polled.poll(0))


async def test_where_nothing_keeps_a_worker_to_it_no_network_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, add = await component("net"), await component("add")
    async with open_pool(settings_for()) as pool:
        await add.call(pool, "add", '{"a": 2, "b": 3}')
        lacking = {"doorbell": "somebody listens already"}
        monkeypatch.setattr(pool._zygote.sandbox, "lacking", lacking)
        with pytest.raises(IsolationUnavailableError, match="somebody listens already"):
            await call(pool, net, Decider(1), "download", url="http://127.0.0.1:1/")
        await add.call(pool, "add", '{"a": 2, "b": 3}')
        assert not named("wassette-broker")


# --- workers that were broken out of --------------------------------------------------------


@contextmanager
def nobody_called() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]
        listening.setblocking(False)  # noqa: FBT003 - the standard library's
        with pytest.raises(BlockingIOError):
            listening.accept()


async def test_a_connection_that_nobody_ordered_waits_until_its_calls_time_is_up(
    tmp_path: Path, isolation: str
) -> None:
    add = await component("add")
    grants = Grants(Limits(wall_time_ms=500), network=True)
    before = len(open_descriptors())
    with nobody_called() as port:
        nowhere = Scene("", "", "", 0, 0, 0, 0, port, port, port, "", "", ctrl_alt_del=False)

        deed = {"deed": "connect-by-tcp", "scene": msgspec.to_builtins(nowhere)}
        program = broken_out.program(tmp_path)
        async with open_pool(settings_for(isolation), program) as pool:
            with pytest.raises(LimitExceededError) as caught:
                await add.call(pool, "add", json.dumps(deed), grants)
        assert caught.value.limit == "wall_time"
    await until(lambda: not descendants(), "no process left")
    assert len(open_descriptors()) <= before + 4


_HANDSHAKES = {
    "gives no listener": "channel.send(frames.Started(steps))",
    "gives another descriptor": "channel.start(frames.Started(steps), os.dup(1))",
    "gives two": "socket.send_fds(channel._socket, [encode_frame(frames.Started(steps))],"
    " [bell.descriptor, os.dup(1)])",
}
_ROGUE = """
import os, socket, time
from wassette_protocol import frames
from wassette_protocol.codec import encode_frame
from wassette_worker import worker, zygote

def live(channel, guest, config, steps, bell):
    {handshake}
    time.sleep(60)

worker.live = live
zygote.main()
"""


@pytest.mark.parametrize("handshake", _HANDSHAKES.values(), ids=_HANDSHAKES)
async def test_a_worker_with_a_network_that_gives_anything_but_its_listener_is_killed(
    handshake: str, tmp_path: Path
) -> None:
    add = await component("add")
    program = tmp_path / "rogue.py"
    program.write_text(_ROGUE.format(handshake=handshake))
    before = len(open_descriptors())
    async with open_pool(settings_for(), str(program)) as pool:
        with anyio.fail_after(20), pytest.raises(WorkerViolatedError, match=r"descriptor"):
            await add.call(pool, "add", '{"a": 2, "b": 3}', NETWORK)
    await until(lambda: not descendants(), "no process left")
    assert len(open_descriptors()) <= before + 4
