"""What native code reaches of a network that stands in a guest's place where a host was granted.

No namespaces hold it here: what holds is the filter, whose listener answers its connections.
"""

from __future__ import annotations

import select
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from support.held import Done, does
from wassette_worker.sandbox.profiles import Profile

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLED = Done("", signal.SIGSYS)
WORKERS = ("forked worker", "fresh worker")
NETWORK = Profile.RUNTIME | Profile.NETWORK
FAST_OPEN = 0x2000_0000  # linux/socket.h: MSG_FASTOPEN


@pytest.fixture
def outsider() -> Iterator[socket.socket]:
    """Somebody whom the worker could talk to; nobody may come by."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening
        assert not select.select([listening], [], [], 0)[0]


# Another socket under the number of its own to the supervisor.
_AT_ITS_PLACE = "spare = socket.socket()\nos.close(3)\nfcntl.fcntl(spare, 1030, 3)\n"
# What reached an outsider when it was left out, each in a way of its own.
DEEDS = {
    "udp": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "mptcp": "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)",
    "ipv6": "socket.socket(socket.AF_INET6)",
    "unix": "socket.socket(socket.AF_UNIX)",
    "netlink": "socket.socket(16, socket.SOCK_RAW)",
    "packets": "socket.socket(17, socket.SOCK_RAW)",
    "vsock": "socket.socket(40)",
    "raw": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "a pair": "socket.socketpair()",
    "sendto fast": "socket.socket().sendto(b'x', FAST, there)",
    "sendto": "socket.socket().sendto(b'x', there)",
    "sendmsg fast": "socket.socket().sendmsg([b'x'], [], FAST, there)",
    "sendmsg": "socket.socket().sendmsg([b'x'])",
    "fast at its place": f"{_AT_ITS_PLACE}socket.socket(fileno=3).sendto(b'x', FAST, there)",
    "message fast at its place": f"{_AT_ITS_PLACE}ask('sendmsg', 3, 0, FAST)",
    "sendmmsg": "ask('sendmmsg', 3, 0, 1, FAST)",
    "bind": "socket.socket().bind(('127.0.0.1', 0))",
    "listen": "socket.socket().listen()",
    "accept": "socket.socket().accept()",
    "connect by the first bytes": "socket.socket().setsockopt(6, 30, 1)",
    "listen to itself": "ask('seccomp', 1, 8, 0)",
    "receive what it is told": "fcntl.ioctl(bell.descriptor, 0xC0502100, bytearray(80))",
    "a device": "fcntl.ioctl(socket.socket(), 0x8914, bytes(40))",
}


@pytest.mark.parametrize("kind", WORKERS)
@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_a_worker_with_a_network_that_broke_out_dies_of(
    deed: str, kind: str, outsider: socket.socket
) -> None:
    there = outsider.getsockname()
    prepared = f"there, FAST = {there!r}, {FAST_OPEN}\n"
    done = does(f"{prepared}{deed}\nfound = 1", kind=kind, profile=NETWORK)
    assert done == KILLED


@pytest.mark.parametrize("kind", WORKERS)
def test_a_connection_waits_for_whoever_holds_the_listener_and_reaches_nobody_else(
    kind: str, outsider: socket.socket
) -> None:
    deed = f"""
import _thread, select
peer = socket.socket()
told = []
ring = lambda peer, told: told.append(peer.connect({outsider.getsockname()!r}))
_thread.start_new_thread(ring, (peer, told))
listening = select.epoll()
listening.register(bell.descriptor)
found = [bool(listening.poll(5)), told]
"""
    assert does(deed, kind=kind, profile=NETWORK).found == str([True, []])


def test_nobody_is_told_of_a_connection_of_a_template_so_it_makes_none(
    outsider: socket.socket,
) -> None:
    # Kept, for the interpreter looks at one that it gives up.
    deed = f"peer = socket.socket()\nfound = tried(peer.connect, {outsider.getsockname()!r})"
    assert does(deed, kind="template", profile=NETWORK).found == "'ENOSYS'"
