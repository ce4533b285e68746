"""The name server of the tests says what it was told to, to a resolver that is not ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.resolver
import pytest

from support.name_server import (
    Alias,
    Asked,
    Failure,
    Lie,
    Noise,
    Silence,
    Truncated,
    addresses,
)

if TYPE_CHECKING:
    from support.name_server import NameServer

PATIENCE_S = 10
SHORT_S = 0.2  # for what never comes
PUBLIC = "203.0.113.5"


def resolved(names: NameServer, name: str, kind: str = "A") -> list[str]:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], names.port
    resolver.lifetime = PATIENCE_S
    return [str(one) for one in resolver.resolve(f"{name}.", kind)]


def by_udp(names: NameServer, name: str, timeout: float = PATIENCE_S) -> dns.message.Message:
    query = dns.message.make_query(f"{name}.", "A")
    return dns.query.udp(query, "127.0.0.1", timeout, names.port)


def test_each_kind_of_question_gets_its_addresses(names: NameServer) -> None:
    names.say("a.example", addresses(PUBLIC, "2001:db8::1"))
    assert resolved(names, "a.example") == [PUBLIC]
    assert resolved(names, "A.Example", "AAAA") == ["2001:db8::1"]
    assert names.asked == [Asked("a.example", kind, "UDP") for kind in ("A", "AAAA")]


def test_a_name_leads_elsewhere_when_it_is_asked_again(names: NameServer) -> None:
    names.say("a.example", addresses(PUBLIC), addresses("127.0.0.1"))
    assert [resolved(names, "a.example") for _ in range(3)] == [
        [PUBLIC],
        ["127.0.0.1"],
        ["127.0.0.1"],
    ]
    assert names.count("a.example") == 3


def test_an_alias_brings_what_is_known_of_its_target(names: NameServer) -> None:
    names.say("a.example", Alias("b.example"))
    names.say("b.example", Alias("c.example"))
    names.say("c.example", addresses(PUBLIC))
    assert resolved(names, "a.example") == [PUBLIC]
    assert names.count("a.example") == len(names.asked) == 1


def test_an_alias_of_itself_ends(names: NameServer) -> None:
    names.say("a.example", Alias("b.example"))
    names.say("b.example", Alias("a.example"))
    assert len(by_udp(names, "a.example").answer) == 2


@pytest.mark.parametrize("code", ["NXDOMAIN", "SERVFAIL", "REFUSED"])
def test_a_failure_has_its_code(names: NameServer, code: str) -> None:
    names.say("a.example", Failure(code))
    assert dns.rcode.to_text(by_udp(names, "a.example").rcode()) == code


def test_a_name_that_nothing_was_said_of_does_not_exist(names: NameServer) -> None:
    with pytest.raises(dns.resolver.NXDOMAIN):
        resolved(names, "unknown.example")


def test_silence_is_an_answer_that_does_not_come(names: NameServer) -> None:
    names.say("a.example", Silence(), addresses(PUBLIC))
    with pytest.raises(dns.exception.Timeout):
        by_udp(names, "a.example", SHORT_S)
    assert resolved(names, "a.example") == [PUBLIC]


def test_a_truncated_answer_is_whole_by_tcp(names: NameServer) -> None:
    names.say("a.example", Truncated(addresses(PUBLIC)), Failure("NXDOMAIN"))
    assert by_udp(names, "a.example").flags & dns.flags.TC
    assert resolved(names, "a.example") == [PUBLIC]
    assert [one.by for one in names.asked] == ["UDP", "UDP", "TCP"]


def test_more_than_a_datagram_takes_is_told_by_tcp(names: NameServer) -> None:
    many = [f"203.0.113.{number}" for number in range(250)]
    names.say("a.example", addresses(*many))
    assert sorted(resolved(names, "a.example")) == sorted(many)
    assert names.asked[-1].by == "TCP"


@pytest.mark.parametrize("wrong", ["id", "question", "port"])
def test_a_lie_is_told_before_the_truth(names: NameServer, wrong: str) -> None:
    names.say("a.example", Lie(wrong, addresses("127.0.0.1"), addresses(PUBLIC)))
    query = dns.message.make_query("a.example.", "A")
    port = names.port
    with pytest.raises((dns.query.BadResponse, dns.query.UnexpectedSource)):
        dns.query.udp(query, "127.0.0.1", PATIENCE_S, port)
    patient = dns.query.udp(
        query, "127.0.0.1", PATIENCE_S, port, ignore_unexpected=True, ignore_errors=True
    )
    assert PUBLIC in patient.answer[0].to_text()


def test_noise_is_no_answer(names: NameServer) -> None:
    names.say("a.example", Noise(b"\x00not a message"))
    with pytest.raises((dns.exception.FormError, dns.query.BadResponse)):
        by_udp(names, "a.example")
