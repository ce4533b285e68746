"""Where hosts lead without a question to anybody, and who is asked for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wassette_protocol.broker_frames import MAX_ADDRESSES, Destination
from wassette_supervisor.authority.names import Names
from wassette_supervisor.policy.request_words import Words, read

if TYPE_CHECKING:
    from pathlib import Path

HOSTS = """\
127.0.0.1\tlocalhost  # and more
# 10.0.0.9 commented.example
10.0.0.1 printer.example Printer alias.example. # 10.0.0.8
  10.0.0.2   printer.example
fd00::1 printer.example
10.0.0.1 printer.example
fe80::1%eth0 zone.example
no-address what.example
10.0.0.3
10.0.0.4 localhost x.localhost
::ffff:10.0.0.5 mapped.example
"""
RESOLVER = """\
# nameserver 10.0.0.9
search example.org
nameserver
nameserver 10.0.0.53 trailing
nameserver fe80::1%eth0
 nameserver fd00::53
nameserver host.example
nameserver 10.0.0.54
nameserver 10.0.0.55
options edns0
"""


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    (tmp_path / "hosts").write_text(HOSTS)
    return tmp_path / "hosts"


@pytest.fixture
def resolver(tmp_path: Path) -> Path:
    (tmp_path / "resolv.conf").write_text(RESOLVER)
    return tmp_path / "resolv.conf"


def destination(names: Names, authority: str) -> Destination:
    words = read("GET", "http", authority, "/")
    assert isinstance(words, Words)
    return names.destination(words)


SERVERS = ["10.0.0.53:53", "[fd00::53]:53", "10.0.0.54:53"]


@pytest.mark.parametrize(
    ("authority", "host", "addresses"),
    [
        ("10.0.0.1:81", "10.0.0.1", ["10.0.0.1"]),
        ("[FD00::1]", "fd00::1", ["fd00::1"]),
        ("[::ffff:10.0.0.1]", "10.0.0.1", ["10.0.0.1"]),
        ("localhost", "localhost", ["127.0.0.1", "::1"]),
        ("LOCALHOST.", "localhost", ["127.0.0.1", "::1"]),
        ("x.localhost", "x.localhost", ["127.0.0.1", "::1"]),
        ("printer.example", "printer.example", ["10.0.0.1", "10.0.0.2", "fd00::1"]),
        ("PRINTER", "printer", ["10.0.0.1"]),
        ("alias.example", "alias.example", ["10.0.0.1"]),
        ("mapped.example", "mapped.example", ["10.0.0.5"]),
        ("commented.example", "commented.example", []),
        ("zone.example", "zone.example", []),
        ("what.example", "what.example", []),
        ("other.example", "other.example", []),
    ],
)
def test_a_host_leads_where_this_machine_says_or_name_servers_are_asked(
    hosts: Path, resolver: Path, authority: str, host: str, addresses: list[str]
) -> None:
    found = destination(Names(None, hosts, resolver), authority)
    assert (found.host, found.addresses) == (host, addresses)
    assert found.name_servers == ([] if addresses else SERVERS)
    assert found.port == (81 if ":81" in authority else 80)


def test_the_name_server_of_the_operator_is_asked_alone(hosts: Path, resolver: Path) -> None:
    names = Names("127.0.0.1:5353", hosts, resolver)
    assert destination(names, "other.example").name_servers == ["127.0.0.1:5353"]
    assert destination(names, "printer").name_servers == []


def test_both_files_are_read_again_when_they_change(hosts: Path, resolver: Path) -> None:
    names = Names(None, hosts, resolver)
    assert destination(names, "new.example").name_servers == SERVERS
    hosts.write_text("10.7.7.7 new.example\n")
    resolver.write_text("nameserver 10.7.7.53\n")
    assert destination(names, "new.example").addresses == ["10.7.7.7"]
    assert destination(names, "printer").name_servers == ["10.7.7.53:53"]
    hosts.unlink()
    resolver.unlink()
    assert destination(names, "new.example").name_servers == ["127.0.0.1:53"]
    hosts.write_text("10.8.8.8 new.example\n")
    assert destination(names, "new.example").addresses == ["10.8.8.8"]


def test_a_file_that_was_put_in_the_place_of_another_is_read(hosts: Path, resolver: Path) -> None:
    names = Names(None, hosts, resolver)
    destination(names, "printer")
    new = hosts.with_name("new")
    new.write_text(HOSTS.replace("10.0.0.1 ", "10.0.0.7 ", 1))
    new.replace(hosts)
    assert destination(names, "printer").addresses == ["10.0.0.7"]


def test_what_is_no_text_or_not_there_is_nothing(tmp_path: Path) -> None:
    nothing = Names(None, tmp_path / "none", tmp_path)
    assert destination(nothing, "a.example").name_servers == ["127.0.0.1:53"]
    (tmp_path / "hosts").write_bytes(b"\xff\xfe 10.0.0.1\n10.0.0.2 a.example \xff\n\0\n")
    assert destination(Names(None, tmp_path / "hosts", tmp_path), "a.example").addresses == [
        "10.0.0.2"
    ]


def test_as_many_addresses_as_an_order_takes_are_known_of_one_name(tmp_path: Path) -> None:
    many = "".join(f"10.0.{n}.1 a.example\n" for n in range(200))
    (tmp_path / "hosts").write_text(many)
    found = destination(Names(None, tmp_path / "hosts", tmp_path), "a.example").addresses
    assert found == [f"10.0.{n}.1" for n in range(MAX_ADDRESSES)]


def test_a_file_that_is_read_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("#" * (1 << 20) + "\n10.0.0.1 a.example\n")
    assert destination(Names(None, tmp_path / "hosts", tmp_path), "a.example").addresses == []
