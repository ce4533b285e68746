from __future__ import annotations

import errno
import inspect
import re
import ssl
from pathlib import Path

import h11
import pytest

from wassette_protocol.broker_frames import ABORTED
from wassette_protocol.http_errors import ERROR_CODES
from wassette_supervisor import broker
from wassette_supervisor.broker import codes


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ECONNREFUSED, "connection-refused"),
        (errno.ETIMEDOUT, "connection-timeout"),
        (errno.ENETUNREACH, "destination-IP-unroutable"),
        (errno.EADDRNOTAVAIL, "destination-IP-unroutable"),
        (errno.EHOSTUNREACH, "destination-unavailable"),
        (errno.EACCES, "destination-unavailable"),
    ],
)
def test_what_the_kernel_says_of_a_connection_has_a_case(number: int, code: str) -> None:
    assert codes.of_connect(OSError(number, "")) == code


def test_a_certificate_that_nobody_vouches_for_is_told_from_other_errors_of_tls() -> None:
    alert = ssl.SSLError(1, "")
    alert.reason = "TLSV1_ALERT_INTERNAL_ERROR"
    assert codes.of_tls(ssl.SSLCertVerificationError(1, "")) == "TLS-certificate-error"
    assert codes.of_tls(alert) == "TLS-alert-received"
    assert codes.of_tls(ssl.SSLError(1, "")) == "TLS-protocol-error"
    assert codes.of_tls(ConnectionResetError()) == "TLS-protocol-error"
    assert codes.of_tls(TimeoutError()) == "connection-timeout"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (431, "HTTP-response-header-section-size"),
        (501, "HTTP-response-transfer-coding"),
        (400, "HTTP-protocol-error"),
    ],
)
def test_what_h11_refuses_of_an_answer_has_a_case(status: int, code: str) -> None:
    assert codes.of_answer(h11.RemoteProtocolError("x", error_status_hint=status)) == code


def test_an_error_names_nothing_but_its_case() -> None:
    assert str(codes.RequestError("DNS-error")) == "the request ended: DNS-error"


def test_every_case_that_the_broker_names_is_one_of_wasi_http() -> None:
    folder = Path(inspect.getfile(broker)).parent
    texts = "".join(path.read_text() for path in folder.glob("*.py"))
    named = set(re.findall(r'"((?:DNS|HTTP|TLS|connection|destination)-[A-Za-z-]+)"', texts))
    assert len(named) > 20
    assert named <= {*ERROR_CODES, ABORTED}
