"""JSON objects whose bytes are told from all others by a digest in their last member."""

from __future__ import annotations

import hashlib
from typing import Final

from wassette_supervisor.store.trouble import DamagedError

_OPENS: Final = b',"sha256":"'
_CLOSES: Final = b'"}'
SEAL_BYTES: Final = len(_OPENS) + 64 + len(_CLOSES) - 1  # that a seal adds


def sealed(encoded: bytes) -> bytes:
    """Add the digest to an object that has a member at least."""
    body = encoded[:-1]
    return b"".join((body, _seal(body)))


def unsealed(data: bytes) -> bytes:
    """The object as it was encoded.

    Raises:
        DamagedError: It is not what `sealed` wrote.
    """
    body = data[: -SEAL_BYTES - 1]
    if not body or data[len(body) :] != _seal(body):
        raise DamagedError("its SHA-256 is another one, or none")
    return body + b"}"


def _seal(body: bytes) -> bytes:
    return b"".join((_OPENS, hashlib.sha256(body).hexdigest().encode(), _CLOSES))
