"""One request against what a call may do: an order with all that it needs, or a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wassette_protocol.broker_frames import MAX_ADDRESSES, Order
from wassette_protocol.codec import TO_BROKER, encode_body
from wassette_protocol.frames import MAX_TARGET, ChildId, HttpRequested
from wassette_protocol.http_errors import REFUSALS
from wassette_supervisor.authority.names import Names
from wassette_supervisor.authority.request_rules import (
    MAX_INJECTED_BYTES,
    Judge,
    Permitted,
    Refused,
    judge,
)
from wassette_supervisor.policy.effective import Effective, effective
from wassette_supervisor.policy.enforceable import MAX_RANGES, unenforced
from wassette_supervisor.policy.parsing import parse, parse_ceiling

if TYPE_CHECKING:
    from pathlib import Path

POLICY = """\
version: "1.0"
permissions:
  network:
    allow:
    - {host: a.example}
    - {host: "https://key.example", paths: ["/v1/**"],
       inject: {headers: {authorization: "Bearer ${secret:KEY}", x-plain: "as it is"}}}
    - {host: "https://key.example", methods: [PUT], paths: ["/v1/**"],
       inject: {headers: {authorization: "Bearer ${secret:KEY}", x-plain: "as it is"}}}
    - {host: "https://two.example", inject: {headers: {x-two: "${secret:KEY}-${secret:OTHER}"}}}
    - {host: localhost}
    deny:
    - {host: "bad.a.example"}
tools:
  less: {permissions: {network: {allow: [{host: a.example, methods: [GET]}]}}}
"""
SECRETS = {"KEY": "s3cret", "OTHER": "0ther", "UNUSED": "unused"}


def right(text: str = POLICY, tool: str | None = None, ceiling: str | None = None) -> Effective:
    above = None if ceiling is None else parse_ceiling(ceiling.encode()).policy
    return effective(parse(text.encode()).policy, tool, above, None)


@pytest.fixture
def names(tmp_path: Path) -> Names:
    return Names("10.0.0.53:53", tmp_path / "hosts", tmp_path / "resolv.conf")


def ask(authority: str | None, path: str | None = "/", method: str = "GET") -> HttpRequested:
    return HttpRequested(method, None, authority, path)


def permitted(found: Permitted | Refused) -> Permitted:
    assert isinstance(found, Permitted), found
    return found


def refused(found: Permitted | Refused) -> Refused:
    assert isinstance(found, Refused), found
    assert found.code in REFUSALS
    assert found.reason.isprintable()
    return found


def test_a_request_that_is_allowed_has_all_that_the_broker_needs(names: Names) -> None:
    found = permitted(judge(right(), {}, names, ask("A.example.:443", "/\u00e9?q")))
    assert (found.words.request.method, found.words.target) == ("GET", "/%C3%A9?q")
    at = found.destination
    assert (at.scheme, at.host, at.port) == ("https", "a.example", 443)
    assert (at.addresses, at.name_servers) == ([], ["10.0.0.53:53"])
    assert (found.inject, found.rule.number) == ((), 1)
    assert found.rules.lifted == [[]]


def test_localhost_is_known_and_its_addresses_are_lifted(names: Names) -> None:
    found = permitted(judge(right(), {}, names, ask("localhost")))
    assert found.destination.addresses == ["127.0.0.1", "::1"]
    assert found.rules.lifted == [["127.0.0.0/8", "::1/128"]]


def test_a_judge_is_the_same_and_shows_no_secret(names: Names) -> None:
    judging = Judge(right(), SECRETS, names)
    asked = ask("key.example", "/v1/a")
    found = permitted(judging(asked))
    assert found == judge(right(), SECRETS, names, asked)
    for shown in (repr(judging), repr(found), str(found)):
        assert not [value for value in SECRETS.values() if value in shown]


# --- headers --------------------------------------------------------------------------------


def test_headers_are_injected_with_their_secrets(names: Names) -> None:
    for method in ("GET", "PUT"):  # a second rule that says the same adds nothing
        found = permitted(judge(right(), SECRETS, names, ask("key.example", "/v1/a", method)))
        assert found.inject == (("authorization", "Bearer s3cret"), ("x-plain", "as it is"))
    found = permitted(judge(right(), SECRETS, names, ask("two.example")))
    assert found.inject == (("x-two", "s3cret-0ther"),)
    assert permitted(judge(right(), SECRETS, names, ask("a.example"))).inject == ()


def test_no_rule_that_a_request_does_not_match_injects_anything(names: Names) -> None:
    text = POLICY.replace("- {host: a.example}", '- {host: a.example}\n    - {host: "*.example"}')
    found = permitted(judge(right(text), SECRETS, names, ask("key.example", "/v2")))
    assert found.inject == ()


def test_a_secret_that_is_not_there_is_a_refusal_that_names_it(names: Names) -> None:
    found = refused(judge(right(), {"KEY": "s3cret"}, names, ask("two.example")))
    assert found.code == "HTTP-request-denied"
    assert found.reason == "there is no secret OTHER, which goes with it as x-two"
    assert (found.rule and found.rule.number, found.offer) == (4, None)


@pytest.mark.parametrize(
    "value",
    [
        "a\r\nx-evil: 1", "a\n", "a\r", "\0", "a\0b", "a\tb", "\x7f", "\u00e9", "\u2028", "a ",
        "\x1b[0m", "\ud800", "\u0661",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_secret_that_no_header_can_hold_is_a_refusal_without_it(names: Names, value: str) -> None:
    found = refused(judge(right(), {"KEY": value}, names, ask("key.example", "/v1")))
    assert found.reason.startswith("with its secrets the header authorization is no line of")
    assert value.strip() not in found.reason or value.strip() in ("a", "")


def test_a_secret_with_the_form_of_another_is_sent_as_it_is(names: Names) -> None:
    secrets = {"KEY": "${secret:OTHER}\\1", "OTHER": "never"}
    found = permitted(judge(right(), secrets, names, ask("key.example", "/v1")))
    assert dict(found.inject)["authorization"] == "Bearer ${secret:OTHER}\\1"


def test_headers_that_would_not_fit_are_refused(names: Names) -> None:
    fits = MAX_INJECTED_BYTES - len("authorization" + "Bearer " + "x-plain" + "as it is")
    for size, kind in ((fits, Permitted), (fits + 1, Refused)):
        found = judge(right(), {"KEY": "k" * size}, names, ask("key.example", "/v1"))
        assert isinstance(found, kind)


def test_the_largest_order_there_can_be_fits_into_a_packet(tmp_path: Path) -> None:
    addresses = [f"2a00:1111:2222:3333:4444:5555:6666:{n:04x}" for n in range(1000, 1200)]
    name = ".".join(["a" * 63] * 3 + ["b" * 61])
    (tmp_path / "hosts").write_text("".join(f"{address} {name}\n" for address in addresses))
    some = ", ".join(f"{{cidr: '{address}/128'}}" for address in addresses[:MAX_RANGES])
    own = (
        f"network: {{deny: [{some}], allow: [{some}, {{host: 'https://{name}',"
        " inject: {headers: {x-k: '${secret:KEY}'}}}]}"
    )
    limits = own.replace(", inject: {headers: {x-k: '${secret:KEY}'}}", "")
    # No two layers have a range in common.
    section = limits.replace("2a00", "2a01")
    above = limits.replace("2a00", "2a02")
    text = f"version: '1.0'\npermissions: {{{own}}}\ntools: {{t: {{permissions: {{{section}}}}}}}"
    all_of_it = right(text, "t", f"version: '1.0'\npermissions: {{{above}}}")
    assert unenforced(parse(text.encode()).policy) == []
    names = Names(None, tmp_path / "hosts", tmp_path)
    secrets = {"KEY": "k" * (MAX_INJECTED_BYTES - 3)}
    asked = ask(name, "/" + "a" * (MAX_TARGET - 1), "M" * 32)
    found = permitted(judge(all_of_it, secrets, names, asked))
    assert len(found.rules.denied) == 3 * MAX_RANGES
    assert [len(layer) for layer in found.rules.lifted] == [MAX_RANGES] * 3
    assert len(found.destination.addresses) == MAX_ADDRESSES
    order = Order(
        "0" * 32,
        ChildId(1 << 31),
        found.destination,
        found.words.request.method,
        found.words.target,
        found.rules,
        list(found.inject),
    )
    assert TO_BROKER.decode(encode_body(order)) == order


# --- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (ask(None), "HTTP-request-URI-invalid"),
        (ask("a.example", "*"), "HTTP-request-URI-invalid"),
        (ask("a.example", method="CONNECT"), "HTTP-request-method-invalid"),
        (ask("a.example", "/" + "\u00e9" * MAX_TARGET), "HTTP-request-URI-too-long"),
        (HttpRequested("GET", "ftp", "a.example", "/"), "HTTP-request-URI-invalid"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_what_is_no_request_is_refused_and_nobody_is_asked(
    names: Names, asked: HttpRequested, code: str
) -> None:
    found = refused(judge(right(), SECRETS, names, asked))
    assert (found.code, found.words, found.rule, found.offer) == (code, None, None, None)


ABOVE = 'version: "1.0"\npermissions: {network: {allow: [{host: "*.example"}]}}'


class Lack(NamedTuple):
    """What no rule allows: the rule that is offered, or that denies it."""

    asked: HttpRequested
    offer: str | None
    rule: int | None = None
    tool: str | None = None
    ceiling: str | None = None


@pytest.mark.parametrize(
    "lack",
    [
        pytest.param(Lack(ask("b.example:8443", "/a"), "https://b.example:8443"), id="with a port"),
        pytest.param(Lack(ask("B.example."), "https://b.example"), id="in its normal form"),
        pytest.param(Lack(ask("key.example", "/v2"), "https://key.example"), id="another path"),
        pytest.param(Lack(ask("127.0.0.1:81"), "https://127.0.0.1:81"), id="IPv4"),
        pytest.param(Lack(ask("[fd00::1]"), "https://[fd00::1]"), id="IPv6"),
        pytest.param(Lack(ask("bad.a.example"), None, rule=6), id="denied"),
        pytest.param(Lack(ask("169.254.169.254"), None), id="metadata"),
        pytest.param(Lack(ask("[64:ff9b::a9fe:a9fe]"), None), id="metadata, wrapped"),
        pytest.param(Lack(ask("b.example"), None, tool="less"), id="no host of the tool"),
        pytest.param(Lack(ask("a.example", method="PUT"), None, tool="less"), id="nor its method"),
        pytest.param(Lack(ask("b.example"), "https://b.example", ceiling=ABOVE), id="below"),
        pytest.param(Lack(ask("b.test"), None, ceiling=ABOVE), id="beyond the ceiling"),
    ],
)
def test_a_rule_is_offered_for_what_lacks_one_and_nothing_else(names: Names, lack: Lack) -> None:
    found = refused(judge(right(POLICY, lack.tool, lack.ceiling), SECRETS, names, lack.asked))
    assert found.code == "HTTP-request-denied"
    assert found.words is not None
    assert ((found.rule and found.rule.number), found.offer) == (lack.rule, lack.offer)
    if lack.offer is not None:
        text = POLICY.replace("allow:\n    -", f'allow:\n    - {{host: "{lack.offer}"}}\n    -', 1)
        after = judge(right(text, lack.tool, lack.ceiling), SECRETS, names, lack.asked)
        assert permitted(after).rule.number == 1


TEXTS = st.none() | st.text(max_size=20)
JUDGED = right()


@given(st.text(max_size=20), TEXTS, TEXTS, TEXTS)
@settings(max_examples=200, deadline=None)
def test_every_request_is_answered(
    method: str, scheme: str | None, authority: str | None, path: str | None
) -> None:
    found = judge(
        JUDGED, SECRETS, Names("10.0.0.53:53"), HttpRequested(method, scheme, authority, path)
    )
    assert isinstance(found, Permitted | Refused)
