"""Every row of the broker's filter is there because an honest one needs it: a run used it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from support import processes
from support.brokers import broker, server
from support.certificates import Authority
from support.name_server import Truncated, addresses, name_server
from support.recorder import recording
from support.ringer import Rung, ringer
from wassette_protocol.broker_frames import Destination
from wassette_supervisor.broker.service import RINGS_FOR_NOTHING
from wassette_worker.sandbox.profiles import Profile, rows_of

if TYPE_CHECKING:
    from pathlib import Path

    from support.brokers import Running
    from support.name_server import NameServer
    from support.ringer import Ringer


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tls(authority: Authority) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*authority.issue("server", ("tls.example",)))
    return made


async def by_address(running: Running, worker: Ringer, host: str) -> None:
    async with server(host=host) as there:
        to = Destination("http", host, there.port)
        order = await running.order(1, there.port, "/plain", destination=to)
        assert await worker.ask(order) == [Rung(200, "you asked for /plain")]


async def by_name_and_tls(
    running: Running, worker: Ringer, names: NameServer, tls: ssl.SSLContext
) -> None:
    names.say("tls.example", Truncated(addresses("127.0.0.1")))
    async with server(tls=tls) as there:
        to = Destination("https", "tls.example", there.port, [], [names.address])
        for number in range(3):
            order = await running.order(1, there.port, f"/{number}", destination=to)
            assert await worker.ask(order) == [Rung(200, f"you asked for /{number}")]


async def many_at_once(running: Running, worker: Ringer) -> None:
    async with server(shut=True) as there:
        orders = [await running.order(1, there.port, f"/{number}") for number in range(30)]
        await worker.begin("requests", orders, len(orders))
        for _ in orders:
            await there.waiting.acquire()
        there.gate.set()
        assert {status for status, _, _ in await worker.result()} == {200}


async def for_nothing(running: Running) -> None:
    """A worker that was broken out of, of which the operator is told."""
    with ringer() as other:
        await running.attach(2, other.listener)
        await other.begin("connects", RINGS_FOR_NOTHING + 9)
        await processes.until(running.said, "a line for the operator")


@pytest.mark.timeout(240)  # each call waits until it is recorded
async def test_each_row_of_the_brokers_filter_was_used_by_an_honest_one(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    with recording("wassette_supervisor.broker.__main__") as recorder, ringer() as worker:
        async with broker(authority.certificate, recorder.program) as running:
            await running.attach(1, worker.listener)
            await by_address(running, worker, "127.0.0.1")
            with name_server() as names:
                await by_name_and_tls(running, worker, names, tls)
            await many_at_once(running, worker)
            await worker.ask("f" * 32)  # which nobody ordered
            await for_nothing(running)
            running.started.channel.close()
            await running.over()
        used, without_row = recorder.report()
    assert without_row == []
    rows = {use.row for use in used if use.profile is Profile.BROKER}
    unused = [row for row in rows_of(Profile.BROKER) if row not in rows and not row.idle]
    assert sorted(f"{row.call} {row.tests}" for row in unused) == []
    # Everything was loaded before.
    assert not {row.call for row in rows} & {"openat", "newfstatat"}
