"""What Python and OpenSSL load when they first need it is loaded when no file opens any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from support import tls
from support.brokers import broker
from support.certificates import Authority, self_signed
from support.http2_server import Stream, http2_server
from support.name_server import Failure, Lie, addresses, name_server
from support.raw_server import raw_server, saying, saying_and_gone
from support.ringer import ringer
from wassette_protocol.broker_frames import COMPLETE, Destination

if TYPE_CHECKING:
    from pathlib import Path

    from support.brokers import Running
    from support.name_server import NameServer
    from support.ringer import Ringer

NAME = "xn--bcher-kva.example"  # which Python's TLS reads by a codec of its own


async def outcome(running: Running, worker: Ringer, destination: Destination) -> tuple[str, str]:
    order = await running.order(1, destination.port, destination=destination)
    await worker.ask(order)
    ended = await running.ended()
    return ended.outcome, ended.version


async def greet(stream: Stream) -> None:
    await stream.answer()
    await stream.send(b"hello")
    await stream.end([("x-sum", "1")])


async def test_a_locked_down_broker_knows_every_way_that_a_request_takes(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    good = tls.server_side(authority.issue("good", (NAME,)))
    bad = tls.server_side(self_signed(tmp_path, "bad"))
    with name_server() as names, ringer() as worker:
        async with broker(authority.certificate) as running:
            await running.attach(1, worker.listener)
            async with http2_server(greet, good) as server:
                to = _named(names, "https", server.port)
                names.say(NAME, Lie("id", addresses("127.0.0.9"), addresses("127.0.0.1")))
                assert await outcome(running, worker, to) == (COMPLETE, "HTTP/2")
                for said in (Failure("SERVFAIL"), Failure("NXDOMAIN"), addresses()):
                    names.say(NAME, said)
                    other = _named(names, "http", server.port)
                    assert await outcome(running, worker, other) == ("DNS-error", "")
            async with raw_server(saying(b""), bad) as server:
                to = Destination("https", "127.0.0.1", server.port)
                assert await outcome(running, worker, to) == ("TLS-certificate-error", "")
            async with raw_server(saying_and_gone(b"nonsense\r\n\r\n")) as server:
                to = Destination("http", "127.0.0.1", server.port)
                assert await outcome(running, worker, to) == ("HTTP-protocol-error", "")
            to = Destination("http", "127.0.0.1", 1, ["127.0.0.1", "127.0.0.2", "::1"])
            assert await outcome(running, worker, to) == ("connection-refused", "")


def _named(names: NameServer, scheme: Literal["http", "https"], port: int) -> Destination:
    return Destination(scheme, NAME, port, name_servers=[names.address])
