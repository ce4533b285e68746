"""What a worker takes from its socket: descriptors with a grant alone, and as many as it names."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from support.processes import open_descriptors
from wassette_protocol import frames
from wassette_protocol.capabilities import MAX_DIRECTORIES, Preopen
from wassette_protocol.codec import TO_WORKER, PeerViolation, encode_frame
from wassette_worker.channel import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def peers() -> Iterator[tuple[socket.socket, Stream[frames.ToWorker]]]:
    """The supervisor's end, and the worker's."""
    ours, theirs = socket.socketpair()
    with ours:
        stream = Stream(theirs.detach(), TO_WORKER)
        yield ours, stream
        stream._socket.close()


Peers = tuple[socket.socket, Stream[frames.ToWorker]]


def grant(count: int, *environment: tuple[str, str]) -> frames.Grant:
    directories = [Preopen(f"d{number}", writable=False) for number in range(count)]
    return frames.Grant(list(environment), directories)


def send(peer: socket.socket, frame: frames.Frame, count: int) -> None:
    nulls = [os.open(os.devnull, os.O_PATH) for _ in range(count)]
    socket.send_fds(peer, [encode_frame(frame)], nulls)
    for number in nulls:
        os.close(number)


@pytest.mark.parametrize("count", [0, 1, MAX_DIRECTORIES])
def test_a_grant_brings_a_descriptor_for_each_of_its_directories(peers: Peers, count: int) -> None:
    ours, stream = peers
    send(ours, grant(count), count)
    frame, received = stream.receive_granted()
    assert frame == grant(count)
    assert len(received) == count
    assert all(not os.get_inheritable(number) for number in received)
    for number in received:
        os.close(number)


def test_a_grant_of_many_pieces_still_brings_its_descriptors(peers: Peers) -> None:
    ours, stream = peers
    long = grant(3, ("LONG", "v" * 900_000))
    thread = threading.Thread(target=send, args=(ours, long, 3))
    thread.start()
    frame, received = stream.receive_granted()
    thread.join()
    assert frame == long
    assert len(received) == 3
    for number in received:
        os.close(number)


@pytest.mark.parametrize(
    ("frame", "count"),
    [(grant(2), 1), (grant(2), 3), (grant(0), 1), (frames.Echo(1), 1), (grant(1), 0)],
    ids=["too few", "too many", "none wanted", "another frame", "missing"],
)
def test_another_number_of_descriptors_is_a_violation_and_none_is_kept(
    peers: Peers, frame: frames.Frame, count: int
) -> None:
    ours, stream = peers
    before = open_descriptors()
    send(ours, frame, count)
    with pytest.raises(PeerViolation, match=f"with {count} descriptors"):
        stream.receive_granted()
    assert open_descriptors() == before


def test_more_descriptors_than_any_grant_has_are_a_violation_and_none_is_kept(
    peers: Peers,
) -> None:
    ours, stream = peers
    before = open_descriptors()
    send(ours, grant(MAX_DIRECTORIES), MAX_DIRECTORIES + 10)
    with pytest.raises(PeerViolation, match="more descriptors"):
        stream.receive_granted()
    assert open_descriptors() == before


def test_a_frame_that_is_no_grant_brings_none(peers: Peers) -> None:
    ours, stream = peers
    before = open_descriptors()
    send(ours, frames.Echo(1), 1)
    with pytest.raises(PeerViolation, match="more descriptors"):
        stream.receive()
    assert open_descriptors() == before


def test_an_end_amid_a_grant_keeps_no_descriptor(peers: Peers) -> None:
    ours, stream = peers
    before = open_descriptors()
    with open(os.devnull) as null:  # noqa: PTH123 - any descriptor
        socket.send_fds(ours, [encode_frame(grant(1))[:-1]], [null.fileno()])
    ours.shutdown(socket.SHUT_WR)
    with pytest.raises(EOFError):
        stream.receive_granted()
    assert open_descriptors() == before
