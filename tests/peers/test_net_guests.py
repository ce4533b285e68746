"""The guests that make requests do so, with nothing between them and a server but the engine.

What they do under the product is tested elsewhere; a fault that is found there isn't theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from wasmtime import Engine, Store, WasiConfig, WasmtimeError
from wasmtime.component import Component, Linker

from support.guests import guest_path
from support.nginx import PAGE

if TYPE_CHECKING:
    from support.nginx import Nginx

# The first test of each guest compiles it.
pytestmark = pytest.mark.timeout(180)

FULL = ["net", "net_python"]
INTERFACES = {
    "net": "test:net/client@0.1.0",
    "net_python": "test:net/client@0.1.0",
    "net_javascript": "test:net-javascript/pages@0.1.0",
}
E_ACUTE = "\N{LATIN SMALL LETTER E WITH ACUTE}"
UNREACHABLE = "http://127.0.0.1:1/"  # a port that nobody has


class Host:
    """Calls the guests, each time in a fresh instance with the network of this process."""

    def __init__(self) -> None:
        self._engine = Engine()
        self._linker = Linker(self._engine)
        self._linker.add_wasip2()
        self._linker.add_wasi_http()
        self._compiled: dict[str, Component] = {}

    def call(self, guest: str, function: str, *arguments: Any) -> Any:
        if guest not in self._compiled:
            self._compiled[guest] = Component.from_file(self._engine, str(guest_path(guest)))
        store = Store(self._engine)
        store.set_wasi(WasiConfig())
        store.set_wasi_http()
        instance = self._linker.instantiate(store, self._compiled[guest])
        interface = instance.get_export_index(store, INTERFACES[guest])
        index = instance.get_export_index(store, function, interface)
        assert index is not None
        found = instance.get_func(store, index)
        assert found is not None
        return found(store, *arguments)


@pytest.fixture(scope="module")
def host() -> Host:
    return Host()


@pytest.mark.parametrize("guest", FULL)
def test_an_answer_is_whole(host: Host, peer: Nginx, guest: str) -> None:
    url = peer.url("http", "/trailers/page.txt")
    answer = host.call(guest, "fetch", "GET", url, [], None)
    assert (answer.status, answer.body) == (200, PAGE)
    assert dict(answer.headers)["content-type"] == "text/plain"
    assert answer.trailers == [("x-checksum", "42"), ("x-status", "200")]


@pytest.mark.parametrize("guest", FULL)
def test_a_request_has_its_headers_and_its_body(host: Host, peer: Nginx, guest: str) -> None:
    url = peer.url("http", f"/put/{guest}")
    headers = [("authorization", E_ACUTE)]
    peer.forget()
    assert host.call(guest, "fetch", "PUT", url, headers, b"some bytes").status == 201
    assert peer.put(guest) == b"some bytes"
    (seen,) = peer.seen(1)
    assert (seen.transfer_encoding, seen.authorization) == ("chunked", E_ACUTE)


@pytest.mark.parametrize("guest", FULL)
@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("GE T", "http", "a.example", "/"), "set-method"),
        (("GET", "ht tp", "a.example", "/"), "set-scheme"),
        (("GET", "http", "a example", "/"), "set-authority"),
        (("GET", "http", "a.example", "/ /"), "set-path-with-query"),
        (("GET", "http", None, "/"), "HTTP-request-URI-invalid"),
        (("GET", "http", "127.0.0.1:1", "/"), "connection-refused"),
    ],
)
def test_a_fault_is_told_by_its_name(
    host: Host, guest: str, words: tuple[str | None, ...], fault: str
) -> None:
    assert host.call(guest, "ask", *words) == fault


@pytest.mark.parametrize("guest", FULL)
@pytest.mark.parametrize(
    ("header", "fault"),
    [
        (("a b", "c"), "append invalid-syntax"),
        (("a", "b\r\nc: d"), "append invalid-syntax"),
        (("host", "elsewhere.example"), "append forbidden"),
    ],
)
def test_a_header_that_the_engine_refuses_is_told(
    host: Host, guest: str, header: tuple[str, str], fault: str
) -> None:
    assert host.call(guest, "fetch", "GET", UNREACHABLE, [header], None) == fault


@pytest.mark.parametrize("guest", FULL)
def test_much_goes_up_and_down(host: Host, peer: Nginx, guest: str) -> None:
    assert host.call(guest, "download", peer.url("http", "/100M")) == 100_000_000
    assert host.call(guest, "upload", peer.url("http", "/early"), 1_000_000) == 200
    assert host.call(guest, "abandon", peer.url("http", "/endless")) == 200


@pytest.mark.parametrize("guest", FULL)
def test_requests_are_sent_side_by_side(host: Host, peer: Nginx, guest: str) -> None:
    urls = [peer.url("http"), UNREACHABLE, peer.url("http", "/status/503"), "no url"]
    expected = [200, "connection-refused", 503, "set-scheme"]
    assert host.call(guest, "parallel", urls) == expected


@pytest.mark.parametrize("guest", FULL)
def test_a_guest_in_a_hurry_does_not_wait_for_a_slow_server(
    host: Host, peer: Nginx, guest: str
) -> None:
    assert host.call(guest, "hurry", peer.url("http"), 5000, 5000, 5000) == len(PAGE)


@pytest.mark.parametrize(
    ("guest", "faults"),
    [
        ("net", {"tcp": "create-tcp-socket access-denied", "udp": "create-udp-socket"}),
        ("net_python", {"tcp": "EACCES", "udp": "EACCES", "name": "getaddrinfo"}),
    ],
)
def test_sockets_are_tried(host: Host, guest: str, faults: dict[str, str]) -> None:
    faults = {"name": "resolve-addresses permanent-resolver-failure"} | faults
    for what in ("tcp-connect", "tcp-listen", "udp-bind", "udp-send", "name-lookup"):
        assert host.call(guest, "probe", what, 0).startswith(faults[what.partition("-")[0]]), what


def test_javascript_fetches(host: Host, peer: Nginx) -> None:
    page = host.call("net_javascript", "fetch-text", peer.url("http"))
    assert (page.status, page.text) == (200, PAGE.decode())
    urls = [peer.url("http"), peer.url("http", "/status/503")]
    assert host.call("net_javascript", "fetch-all", urls) == [200, 503]
    assert host.call("net_javascript", "count", peer.url("http", "/100M")) == 100_000_000
    assert (
        host.call("net_javascript", "post", peer.url("http", "/early"), "some text").status == 200
    )
    assert "TypeError" in host.call("net_javascript", "fetch-text", UNREACHABLE)


def test_a_header_beyond_latin_ends_the_guest_that_has_no_word_for_it(host: Host) -> None:
    with pytest.raises(WasmtimeError):
        host.call("net", "fetch", "GET", UNREACHABLE, [("a", "\N{UMBRELLA}")], None)
