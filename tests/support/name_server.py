"""A name server of the tests, by UDP and TCP, which says what it is told to: the truth or not."""

from __future__ import annotations

import ipaddress
import selectors
import socket
import struct
import threading
from collections import defaultdict
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of a client by TCP, which is served alone: it has its question ready.
_PATIENCE_S = 5
_PLAIN_UDP = 512  # RFC 1035, 4.2.1: what one without EDNS takes
_TTL_S = 60


class Addresses(NamedTuple):
    """Of both kinds; a question of one kind gets those, and may get none."""

    addresses: tuple[str, ...]
    ttl: int = _TTL_S


class Alias(NamedTuple):
    """A CNAME; what the server knows of the other name comes in the same answer."""

    target: str


class Failure(NamedTuple):
    """An answer with this code: NXDOMAIN, SERVFAIL, REFUSED."""

    code: str


class Silence(NamedTuple):
    """Nothing is sent."""


class Truncated(NamedTuple):
    """By UDP only that there is more; by TCP all of it."""

    answer: Addresses | Alias


class Lie(NamedTuple):
    """First a false answer, as of somebody who guesses; then the true one, if there is one.

    The false one has the wrong `id`, the wrong `question`, or comes from a wrong `port`.
    """

    wrong: str
    false: Addresses
    true: Addresses | None = None


class Noise(NamedTuple):
    """Bytes in place of an answer."""

    content: bytes


Answer: TypeAlias = Addresses | Alias | Failure | Silence | Truncated | Lie | Noise


class Asked(NamedTuple):
    name: str  # in lower case, without the last dot
    kind: str  # A, AAAA, ...
    by: str  # UDP or TCP


class NameServer:
    """What it says, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._udp, self._tcp = _sockets()
        self.port: int = self._udp.getsockname()[1]
        self._elsewhere = socket.socket(type=socket.SOCK_DGRAM)
        self._elsewhere.bind(("127.0.0.1", 0))
        self._script: dict[str, tuple[Answer, ...]] = {}
        self._turns: defaultdict[tuple[str, str], int] = defaultdict(int)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def say(self, name: str, *answers: Answer) -> None:
        """Give these for a name in turn, for each kind of question; the last one again and again.

        A name that nothing was said of doesn't exist.
        """
        self._script[name.lower()] = answers
        for key in [key for key in self._turns if key[0] == name.lower()]:
            del self._turns[key]

    def count(self, name: str, kind: str = "A") -> int:
        return sum(one.name == name and one.kind == kind for one in self.asked)

    # --- the thread

    def serve(self, stop: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            for one in (self._udp, self._tcp, stop):
                selector.register(one, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if stop in ready:
                    return
                if self._udp in ready:
                    self._serve_udp()
                if self._tcp in ready:
                    with suppress(OSError, struct.error):  # somebody who goes away
                        self._serve_tcp()

    def close(self) -> None:
        for one in (self._udp, self._tcp, self._elsewhere):
            one.close()

    def _serve_udp(self) -> None:
        wire, peer = self._udp.recvfrom(65535)
        query, answer = self._answer_to(wire, "UDP")
        if isinstance(answer, Lie):
            false = self._message(query, answer.false)
            if answer.wrong == "id":
                false.id ^= 1
            if answer.wrong == "question":
                question = false.question[0]
                other = dns.name.from_text("other.example.")
                false.question[0] = dns.rrset.RRset(other, question.rdclass, question.rdtype)
            sender = self._elsewhere if answer.wrong == "port" else self._udp
            sender.sendto(_in_a_datagram(query, false), peer)
            answer = answer.true or Silence()
        if isinstance(answer, Truncated):
            short = dns.message.make_response(query, recursion_available=True)
            short.flags |= dns.flags.TC
            self._udp.sendto(short.to_wire(), peer)
        elif isinstance(answer, Noise):
            self._udp.sendto(answer.content, peer)
        elif not isinstance(answer, Silence):
            message = self._message(query, answer)
            self._udp.sendto(_in_a_datagram(query, message), peer)

    def _serve_tcp(self) -> None:
        peer, _ = self._tcp.accept()
        with peer:
            peer.settimeout(_PATIENCE_S)
            with peer.makefile("rb") as stream:
                (length,) = struct.unpack("!H", stream.read(2))
                query, answer = self._answer_to(stream.read(length), "TCP")
            if isinstance(answer, Truncated):
                answer = answer.answer
            if isinstance(answer, Lie):
                answer = answer.true or Silence()
            if isinstance(answer, Noise):
                peer.sendall(answer.content)
            elif not isinstance(answer, Silence):
                wire = self._message(query, answer).to_wire(max_size=65535)
                peer.sendall(struct.pack("!H", len(wire)) + wire)

    def _answer_to(self, wire: bytes, by: str) -> tuple[dns.message.Message, Answer]:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append(Asked(name, kind, by))
        answers = self._script.get(name, (Failure("NXDOMAIN"),))
        turn = self._turns[name, kind]
        # Who is told to ask by TCP asks the same again.
        if not isinstance(answers[min(turn, len(answers) - 1)], Truncated) or by == "TCP":
            self._turns[name, kind] += 1
        return query, answers[min(turn, len(answers) - 1)]

    def _message(
        self, query: dns.message.Message, answer: Addresses | Alias | Failure
    ) -> dns.message.Message:
        message = dns.message.make_response(query, recursion_available=True)
        name = query.question[0].name
        seen = set()
        while isinstance(answer, Alias) and name not in seen:
            seen.add(name)
            message.answer.append(_records(name, "CNAME", (f"{answer.target}.",), _TTL_S))
            name = dns.name.from_text(answer.target)
            known = self._script.get(answer.target.lower(), (Addresses(()),))[-1]
            if not isinstance(known, Addresses | Alias | Failure):
                return message
            answer = known
        if isinstance(answer, Failure):
            message.set_rcode(dns.rcode.from_text(answer.code))
        if isinstance(answer, Addresses):
            kind = dns.rdatatype.to_text(query.question[0].rdtype)
            fit = tuple(one for one in answer.addresses if _kind_of(one) == kind)
            if fit:
                message.answer.append(_records(name, kind, fit, answer.ttl))
        return message


@contextmanager
def name_server() -> Iterator[NameServer]:
    server = NameServer()
    stop, stopped = socket.socketpair()
    thread = threading.Thread(target=server.serve, args=[stopped])
    thread.start()
    try:
        yield server
    finally:
        stop.close()
        thread.join()
        stopped.close()
        server.close()


def addresses(*these: str, ttl: int = _TTL_S) -> Addresses:
    return Addresses(these, ttl)


def _sockets() -> tuple[socket.socket, socket.socket]:
    """Of UDP and TCP, by one number; the one that is free of UDP may be somebody's of TCP."""
    while True:
        udp = socket.socket(type=socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(udp.getsockname())
        except OSError:
            udp.close()


def _kind_of(address: str) -> str:
    return "A" if ipaddress.ip_address(address).version == 4 else "AAAA"


def _records(name: dns.name.Name, kind: str, texts: tuple[str, ...], ttl: int) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(name, ttl, dns.rdataclass.IN, kind, texts)


def _in_a_datagram(query: dns.message.Message, message: dns.message.Message) -> bytes:
    """As much as the asker takes, with the flag that there is more."""
    room = max(query.payload, _PLAIN_UDP)
    return message.to_wire(max_size=room, prefer_truncation=True)
