"""A process whose connect() is told to whoever holds its listener, as a worker's is.

`Ringer` starts it and has it make requests; `python -m support.ringer NUMBER` is the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import http.client
import json
import os
import select
import socket
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from wassette_worker.sandbox import bpf, seccomp
from wassette_worker.sandbox.identity import forbid_new_privileges
from wassette_worker.sandbox.syscall_numbers import NUMBERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

TESTS = Path(__file__).parents[1]
# linux/seccomp.h
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
_MACHINE = os.uname().machine
_PATIENCE_S = 20
_LARGEST = 1 << 22
_KEPT = 4096  # of a body


class Rung(NamedTuple):
    """What came of one request: an answer; or the name of an error, by whichever call."""

    status: int
    body: str
    error: str = ""


class Ringer:
    """The process, and its listener."""

    def __init__(self, process: subprocess.Popen[bytes], peer: socket.socket) -> None:
        self.process = process
        self._peer = peer
        [_, [self.listener], _, _] = socket.recv_fds(peer, 1, 1)

    async def ask(self, *ids: str, at_once: int = 1) -> list[Rung]:
        """Make a request with each of these."""
        return [Rung(*one) for one in await self.do("requests", list(ids), at_once)]

    async def do(self, deed: str, *arguments: object) -> Any:
        """Have it do one of `_DEEDS`."""
        await self.begin(deed, *arguments)
        return await self.result()

    async def begin(self, deed: str, *arguments: object) -> None:
        self._peer.send(json.dumps([deed, *arguments]).encode())

    async def result(self) -> Any:
        with anyio.fail_after(_PATIENCE_S):
            await anyio.wait_readable(self._peer)
        return json.loads(self._peer.recv(_LARGEST))

    @property
    def has_said_more(self) -> bool:
        """Whether there is a result to be had."""
        return bool(select.select([self._peer], [], [], 0)[0])

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.end()
        self._peer.close()
        os.close(self.listener)


@contextlib.contextmanager
def ringer(*told: str) -> Iterator[Ringer]:
    """One whose calls of these names are told: of connect() if nothing is said."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
            [sys.executable, "-m", "support.ringer", str(theirs.fileno()), *(told or ("connect",))],
            cwd=TESTS,
            pass_fds=(theirs.fileno(),),
        )
    made = Ringer(process, ours)
    try:
        yield made
    finally:
        made.close()


@contextlib.asynccontextmanager
async def ringers(count: int) -> AsyncIterator[list[Ringer]]:
    with contextlib.ExitStack() as held:
        yield [held.enter_context(ringer()) for _ in range(count)]


# --- in the process -----------------------------------------------------------------------------


def _listener(told: list[str]) -> int:
    program = [bpf.load(bpf.NUMBER)]
    for call in told:
        program.append(bpf.unless_equal(getattr(NUMBERS[call], _MACHINE), 1))
        program.append(bpf.answer(seccomp.USER_NOTIF))
    program.append(bpf.answer(seccomp.ALLOW))
    code = ctypes.create_string_buffer(bpf.encode(program))
    filter_ = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    number = getattr(NUMBERS["seccomp"], _MACHINE)
    return int(libc.syscall(number, _SET_MODE_FILTER, _NEW_LISTENER, filter_))


def _named(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        """Without an option of TCP, which the end of a pair doesn't have."""
        self.sock = socket.create_connection((self.host, self.port), self.timeout)


def _request(identifier: str) -> Rung:
    connection = _Connection("127.0.0.1", 1, timeout=_PATIENCE_S)
    try:
        connection.request("GET", f"/{identifier}")
        answer = connection.getresponse()
        body = answer.read(_KEPT).decode("latin-1")
        while answer.read(1 << 20):
            pass
        return Rung(answer.status, body)
    except http.client.HTTPException as error:
        return Rung(0, "", type(error).__name__)
    except OSError as error:
        return Rung(0, "", _named(error))
    finally:
        connection.close()


def _requests(ids: list[str], at_once: int) -> list[Rung]:
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(_request, ids))


def _connect(host: str, port: int, timeout: float | None = None) -> dict[str, Any]:
    """What a socket is after its connect()."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as made:
        made.settimeout(timeout)
        before = made.fileno()
        try:
            made.connect((host, port))
        except OSError as error:
            return {"error": _named(error)}
        flags = {
            "family": made.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN),
            "kind": made.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE),
            "blocks": os.get_blocking(before),
            "inherited": os.get_inheritable(before),
        }
        made.settimeout(None)
        return flags | {"heard": made.recv(100).decode()}


def _connect_by_number(number: int) -> str:
    """A connect() of a descriptor that isn't there."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.connect(number, bytes(16), 16) < 0:
        return errno.errorcode[ctypes.get_errno()]
    return "connected"


def _connects(count: int) -> int:
    """How many connections of so many stand at once."""
    with contextlib.ExitStack() as held:
        done = 0
        for _ in range(count):
            made = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                made.connect(("127.0.0.1", 1))
                done += 1
        return done


def _shut_down() -> str:
    with socket.socket() as made:
        try:
            made.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            return _named(error)
    return "shut down"


_DEEDS: dict[str, Callable[..., object]] = {
    "requests": _requests,
    "connect": _connect,
    "connect without waiting": partial(_connect, timeout=0),
    "connect by number": _connect_by_number,
    "connects": _connects,
    "shut down": _shut_down,
}


def main() -> None:
    number, *told = sys.argv[1:]
    peer = socket.socket(fileno=int(number))
    forbid_new_privileges()
    listener = _listener(told)
    socket.send_fds(peer, [b"l"], [listener])
    os.close(listener)
    while line := peer.recv(_LARGEST):
        deed, *arguments = json.loads(line)
        peer.send(json.dumps(_DEEDS[deed](*arguments)).encode())


if __name__ == "__main__":
    main()
