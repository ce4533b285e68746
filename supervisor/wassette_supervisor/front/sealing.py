"""How a question's nonce travels through a client: sealed by this process, for one request.

The library dates what it seals by the wall clock, and takes nothing back that a clock which was set
meanwhile calls expired, or of the future. Whether an answer comes in time is for the book of
questions to say, by a clock that never jumps.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
from mcp.server.request_state import (
    AESGCMRequestStateCodec,
    InvalidRequestState,
    RequestStateSecurity,
)

_CLAIMS: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])
# When it was made and until when it counts, in seconds since the epoch: always, and for ever.
_UNDATED = {"iat": 0, "exp": 1 << 62}


def undated() -> RequestStateSecurity:
    """Seals that hold for as long as this process lives."""
    return RequestStateSecurity(codec=_Undated())


class _Undated:
    def __init__(self) -> None:
        self._codec = AESGCMRequestStateCodec([os.urandom(32)])

    def seal(self, payload: bytes) -> str:
        return self._codec.seal(payload)

    def unseal(self, token: str) -> bytes:
        """What was sealed, without its dates.

        Raises:
            InvalidRequestState: It is none of ours, or not as it was.
        """
        payload = self._codec.unseal(token)
        try:
            claims = _CLAIMS.decode(payload)
        except msgspec.DecodeError as error:
            raise InvalidRequestState("no claims") from error
        return msgspec.json.encode(claims | _UNDATED)
