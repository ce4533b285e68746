"""From a name to a connection: what is asked, which address is dialled, what TLS must show."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from support import tls
from support.certificates import Authority, self_signed
from support.guest_end import ALLOWANCE, LOOPBACK, order_to, plane
from support.name_server import (
    Addresses,
    Alias,
    Failure,
    Lie,
    NameServer,
    Noise,
    Silence,
    Truncated,
    addresses,
    name_server,
)
from support.raw_server import Peer, raw_server, saying, saying_and_gone
from wassette_protocol.broker_frames import COMPLETE, AddressRules, Destination
from wassette_supervisor.broker import names
from wassette_supervisor.broker.codes import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wassette_protocol.broker_frames import Order

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
NAME = "name.example"


@pytest.fixture
def asked() -> Iterator[NameServer]:
    with name_server() as server:
        yield server


def by_name(port: int, servers: NameServer, rules: AddressRules = LOOPBACK) -> Order:
    destination = Destination("http", NAME, port, name_servers=[servers.address])
    return order_to(port, destination=destination, rules=rules)


def at(port: int, *known: str, rules: AddressRules = LOOPBACK) -> Order:
    destination = Destination("http", NAME, port, list(known), ["127.0.0.1:1"])
    return order_to(port, destination=destination, rules=rules)


# --- names


async def test_a_name_is_asked_once_for_each_connection_and_never_remembered(
    asked: NameServer,
) -> None:
    asked.say(NAME, addresses("127.0.0.1"))
    async with raw_server(saying_and_gone(OK)) as server, plane() as made:
        for count in (1, 2):
            assert (await made.ask(by_name(server.port, asked))).body == b"ok"
            assert (asked.count(NAME, "A"), asked.count(NAME, "AAAA")) == (count, count)
        assert server.head()["host"] == f"{NAME}:{server.port}"


async def test_the_address_that_was_judged_is_the_one_that_is_dialled(asked: NameServer) -> None:
    asked.say(NAME, addresses("127.0.0.1"), addresses("127.0.0.2"))
    async with raw_server(saying_and_gone(OK)) as server, plane() as made:
        rules = AddressRules(["127.0.0.2/32"], LOOPBACK.lifted)
        assert (await made.ask(by_name(server.port, asked, rules))).body == b"ok"
        assert made.ended[-1].address == "127.0.0.1"
        again = await made.ask(by_name(server.port, asked, rules))
        assert again.error == "destination-IP-prohibited"
        assert (asked.count(NAME), server.connections, made.ended[-1].address) == (2, 1, "")


async def test_good_addresses_are_dialled_past_those_that_are_refused(asked: NameServer) -> None:
    asked.say(NAME, addresses("169.254.169.254", "10.0.0.1", "127.0.0.1", "fe80::1"))
    async with raw_server(saying(OK)) as server, plane() as made:
        assert (await made.ask(by_name(server.port, asked))).body == b"ok"
        assert made.ended[0].address == "127.0.0.1"


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "169.254.169.254", "64:ff9b::7f00:1"],
)
async def test_a_name_that_leads_to_a_refused_address_reaches_nothing(
    asked: NameServer, address: str
) -> None:
    asked.say(NAME, addresses(address))
    async with raw_server(saying(OK)) as server, plane() as made:
        answer = await made.ask(by_name(server.port, asked, AddressRules()))
        assert (answer.error, server.connections) == ("destination-IP-prohibited", 0)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param(Failure("NXDOMAIN"), "DNS-error", id="no such name"),
        pytest.param(Failure("SERVFAIL"), "DNS-error", id="a server that fails"),
        pytest.param(Addresses(()), "DNS-error", id="no address"),
        pytest.param(Alias(NAME), "DNS-error", id="an alias of itself"),
        pytest.param(Silence(), "DNS-timeout", id="no answer"),
        pytest.param(Noise(b"\xff" * 40), "DNS-timeout", id="no message"),
    ],
)
async def test_a_name_that_leads_nowhere_is_an_error(
    asked: NameServer, said: Failure, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "_ALL_SECONDS", 0.5)
    asked.say(NAME, said)
    async with plane() as made:
        assert (await made.ask(by_name(1, asked))).error == code


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(Truncated(addresses("127.0.0.1")), id="more by TCP"),
        pytest.param(Lie("id", addresses("127.0.0.9"), addresses("127.0.0.1")), id="wrong id"),
        pytest.param(
            Lie("question", addresses("127.0.0.9"), addresses("127.0.0.1")), id="wrong question"
        ),
    ],
)
async def test_the_true_answer_of_a_name_server_is_taken(asked: NameServer, said: Lie) -> None:
    asked.say(NAME, said)
    assert await names.resolve(NAME, [asked.address]) == ["127.0.0.1"]


async def test_an_alias_is_followed_and_long_answers_are_cut(asked: NameServer) -> None:
    asked.say("other.example", addresses(*(f"127.0.1.{n}" for n in range(200))))
    asked.say(NAME, Alias("other.example"))
    assert len(await names.resolve(NAME, [asked.address])) == 64


async def test_both_kinds_of_addresses_are_tried_in_turn(asked: NameServer) -> None:
    asked.say(NAME, addresses("127.0.0.1", "127.0.0.2", "::1", "::2"))
    found = await names.resolve(NAME, [asked.address])
    assert [":" in address for address in found] == [True, False, True, False]
    assert set(found) == {"::1", "127.0.0.1", "::2", "127.0.0.2"}


async def test_a_second_name_server_is_asked_when_the_first_does_not_answer(
    asked: NameServer,
) -> None:
    asked.say(NAME, addresses("127.0.0.1"))
    with socket.socket(type=socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
    assert await names.resolve(NAME, [nobody, asked.address]) == ["127.0.0.1"]


@pytest.mark.parametrize("servers", [[], ["127.0.0.1"], ["nonsense:53"], ["[::1]:x"]])
async def test_without_a_name_server_no_name_is_found(servers: list[str]) -> None:
    with pytest.raises(RequestError) as raised:
        await names.resolve(NAME, servers)
    assert raised.value.code == "DNS-error"


async def test_names_are_absolute_and_short_ones_are_asked_as_they_are(asked: NameServer) -> None:
    asked.say("short", addresses("127.0.0.1"))
    assert await names.resolve("short", [asked.address]) == ["127.0.0.1"]
    assert {each.name for each in asked.asked} == {"short"}


async def test_a_request_that_ends_while_a_name_is_asked_is_late_by_that(
    asked: NameServer,
) -> None:
    asked.say(NAME, Silence())
    allowance = msgspec.structs.replace(ALLOWANCE, first_byte_ms=200)
    async with plane(allowance=allowance) as made:
        assert (await made.ask(by_name(1, asked))).error == "DNS-timeout"


# --- addresses


async def test_known_addresses_are_dialled_without_asking_and_judged_all_the_same() -> None:
    async with raw_server(saying(OK)) as server, plane() as made:
        assert (await made.ask(at(server.port, "127.0.0.1"))).body == b"ok"
        refused = await made.ask(at(server.port, "127.0.0.1", rules=AddressRules()))
        assert refused.error == "destination-IP-prohibited"


@pytest.mark.parametrize("address", ["127.0.0.1%lo", "localhost", "127.1", "", "::1%1"])
async def test_what_is_no_plain_address_is_not_dialled(address: str) -> None:
    async with plane() as made:
        assert (await made.ask(at(1, address))).error == "destination-IP-prohibited"


async def test_rules_that_can_not_be_read_are_told() -> None:
    async with plane() as made:
        answer = await made.ask(at(1, "127.0.0.1", rules=AddressRules(["nonsense"])))
        assert answer.error == "configuration-error"


async def test_a_port_on_which_nobody_listens_refuses() -> None:
    async with plane() as made:
        assert (await made.ask(at(1, "127.0.0.1", "127.0.0.2"))).error == "connection-refused"
        assert made.ended[0].address == "127.0.0.1"


async def test_the_next_address_is_tried_when_one_refuses_or_takes_its_time() -> None:
    async with raw_server(saying_and_gone(OK)) as server, plane() as made:
        assert (await made.ask(at(server.port, "127.0.0.9", "127.0.0.1"))).body == b"ok"
        with stuck("127.0.0.8", server.port):
            before = time.monotonic()
            assert (await made.ask(at(server.port, "127.0.0.8", "127.0.0.1"))).body == b"ok"
            assert time.monotonic() - before < 5
        assert [ended.address for ended in made.ended] == ["127.0.0.1"] * 2


async def test_a_connection_that_never_comes_is_late() -> None:
    allowance = msgspec.structs.replace(ALLOWANCE, first_byte_ms=300)
    with stuck("127.0.0.8") as port:
        async with plane(allowance=allowance) as made:
            for known in (["127.0.0.8"], ["127.0.0.8", "127.0.0.8"]):
                assert (await made.ask(at(port, *known))).error == "connection-timeout"
                assert made.ended[-1].address == "127.0.0.8"


@contextlib.contextmanager
def stuck(address: str, port: int = 0) -> Iterator[int]:
    """A port whose queue is full: nobody is refused, and nobody gets in."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server((address, port), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(full.getsockname())
        yield full.getsockname()[1]


# --- TLS


class Sides:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.client = tls.trusting(self.authority)
        self.server = tls.server_side(self.authority.issue("server"))


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


def over_tls(port: int, host: str = "localhost") -> Order:
    return order_to(port, destination=Destination("https", host, port, ["127.0.0.1"]))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_server_must_show_the_name_or_address_that_it_was_asked_by(
    sides: Sides, host: str
) -> None:
    named: list[str | None] = []
    sides.server.sni_callback = lambda _, name, __: named.append(name)
    async with (
        raw_server(saying(OK), sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        for _ in range(2):
            assert (await made.ask(over_tls(server.port, host))).body == b"ok"
        assert (server.connections, server.head()["host"]) == (1, f"{host}:{server.port}")
        assert made.ended[0].version == "HTTP/1.1"
        assert named == ([host] if host == "localhost" else [None])


@pytest.mark.parametrize("kind", ["another name", "expired", "signed by itself"])
async def test_a_certificate_that_does_not_hold_is_an_error(sides: Sides, kind: str) -> None:
    match kind:
        case "another name":
            shown = sides.authority.issue("other", ("other.example",))
        case "expired":
            shown = sides.authority.issue_expired("expired")
        case _:
            shown = self_signed(sides.folder, "own")
    async with (
        raw_server(saying(OK), tls.server_side(shown)) as server,
        plane(authorities=sides.client) as made,
    ):
        assert (await made.ask(over_tls(server.port))).error == "TLS-certificate-error"
        assert (server.heads, made.ended[0].address) == ([], "127.0.0.1")


async def test_a_server_that_speaks_no_tls_is_an_error(sides: Sides) -> None:
    async def greet(peer: Peer) -> None:
        await peer.say(b"220 mail.example ESMTP\r\n")
        await peer.ended()

    async def leave(peer: Peer) -> None:
        await peer.reader.read(1)

    for behave in (greet, leave):
        async with raw_server(behave) as server, plane(authorities=sides.client) as made:
            assert (await made.ask(over_tls(server.port))).error == "TLS-protocol-error"


async def test_a_server_that_refuses_the_handshake_is_an_error(sides: Sides) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.say(b"\x15\x03\x03\x00\x02\x02\x28")  # RFC 8446, 6: a fatal handshake_failure
        await peer.ended()

    async with raw_server(refuse) as server, plane(authorities=sides.client) as made:
        assert (await made.ask(over_tls(server.port))).error == "TLS-alert-received"


async def test_a_body_that_ends_with_the_connection_is_whole_over_tls_too(sides: Sides) -> None:
    body = bytes(1 << 20)
    async with (
        raw_server(saying_and_gone(b"HTTP/1.1 200 OK\r\n\r\n", body), sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        answer = await made.ask(over_tls(server.port))
        assert (answer.body == body, answer.whole) == (True, True)
        assert made.ended[0].outcome == COMPLETE


async def test_requests_at_once_do_not_wait_for_each_other_where_no_connection_is_for_many(
    sides: Sides,
) -> None:
    async with (
        raw_server(saying(OK), sides.server) as server,
        plane(authorities=sides.client) as made,
    ):
        asking = [made.ask(over_tls(server.port)) for _ in range(5)]
        assert [told.body for told in await asyncio.gather(*asking)] == [b"ok"] * 5


async def test_requests_that_wait_for_a_connection_are_told_that_there_is_none(
    sides: Sides,
) -> None:
    async with plane(authorities=sides.client) as made:
        asking = [made.ask(over_tls(1)) for _ in range(5)]
        assert {told.error for told in await asyncio.gather(*asking)} == {"connection-refused"}
        assert not made.world._shared
