"""What went wrong, as a case of wasi:http's error-code.

Libraries name what they choke on in their errors: a header's value, which may be a secret. So none
of their texts goes on from here, only a case.
"""

from __future__ import annotations

import errno
import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import h11

HTTP_FAULT: Final = "HTTP-protocol-error"
INCOMPLETE: Final = "HTTP-response-incomplete"
TERMINATED: Final = "connection-terminated"

# What a socket says of a way that leads nowhere.
_UNROUTABLE = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL}


class RequestError(Exception):
    """The request can't be served.

    `untouched` is true where the world can't have acted on it: it may be sent once more.
    """

    def __init__(self, code: str, *, untouched: bool = False) -> None:
        self.code = code
        self.untouched = untouched
        super().__init__(f"the request ended: {code}")


def of_connect(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection-refused"
    if isinstance(error, TimeoutError):  # ETIMEDOUT is one as well
        return "connection-timeout"
    return "destination-IP-unroutable" if error.errno in _UNROUTABLE else "destination-unavailable"


def of_tls(error: Exception) -> str:
    """Of a handshake that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "TLS-certificate-error"
    if isinstance(error, ssl.SSLError) and "ALERT" in (getattr(error, "reason", None) or ""):
        return "TLS-alert-received"
    if isinstance(error, TimeoutError):
        return "connection-timeout"
    return "TLS-protocol-error"


# h11 hints at the status with which a server would answer.
_TOO_LARGE, _NOT_IMPLEMENTED = 431, 501


def of_answer(error: h11.RemoteProtocolError) -> str:
    """Of what a server sent that h11 doesn't take."""
    if error.error_status_hint == _TOO_LARGE:
        return "HTTP-response-header-section-size"
    if error.error_status_hint == _NOT_IMPLEMENTED:
        return "HTTP-response-transfer-coding"
    return HTTP_FAULT


def of_request(error: h11.RemoteProtocolError) -> str:
    """Of what a worker sent that h11 doesn't take."""
    if error.error_status_hint == _TOO_LARGE:
        return "HTTP-request-header-section-size"
    return HTTP_FAULT
