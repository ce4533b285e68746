"""A connect() of another process is answered by one end of a pair, or by an error; never let be."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import time
from typing import TYPE_CHECKING

import anyio
import pytest

from support.processes import open_descriptors
from support.ringer import ringer
from wassette_supervisor.broker import doorbell
from wassette_supervisor.broker.doorbell import Bell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.ringer import Ringer


@pytest.fixture
def ringing() -> Iterator[Ringer]:
    with ringer() as made:
        yield made


async def rung(made: Ringer) -> None:
    """Wait until its process waits for an answer."""
    with anyio.fail_after(10):
        await anyio.wait_readable(made.listener)
    assert doorbell.state(made.listener) is Bell.RINGS


@pytest.mark.parametrize(
    ("host", "port"),
    [("127.0.0.1", 1), ("203.0.113.7", 443), ("::1", 9), ("255.255.255.255", 80)],
)
@pytest.mark.parametrize("deed", ["connect", "connect without waiting"])
async def test_whatever_the_address_is_the_socket_is_one_end_of_a_pair(
    ringing: Ringer, host: str, port: int, deed: str
) -> None:
    await ringing.begin(deed, host, port)
    await rung(ringing)
    ours = doorbell.answer(ringing.listener)
    assert ours is not None
    with ours:
        ours.sendall(b"from the broker")
        assert not os.get_inheritable(ours.fileno())
        assert not ours.getblocking()
        assert await ringing.result() == {
            "family": socket.AF_UNIX,
            "kind": socket.SOCK_STREAM,
            "blocks": False,
            "inherited": False,
            "heard": "from the broker",
        }
        assert doorbell.state(ringing.listener) is Bell.SILENT


async def test_a_connection_of_a_real_listener_is_not_made(ringing: Ringer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        await ringing.begin("connect", "127.0.0.1", server.getsockname()[1])
        await rung(ringing)
        ours = doorbell.answer(ringing.listener)
        assert ours is not None
        with ours:
            ours.sendall(b"x")
            await ringing.result()
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.EMFILE])
async def test_a_refusal_is_the_error_of_the_call(ringing: Ringer, number: int) -> None:
    await ringing.begin("connect", "127.0.0.1", 1)
    await rung(ringing)
    before = open_descriptors()
    assert doorbell.answer(ringing.listener, number) is None
    assert await ringing.result() == {"error": errno.errorcode[number]}
    assert open_descriptors() == before


async def test_without_a_descriptor_for_it_the_call_gets_that_error(ringing: Ringer) -> None:
    await ringing.begin("connect", "127.0.0.1", 1)
    await rung(ringing)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        assert doorbell.answer(ringing.listener) is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert await ringing.result() == {"error": "EMFILE"}


@pytest.mark.parametrize("number", [-1, 1 << 30])
async def test_a_number_that_no_descriptor_can_have_is_an_error(
    ringing: Ringer, number: int
) -> None:
    await ringing.begin("connect by number", number)
    await rung(ringing)
    before = open_descriptors()
    assert doorbell.answer(ringing.listener) is None
    assert await ringing.result() == "EBADF"
    assert open_descriptors() == before


async def test_nothing_comes_of_a_process_that_ended_meanwhile(ringing: Ringer) -> None:
    await ringing.begin("connect", "127.0.0.1", 1)
    await rung(ringing)
    before = open_descriptors()
    ringing.end()
    assert doorbell.answer(ringing.listener) is None
    assert open_descriptors() == before
    assert doorbell.state(ringing.listener) is Bell.GONE


async def test_a_process_that_is_stopped_meanwhile_is_answered_or_rings_again(
    ringing: Ringer,
) -> None:
    await ringing.begin("connect", "127.0.0.1", 1)
    await rung(ringing)
    ringing.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    first = doorbell.answer(ringing.listener)
    assert time.monotonic() - began < 5
    ringing.process.send_signal(signal.SIGCONT)
    ours = first
    if first is None:
        await rung(ringing)
        ours = doorbell.answer(ringing.listener)
    assert ours is not None
    with ours:
        ours.sendall(b"hello")
        assert (await ringing.result())["heard"] == "hello"


async def test_any_other_call_is_refused() -> None:
    with ringer("shutdown") as made:
        await made.begin("shut down")
        await rung(made)
        assert doorbell.answer(made.listener) is None
        assert await made.result() == "EACCES"


async def test_the_bell_is_silent_while_nobody_rings_and_gone_with_its_processes() -> None:
    with ringer() as made:
        assert doorbell.state(made.listener) is Bell.SILENT
        made.end()
        assert doorbell.state(made.listener) is Bell.GONE


async def test_many_calls_at_once_are_answered_each_by_a_pair_of_its_own() -> None:
    with ringer() as made:
        await made.begin("requests", [f"{number:032x}" for number in range(20)], 20)
        answered = 0
        while answered < 20:
            await rung(made)
            ours = doorbell.answer(made.listener)
            assert ours is not None
            with ours:
                ours.settimeout(10)
                head = ours.recv(4096).split()
                ours.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 33\r\n\r\n" + head[1])
            answered += 1
        results = await made.result()
        assert results == [[200, f"/{number:032x}", ""] for number in range(20)]
