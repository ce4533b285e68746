"""Answers that chance made: each ends its own request, by an answer or an error, and no other.

`FUZZ_ANSWERS` says how many of each version; `sh scripts/fuzz` tries 20,000.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from random import Random
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
import h2.exceptions
import msgspec
import pytest

from support import tls
from support.certificates import Authority
from support.guest_end import ALLOWANCE, Plane, Told, order_to, plane
from support.raw_server import Peer, raw_server
from wassette_protocol.broker_frames import COMPLETE
from wassette_protocol.http_errors import ERROR_CODES, OWN_STATUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.thorough

ANSWERS = int(os.environ.get("FUZZ_ANSWERS", "300"))
PATIENT = msgspec.structs.replace(ALLOWANCE, first_byte_ms=3_000, request_ms=3_000)

Pairs = list[tuple[bytes, bytes]]

_REQUEST = [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/")]
_HEADERS = 1  # the type of a frame
HTTP1 = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx: y\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nt: u\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 301 Moved\r\nlocation: /\r\nconnection: keep-alive\r\n\r\nuntil the end",
    b'HTTP/1.1 304 Not Modified\r\netag: "e"\r\ncontent-length: 5\r\nconnection: close, x\r\n\r\n',
]
_LETTERS = [b"\r\n", b"\n", b"\0", b":", b" ", b"0", b"9" * 20, b"HTTP/1.1 ", b"\xff", b"chunked"]


def http1(random: Random) -> bytes:
    return changed(random, random.choice(HTTP1))


def http2(random: Random) -> bytes:
    """What a server says to a first request, with changes in its headers or in its frames."""
    client = h2.connection.H2Connection()
    client.initiate_connection()
    client.send_headers(1, _REQUEST, end_stream=True)
    unchecked = h2.config.H2Configuration(
        client_side=False, validate_outbound_headers=False, normalize_outbound_headers=False
    )
    server = h2.connection.H2Connection(unchecked)
    server.initiate_connection()
    server.receive_data(client.data_to_send())
    in_headers = random.random() < 0.5
    head: Pairs = [(b":status", b"200"), (b"x", b"y")]
    trailers: Pairs = [(b"t", b"u")]
    if in_headers:
        head, trailers = _changed_pairs(random, head), _changed_pairs(random, trailers)
    say = random.choice([_whole, _without_a_body, _before, _leaving])
    with contextlib.suppress(h2.exceptions.ProtocolError):  # a 1xx can't be its last word
        say(server, head, trailers)
    said = server.data_to_send()
    return said if in_headers else changed(random, said)


def _changed_pairs(random: Random, pairs: Pairs) -> Pairs:
    place = random.randrange(len(pairs))
    name, value = pairs[place]
    if random.random() < 0.3:
        name = changed(random, name)
    else:
        value = changed(random, value)
    return [*pairs[:place], (name, value), *pairs[place + 1 :]]


def _whole(server: h2.connection.H2Connection, head: Pairs, trailers: Pairs) -> None:
    server.send_headers(1, head)
    server.send_data(1, b"hello", pad_length=9)
    server.send_headers(1, trailers, end_stream=True)


def _without_a_body(server: h2.connection.H2Connection, head: Pairs, _: Pairs) -> None:
    server.send_headers(1, head, end_stream=True)


def _before(server: h2.connection.H2Connection, head: Pairs, _: Pairs) -> None:
    server.send_headers(1, [(b":status", b"103"), *head[1:]])
    server.send_headers(1, head)
    server.reset_stream(1, 2)


def _leaving(server: h2.connection.H2Connection, _: Pairs, __: Pairs) -> None:
    server.ping(bytes(8))
    server.increment_flow_control_window(9, 1)
    server.close_connection()


async def http2_head(peer: Peer) -> bytes:
    """Read all up to the head of a request: that frame (RFC 9113, 3.4 and 4.1)."""
    await peer.reader.readexactly(24)
    while True:
        frame = await peer.reader.readexactly(9)
        payload = await peer.reader.readexactly(int.from_bytes(frame[:3]))
        if frame[3] == _HEADERS:
            return payload


def changed(random: Random, said: bytes) -> bytes:
    made = bytearray(said)
    for _ in range(random.choice((1, 1, 2, 5))):
        place = random.randrange(len(made) + 1)
        end = min(len(made), place + random.choice((1, 2, 9, 30)))
        match random.randrange(5):
            case 0:
                made[place:place] = random.choice(_LETTERS)
            case 1:
                made[place:end] = random.randbytes(end - place)
            case 2:
                del made[place:end]
            case 3:
                made[place:place] = made[place:end] * random.choice((1, 1, 1000))
            case _ if place < len(made):
                made[place] ^= 1 << random.randrange(8)
    return bytes(made)


def answers(seed: str, one: Callable[[Random], bytes]) -> Iterator[list[bytes]]:
    """Without an end, each in one piece or two."""
    random = Random(seed)  # noqa: S311 - it keeps no secret
    while True:
        said = one(random)
        place = random.randrange(len(said) + 1)
        yield [said[:place], said[place:]] if random.random() < 0.3 else [said]


def check(told: Told, outcome: str) -> None:
    assert outcome in (COMPLETE, *ERROR_CODES)
    assert told.whole == (outcome == COMPLETE or told.status == OWN_STATUS)
    if told.status == OWN_STATUS:
        assert outcome == told.error


async def ask_each(made: Plane, port: int, scheme: str, faults: list[dict[str, Any]]) -> set[str]:
    """Make as many requests; how they ended."""
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    outcomes = set()
    for count in range(1, ANSWERS + 1):
        told = await made.ask(order_to(port, scheme=scheme))
        assert made.lines.pop().served.exception() is None
        ended = await made.until_ended(count)
        check(told, ended.outcome)
        outcomes.add(ended.outcome)
    return outcomes


@pytest.mark.timeout(60 + ANSWERS // 25)
@pytest.mark.parametrize("version", [1, 2])
async def test_whatever_a_host_answers_costs_its_own_request_alone(
    tmp_path: Path, version: int
) -> None:
    authority = Authority(tmp_path)
    serving = tls.server_side(authority.issue("server"))
    serving.set_alpn_protocols(["h2"])
    left = answers(f"answers {version}", http1 if version == 1 else http2)

    async def behave(peer: Peer) -> None:
        await (peer.head() if version == 1 else http2_head(peer))
        for piece in next(left):
            await peer.say(piece)
            await asyncio.sleep(0)

    faults: list[dict[str, Any]] = []
    async with (
        raw_server(behave, serving if version == 2 else None) as server,
        plane(authorities=tls.trusting(authority), allowance=PATIENT) as made,
    ):
        scheme = "http" if version == 1 else "https"
        outcomes = await ask_each(made, server.port, scheme, faults)
    assert faults == []
    assert len(outcomes) > 3, outcomes
