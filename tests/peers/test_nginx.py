"""The nginx of the tests is what it claims to be, for a client that is not ours."""

from __future__ import annotations

import socket
import ssl
import urllib.parse
from typing import TYPE_CHECKING

import httpx2
import pytest

from support.nginx import PAGE, SPARSE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.certificates import Authority
    from support.nginx import Nginx


@pytest.fixture
def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.certificate)


@pytest.fixture
def client(trusting: ssl.SSLContext) -> Iterator[httpx2.Client]:
    with httpx2.Client(http2=True, verify=trusting, trust_env=False) as found:
        yield found


def raw(url: str, context: ssl.SSLContext | None = None) -> bytes:
    """All that comes for a GET, as it is on the wire of HTTP/1.1."""
    parts = urllib.parse.urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nconnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", parts.port or 80)) as plain:
        plain.settimeout(10)
        if context is None:
            return _exchange(plain, request)
        with context.wrap_socket(plain, server_hostname=parts.hostname) as secret:
            return _exchange(secret, request)


def _exchange(connection: socket.socket, request: str) -> bytes:
    connection.sendall(request.encode())
    with connection.makefile("rb") as answer:
        return answer.read()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize(
    ("kind", "version"), [("http", "HTTP/1.1"), ("https", "HTTP/2"), ("https1", "HTTP/1.1")]
)
def test_each_port_speaks_its_protocol_to_who_trusts_the_authority(
    peer: Nginx, client: httpx2.Client, kind: str, version: str, host: str
) -> None:
    answer = client.get(peer.url(kind, host=host))
    assert answer.content == PAGE
    assert answer.http_version == version


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("expired", "has expired"),
        ("wrong-host", "IP address mismatch"),
        ("self-signed", "self-signed"),
        ("stranger", "unable to get local issuer"),
        ("old", "ALERT|UNSUPPORTED_PROTOCOL|DISALLOWED"),
    ],
)
def test_what_is_wrong_with_a_port_is_that_and_nothing_else(
    peer: Nginx, client: httpx2.Client, kind: str, why: str
) -> None:
    with pytest.raises(httpx2.ConnectError, match=rf"(?i){why}"):
        client.get(peer.url(kind))


def test_who_does_not_know_the_authority_refuses_its_ports(peer: Nginx) -> None:
    with httpx2.Client(trust_env=False) as client, pytest.raises(httpx2.ConnectError, match="CERT"):
        client.get(peer.url("https"))


def test_a_packed_page_comes_in_chunks_and_without_a_length(
    peer: Nginx, client: httpx2.Client
) -> None:
    answer = client.get(peer.url("http", "/gzip/page.txt"))
    assert answer.content == PAGE
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.num_bytes_downloaded < len(PAGE)


def test_trailers_follow_the_last_chunk(peer: Nginx, trusting: ssl.SSLContext) -> None:
    end = b"\r\n0\r\nx-checksum: 42\r\nx-status: 200\r\n\r\n"
    assert raw(peer.url("http", "/trailers/page.txt")).endswith(end)
    assert raw(peer.url("https1", "/trailers/page.txt"), trusting).endswith(end)


def test_a_large_page_is_as_long_as_it_says(peer: Nginx, client: httpx2.Client) -> None:
    with client.stream("GET", peer.url("http", "/100M")) as answer:
        length = sum(map(len, answer.iter_raw()))
    assert length == SPARSE["100M"] == int(answer.headers["content-length"])


def test_large_headers_come_whole(peer: Nginx) -> None:
    for path, length in (("/large-header", 8 << 10), ("/huge-header", 64 << 10)):
        assert raw(peer.url("http", path)).count(b"large---") == length // len("large---")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/status/204", 204), ("/status/304", 304), ("/status/503", 503), ("/status/599", 599)],
)
def test_a_status_is_given_as_asked(
    peer: Nginx, client: httpx2.Client, path: str, status: int
) -> None:
    assert client.get(peer.url("https", path)).status_code == status


def test_a_redirect_leads_where_the_question_says(peer: Nginx, client: httpx2.Client) -> None:
    answer = client.get(peer.url("http", "/redirect?to=https://elsewhere.example/a"))
    assert answer.status_code == 302
    assert answer.headers["location"] == "https://elsewhere.example/a"


def test_it_echoes_what_it_was_sent(peer: Nginx, client: httpx2.Client) -> None:
    answer = client.get(peer.url("https", "/headers"), headers={"authorization": "Bearer s3cret"})
    assert "authorization: Bearer s3cret\n" in answer.text
    assert "protocol: HTTP/2.0\n" in answer.text
    assert answer.headers["x-authorization"] == "Bearer s3cret"


def test_it_keeps_what_is_put(peer: Nginx, client: httpx2.Client) -> None:
    body = bytes(range(256)) * 4096
    assert client.put(peer.url("https", "/put/some"), content=body).status_code == 201
    assert peer.put("some") == body
    assert client.put(peer.url("http", "/small-bodies-only"), content=body).status_code == 413


def test_it_tells_what_it_saw_and_over_which_connections(
    peer: Nginx, client: httpx2.Client
) -> None:
    peer.forget()
    for path in ("/page.txt", "/empty?a=b"):
        client.get(peer.url("https", path, host="localhost"))
    client.get(peer.url("http", "/missing"), headers={"connection": "close"})
    first, second, third = peer.seen(3)
    assert (first.target, second.target, third.target) == ("/page.txt", "/empty?a=b", "/missing")
    assert (first.name, first.protocol, first.completed) == ("localhost", "HTTP/2.0", "OK")
    assert first.connection == second.connection != third.connection
    assert (third.status, third.port) == ("404", str(peer.ports["http"]))
