"""Which authorities the broker believes, when it can open no file any more."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from support.brokers import broker, last_words, server
from support.certificates import Authority
from support.ringer import Rung, ringer
from wassette_protocol.broker_frames import Destination
from wassette_supervisor.broker import trust

if TYPE_CHECKING:
    from pathlib import Path

    from support.brokers import Running


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(autouse=True)
def _nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's authorities are those that a test makes."""
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))


def names(context: ssl.SSLContext) -> list[str]:
    found = map(x509.load_der_x509_certificate, context.get_ca_certs(binary_form=True))
    return sorted(one.subject.rfc4514_string() for one in found)


def hashed(folder: Path, *authorities: Authority) -> Path:
    """A directory as a system has it: each by the hash of its subject."""
    folder.mkdir()
    for authority in authorities:
        done = subprocess.run(  # noqa: S603 - of the system
            [_openssl(), "x509", "-hash", "-noout", "-in", str(authority.certificate)],
            capture_output=True,
            text=True,
            check=True,
        )
        (folder / f"{done.stdout.strip()}.0").symlink_to(authority.certificate)
    (folder / "README").write_text("not a certificate")
    return folder


def _openssl() -> str:
    found = shutil.which("openssl")
    if found is None:
        pytest.skip("NOT RUN: a directory of certificates is made by openssl, which isn't here")
    return found


async def outcome(running: Running, context: ssl.SSLContext) -> str:
    """What comes of a request to a server of this certificate."""
    with ringer() as worker:
        async with server(tls=context) as there:
            await running.attach(1, worker.listener)
            to = Destination("https", "localhost", there.port, ["127.0.0.1"])
            order = await running.order(1, there.port, "/", destination=to)
            [answer] = await worker.ask(order)
            ended = await running.ended()
            assert (answer == Rung(200, "you asked for /")) == (ended.outcome == "complete")
            return ended.outcome


def serving(authority: Authority) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*authority.issue("server"))
    return made


def test_chain_and_name_are_verified_and_old_versions_refused() -> None:
    context = trust.context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_nobody_is_believed_where_nobody_is_named() -> None:
    assert names(trust.context()) == []


def test_what_is_added_is_believed_beside_the_systems(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_the_system = Authority(tmp_path, "of the system")
    monkeypatch.setenv("SSL_CERT_FILE", str(of_the_system.certificate))
    more = authority.certificate.read_bytes()
    assert names(trust.context(more)) == ["CN=of the system", "CN=the authority of the tests"]


@pytest.mark.parametrize(
    "more", [b"no certificate", "größer".encode(), b"-----BEGIN CERTIFICATE-----\nAAAA\n"]
)
def test_what_is_added_and_no_certificate_is_an_error(more: bytes) -> None:
    with pytest.raises(trust.AuthoritiesError, match="not certificates in PEM"):
        trust.context(more)


def test_a_directory_of_the_systems_is_read_at_once(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Authority(tmp_path, "another one")
    folders = [hashed(tmp_path / "one", authority), hashed(tmp_path / "two", other)]
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join(map(str, folders)))
    context = trust.context()
    for folder in folders:
        shutil.rmtree(folder)
    assert names(context) == ["CN=another one", "CN=the authority of the tests"]


async def test_a_server_of_the_systems_directory_is_believed_by_a_broker_without_files(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(hashed(tmp_path / "certs", authority)))
    async with broker() as running:
        assert await outcome(running, serving(authority)) == "complete"


async def test_a_server_of_an_added_authority_is_believed(authority: Authority) -> None:
    async with broker(authority.certificate) as running:
        assert await outcome(running, serving(authority)) == "complete"


async def test_without_any_authority_it_starts_and_says_so_and_no_server_is_believed(
    authority: Authority,
) -> None:
    async with broker() as running:
        assert "no https request succeeds; install" in running.said()
        assert await outcome(running, serving(authority)) == "TLS-certificate-error"


async def test_it_does_not_start_with_a_file_that_has_no_certificate(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no certificate")
    assert "the added authorities are not certificates in PEM" in await last_words(file)
