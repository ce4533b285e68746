"""What can come of a guest's request instead of an answer: the cases of wasi:http's error-code.

In the order of their definition (wasi:http 0.2, types.wit), by which the broker and the guard in
the worker name them to each other.
"""

from __future__ import annotations

ERROR_CODES = (
    "DNS-timeout",
    "DNS-error",
    "destination-not-found",
    "destination-unavailable",
    "destination-IP-prohibited",
    "destination-IP-unroutable",
    "connection-refused",
    "connection-terminated",
    "connection-timeout",
    "connection-read-timeout",
    "connection-write-timeout",
    "connection-limit-reached",
    "TLS-protocol-error",
    "TLS-certificate-error",
    "TLS-alert-received",
    "HTTP-request-denied",
    "HTTP-request-length-required",
    "HTTP-request-body-size",
    "HTTP-request-method-invalid",
    "HTTP-request-URI-invalid",
    "HTTP-request-URI-too-long",
    "HTTP-request-header-section-size",
    "HTTP-request-header-size",
    "HTTP-request-trailer-section-size",
    "HTTP-request-trailer-size",
    "HTTP-response-incomplete",
    "HTTP-response-header-section-size",
    "HTTP-response-header-size",
    "HTTP-response-body-size",
    "HTTP-response-trailer-section-size",
    "HTTP-response-trailer-size",
    "HTTP-response-transfer-coding",
    "HTTP-response-content-coding",
    "HTTP-response-timeout",
    "HTTP-upgrade-failed",
    "HTTP-protocol-error",
    "loop-detected",
    "configuration-error",
    "internal-error",
)

# Those that a refusal before the request may have: cases without a payload.
REFUSALS = frozenset(
    {
        "HTTP-request-denied",
        "HTTP-request-method-invalid",
        "HTTP-request-URI-invalid",
        "HTTP-request-URI-too-long",
        "connection-limit-reached",
        "destination-unavailable",
    }
)

# An answer of the broker's own, in place of one from the world: this status, and this header with
# the number of a case. What comes from the world never has that header: it is taken out.
OWN_STATUS = 599
OWN_HEADER = "x-wassette-error"
