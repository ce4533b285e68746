"""A port that answers, and one who allows requests to it in place of a policy."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from wassette_protocol.broker_frames import AddressRules, Destination
from wassette_supervisor.pool.requests import Decided, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wassette_protocol.broker_frames import RequestEnded
    from wassette_protocol.frames import HttpRequested

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Decider:
    """Allows what goes to one port of this machine; notes what it was asked and how it ended."""

    component = "net"

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked_for: list[HttpRequested] = []
        self.most = 0
        self.ended: list[RequestEnded] = []

    async def asked(self, wanted: HttpRequested, under_way: int) -> Decided | Refusal:
        self.asked_for.append(wanted)
        self.most = max(self.most, under_way)
        if not (wanted.authority or "").endswith(f":{self.port}"):
            return Refusal()
        place = Destination("http", "127.0.0.1", self.port, ["127.0.0.1"])
        rules = AddressRules(lifted=[["127.0.0.0/8"]])
        path = wanted.path or "/"
        return Decided(place, wanted.method, path, rules, (), self.ended.append)


@contextlib.contextmanager
def answering(last: bytes = b"\r\n\r\n") -> Iterator[int]:
    """A port at which every connection gets one answer, when the last of its request has come."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):  # until it is shut down
                while True:
                    _answer(listening.accept()[0], last)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _answer(peer: socket.socket, last: bytes) -> None:
    with peer, contextlib.suppress(ConnectionError):  # who asked is gone
        asked = b""
        while last not in asked:
            piece = peer.recv(1 << 16)
            if not piece:
                return
            asked += piece
        peer.sendall(_ANSWER)
