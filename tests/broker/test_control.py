"""The broker's end of its socket to the supervisor: it never waits, and never holds without end."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import anyio
import pytest

from wassette_protocol.broker_frames import Detached
from wassette_protocol.codec import FROM_BROKER
from wassette_protocol.frames import ChildId
from wassette_supervisor.broker import control
from wassette_supervisor.broker.control import Control

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 5_000  # more than a socket holds


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The supervisor's end and the broker's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.settimeout(0)
        yield ours, theirs


async def test_what_finds_no_room_is_sent_when_there_is_some_and_in_order(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    left: list[str] = []
    told = Control(theirs, left.append)
    for number in range(MANY):
        told.send(Detached(ChildId(number)))
    read: list[int] = []
    while len(read) < MANY:
        with anyio.fail_after(10):
            await anyio.wait_readable(ours)
        frame = FROM_BROKER.decode(ours.recv(65536))
        assert isinstance(frame, Detached)
        read.append(frame.worker)
    assert read == list(range(MANY))
    assert left == []


async def test_it_ends_rather_than_keep_what_nobody_reads(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    left: list[str] = []
    told = Control(pair[1], left.append)
    while not left:
        told.send(Detached(ChildId(1)))
        assert len(told._unsent) <= control.MOST_UNSENT + 1
    assert left == ["the supervisor doesn't read what it is told"]


async def test_it_ends_when_nobody_is_there_to_be_told(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    left: list[str] = []
    told = Control(pair[1], left.append)
    pair[0].close()
    told.send(Detached(ChildId(1)))
    assert left == [""]
    with pytest.raises(EOFError):
        told.receive()
