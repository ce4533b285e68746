"""Descriptors that a worker sends with a frame other than its first."""

from __future__ import annotations

import os
import socket

import anyio
import pytest

from support.processes import open_descriptors
from wassette_protocol.codec import FROM_WORKER, PeerViolation, encode_frame
from wassette_protocol.frames import Instantiated
from wassette_supervisor.pool.channel import Stream


async def test_descriptors_with_a_later_frame_are_a_violation_and_none_is_kept() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003 - the standard library's
    stream = Stream(ours, FROM_WORKER)
    with theirs, anyio.fail_after(5):
        theirs.sendall(encode_frame(Instantiated(1)))
        assert await stream.receive() == Instantiated(1)
        before = open_descriptors()
        with open(os.devnull, "rb") as given:  # noqa: ASYNC230, PTH123 - a descriptor to give away
            socket.send_fds(theirs, [encode_frame(Instantiated(2))], [given.fileno()])
        with pytest.raises(PeerViolation, match="descriptors"):
            await stream.receive()
    assert open_descriptors().keys() <= before.keys()
    stream.close()
