"""Which addresses may be dialled: those of our own table not, in whatever they are wrapped."""

from __future__ import annotations

import ipaddress
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy.address import (
    REFUSED,
    Range,
    Refused,
    forms,
    is_metadata,
    ranges,
    refusal,
)

EVERYTHING = [ranges(["0.0.0.0/0", "::/0"])]

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.0.0.1",
    "128.0.0.1", "168.63.129.15", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
    "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
    "223.255.255.255", "2001:200::1", "2400:cb00::1", "2606:4700:4700::1111", "2a00:1450::1",
    "2001:4860:4860::8888", "2003::1", "2620:fe::fe",
]  # fmt: skip

# facts/attacks.md, H13: the standard library calls none of these private, and five of them global.
H13 = [
    "100.100.100.200", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "::127.0.0.1", "192.0.0.192",
    "168.63.129.16",
]  # fmt: skip


def wrapped(v4: str) -> dict[str, str]:
    """An IPv4 address in everything that a translator, or the kernel, makes it of again."""
    bits = int(ipaddress.IPv4Address(v4))
    high, low = bits >> 16, bits & 0xFFFF
    octets = bits.to_bytes(4, "big")
    inverted = bits ^ 0xFFFF_FFFF
    local = ipaddress.IPv6Address("64:ff9b:1::").packed
    return {
        "mapped": f"::ffff:{v4}",
        "mapped, in hex": f"::ffff:{high:x}:{low:x}",
        "compatible": f"::{v4}",
        "translated": f"::ffff:0:{v4}",
        "NAT64": f"64:ff9b::{v4}",
        "local NAT64 /96": f"64:ff9b:1::{v4}",
        "local NAT64 /96 of a site": f"64:ff9b:1:abcd:ef::{v4}",
        "local NAT64 /48": str(
            ipaddress.IPv6Address(local[:6] + octets[:2] + b"\0" + octets[2:] + bytes(5))
        ),
        "local NAT64 /56": str(
            ipaddress.IPv6Address(local[:6] + b"\7" + octets[:1] + b"\0" + octets[1:] + bytes(4))
        ),
        "local NAT64 /64": str(ipaddress.IPv6Address(local[:6] + b"\7\7\0" + octets + bytes(3))),
        "6to4": f"2002:{high:x}:{low:x}::1",
        "Teredo server": f"2001:0:{high:x}:{low:x}:0:0:f7f7:f7f7",
        "Teredo client": f"2001:0:808:808:0:0:{inverted >> 16:x}:{inverted & 0xFFFF:x}",
        "ISATAP": f"2a00:1:2:3:0:5efe:{high:x}:{low:x}",
        "ISATAP, of a global one": f"2a00:1:2:3:200:5efe:{high:x}:{low:x}",
    }


WRAPPINGS = sorted(wrapped("10.0.0.1"))


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: str(row.range))
def test_each_row_of_the_table_is_refused_from_its_first_address_to_its_last(row: Refused) -> None:
    assert row.source
    for address in (row.range.network_address, row.range.broadcast_address):
        reason = refusal(str(address), ())
        assert reason is not None
        assert reason.startswith("it is ")
        assert str(address) not in reason.split(", as ")[0]
        assert refusal(str(address), (), EVERYTHING) is None


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_dialled(address: str) -> None:
    assert refusal(address, ()) is None
    assert refusal(address, (), [()]) is None


@pytest.mark.parametrize("address", H13)
def test_what_the_standard_library_takes_for_public_and_is_not_is_refused(address: str) -> None:
    assert not ipaddress.ip_address(address).is_private
    assert refusal(address, ()) is not None


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "it is a loopback address"),
        ("169.254.169.254", "it is a metadata service of a cloud"),
        ("169.254.1.1", "it is a link-local address"),
        ("fd00:ec2::254", "it is a metadata service of a cloud"),
        ("fd00::1", "it is a private address"),
        ("::ffff:10.0.0.1", "it is a private address, as 10.0.0.1 within it is"),
        ("2001:0:1::", "it is an address of a Teredo tunnel"),
        ("4000::1", "it is an address that nobody is given"),
        ("255.255.255.255", "it is the broadcast address"),
        ("::", "it is the unspecified address"),
    ],
)
def test_the_reason_is_that_of_the_narrowest_row(address: str, reason: str) -> None:
    assert refusal(address, ()) == reason


@pytest.mark.parametrize(
    "text",
    [
        "", "localhost", "127.1", "0x7f.1", "2130706433", "017700000001", "127.0.0.1 ", " ::1",
        "127.0.0.1.", "127.0.0.01", "[::1]", "::1%lo", "fe80::1%eth0", "2a00::1%25eth0", "1.1.1.1%",
        "1.1.1.1/32", "1.1.1.1:80", "1.1.1.1\0", "\u0661.1.1.1", "::\uff11", "\ud800", "1.1.1.1\n",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_address_is_refused_whatever_is_lifted(text: str) -> None:
    assert refusal(text, (), EVERYTHING) == "it is no address"
    assert forms(text) == ()
    assert not is_metadata(text)


# --- wrapped --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", WRAPPINGS)
@pytest.mark.parametrize("inside", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "100.100.100.200"])
def test_what_is_refused_is_refused_in_every_wrapping(how: str, inside: str) -> None:
    address = wrapped(inside)[how]
    assert ipaddress.ip_address(inside) in forms(address)
    assert refusal(address, ()) is not None
    # To lift what it is wrapped in is not enough.
    assert refusal(address, (), [ranges(["::/0"])]) is not None
    assert refusal(address, (), EVERYTHING) is None


@pytest.mark.parametrize("how", WRAPPINGS)
def test_what_is_denied_is_denied_in_every_wrapping(how: str) -> None:
    address = wrapped("93.184.216.34")[how]
    denied = ranges(["93.184.216.0/24"])
    assert refusal(address, denied, EVERYTHING) == "a rule denies it"
    assert refusal(address, ranges(["93.184.217.0/24"]), EVERYTHING) is None


@pytest.mark.parametrize("how", ["mapped", "mapped, in hex", "NAT64", "6to4", "ISATAP"])
def test_what_is_public_is_dialled_in_a_wrapping_that_is_in_use(how: str) -> None:
    assert refusal(wrapped("93.184.216.34")[how], ()) is None


@pytest.mark.parametrize("how", ["mapped", "NAT64", "6to4"])
def test_a_range_of_ipv4_lifts_what_is_wrapped(how: str) -> None:
    address = wrapped("10.1.2.3")[how]
    assert refusal(address, (), [ranges(["10.1.0.0/16"])]) is None
    assert refusal(address, (), [ranges(["10.2.0.0/16"])]) is not None


def test_both_ends_of_a_tunnel_are_judged() -> None:
    client_refused = wrapped("127.0.0.1")["Teredo client"]
    tunnel = ranges(["2001::/32"])
    assert refusal(client_refused, (), [tunnel]) == (
        "it is a loopback address, as 127.0.0.1 within it is"
    )
    assert refusal(client_refused, (), [(*tunnel, *ranges(["127.0.0.0/8"]))]) is None


def test_loopback_and_the_unspecified_address_hold_no_ipv4() -> None:
    assert len(forms("::1")) == len(forms("::")) == 1
    assert refusal("::1", (), [ranges(["::1/128"])]) is None
    assert refusal("::2", (), [ranges(["::2/128"])]) is not None


# --- denied and lifted ----------------------------------------------------------------------


def test_a_deny_wins_over_what_is_lifted_and_what_is_public() -> None:
    lifted = [ranges(["10.0.0.0/8"])]
    assert refusal("10.1.2.3", ranges(["10.1.0.0/16"]), lifted) == "a rule denies it"
    assert refusal("10.2.2.3", ranges(["10.1.0.0/16"]), lifted) is None
    assert refusal("1.1.1.1", ranges(["1.1.1.1/32"]), EVERYTHING) == "a rule denies it"
    assert refusal("2a00::1", ranges(["::/0"])) == "a rule denies it"


def test_every_layer_has_to_lift_it() -> None:
    wide, narrow, other = (ranges([text]) for text in ("10.0.0.0/8", "10.1.0.0/16", "fd00::/8"))
    nothing: tuple[Range, ...] = ()
    by_all = [[wide], [wide, narrow], [narrow, wide, (*other, *wide)]]
    assert all(refusal("10.1.2.3", (), layers) is None for layers in by_all)
    not_by_all = [[], [nothing], [wide, nothing], [wide, other], [other, wide], [narrow, other]]
    assert all(refusal("10.1.2.3", (), layers) is not None for layers in not_by_all)
    assert refusal("10.2.2.3", (), [wide, narrow]) is not None


def test_different_forms_may_be_lifted_by_different_ranges_of_a_layer() -> None:
    address = wrapped("10.1.2.3")["local NAT64 /96"]
    outer, inner = ranges(["64:ff9b:1::/48"]), ranges(["10.0.0.0/8"])
    assert refusal(address, (), [(*outer, *inner)]) is None
    assert refusal(address, (), [outer, inner]) is not None
    assert refusal(address, (), [outer]) is not None
    assert refusal(address, (), [inner]) is not None


def test_metadata_services_are_known_in_every_wrapping() -> None:
    assert all(map(is_metadata, wrapped("169.254.169.254").values()))
    assert not is_metadata("169.254.169.253")
    assert not is_metadata("127.0.0.1")


def test_a_text_that_is_no_range_is_refused() -> None:
    assert ranges([]) == ()
    for text in ("10.0.0.1", "10.0.0.1/8", "::ffff:10.0.0.0/104", "fe80::%1/64"):
        with pytest.raises(PolicyError):
            ranges(["10.0.0.0/8", text])


# --- laws -----------------------------------------------------------------------------------

ADDRESSES = st.ip_addresses() | st.sampled_from(
    [row.range.network_address + 0 for row in REFUSED]
    + [ipaddress.ip_address(text) for text in wrapped("10.0.0.1").values()]
)


@given(ADDRESSES)
def test_nothing_is_dialled_that_the_standard_library_calls_other_than_global(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if refusal(str(address), ()) is None:
        judged = forms(str(address))
        # What its versions say of wrapped addresses differs: those are judged by what is inside.
        assert all(form.is_global for form in judged[1:] or judged)
        assert not any(form.is_multicast for form in judged)


@given(st.text(), st.text())
def test_every_text_is_answered(text: str, other: str) -> None:
    assert refusal(text, EVERYTHING[0]) in ("it is no address", "a rule denies it")
    refusal(f"{text}:{other}", (), EVERYTHING)


def test_a_judgement_takes_little_time_with_as_many_ranges_as_there_may_be() -> None:
    many = ranges(f"10.{n}.0.0/16" for n in range(256))
    began = time.process_time()
    for n in range(50):
        refusal(f"64:ff9b::11.0.0.{n}", many, [many] * 8)
    assert time.process_time() - began < 1
