"""JSON-RPC messages as lines and back, and the requests still to be answered; no I/O.

Whatever arrives is bounded in bytes, values and depth before it is built, and whatever can't be
taken is a `RefusedError` that holds the answer to it: a client's mistake never ends a connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import mcp_types as types
import msgspec
from mcp.shared.dispatcher import coerce_request_id
from pydantic import ValidationError

from wassette_supervisor import bounded_json
from wassette_supervisor.bounded_json import TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20

# Of the implementation's own range; the client may send the same request again later.
BUSY = -32000


class Bounds(NamedTuple):
    """What one client may make the server hold."""

    # A call's arguments, 4 MiB by default, as an escaped string in the worst honest case.
    line: int = 8 * MIB
    # Values and names in a message: one costs some 100 bytes when built.
    nodes: int = 200_000
    depth: int = 128
    # Requests not answered yet, and the bytes of their lines.
    inflight: int = 2048
    inflight_bytes: int = 64 * MIB


class RefusedError(Exception):
    """A line was not taken; `answer` is what its sender is to be told."""

    def __init__(self, code: int, text: str, request_id: types.RequestId | None = None) -> None:
        super().__init__(text)
        error = types.ErrorData(code=code, message=text)
        self.answer = types.JSONRPCError(jsonrpc="2.0", id=request_id, error=error)


class Lines:
    """Cuts a stream of bytes into lines, and never keeps more than `max_bytes` of one.

    None stands for a line that was longer, and not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """Yield the lines that `data` completes; take them all before the next call."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._keep(end)
            yield self.take()
        self._keep(rest)

    def take(self) -> bytes | None:
        """Return what was fed since the last newline; at the end of a stream, its last line."""
        line = None if self._too_long else bytes(self._kept)
        self._kept = bytearray()
        self._too_long = False
        return line

    def _keep(self, part: bytes) -> None:
        if self._too_long or len(self._kept) + len(part) > self._max_bytes:
            self._too_long = True
            self._kept = bytearray()
        else:
            self._kept += part


def decode(line: bytes, bounds: Bounds) -> types.JSONRPCMessage | None:
    """Make a message of a line; None for a blank one.

    Raises:
        RefusedError: It is no message, or over the bounds.
    """
    if not line.strip():
        return None
    try:
        bounded_json.check(line, max_nodes=bounds.nodes, max_depth=bounds.depth)
        return _message(msgspec.json.decode(line))
    except TooLargeError as error:
        code, text = types.INVALID_REQUEST, f"message of {error}"
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # msgspec 0.22 lets the last two through, for bad UTF-8 and for deep nesting.
        code, text = types.PARSE_ERROR, f"not JSON: {error}"
    except _ShapeError as error:
        code, text = types.INVALID_REQUEST, f"not a JSON-RPC message: {error}"
    raise RefusedError(code, text, _request_id(line))


class _ShapeError(ValueError):
    """JSON, but not a message."""


def _message(fields: object) -> types.JSONRPCMessage:
    if not isinstance(fields, dict):
        # 2025-06-18 took batches out of the protocol.
        raise _ShapeError("a message is one JSON object, and batches are not taken")
    kind = _kind(fields)
    try:
        return kind.model_validate(fields, by_name=False)
    except ValidationError as error:
        field = error.errors(include_url=False, include_input=False)[0]["loc"][0]
        raise _ShapeError(f'its "{field}" is missing or wrong') from error


def _kind(fields: dict[str, Any]) -> type[types.JSONRPCMessage]:
    # By name, not by what fits: pydantic's union takes a request whose id is of a wrong type for
    # a notification, so that it would never be answered.
    if "method" in fields:
        return types.JSONRPCRequest if "id" in fields else types.JSONRPCNotification
    if "error" in fields:
        return types.JSONRPCError
    if "result" in fields:
        return types.JSONRPCResponse
    raise _ShapeError("it has neither a method nor a result nor an error")


class _Envelope(msgspec.Struct):
    """The two members that tell whom to answer; msgspec builds nothing of the others."""

    id: int | str | None = None
    method: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def _request_id(line: bytes) -> types.RequestId | None:
    """Find the id of a request that was refused, if it can be had."""
    try:
        envelope = _ENVELOPE.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    # An answer's id is one of ours: an error that carries it would answer nothing of theirs.
    return envelope.id if envelope.method is not msgspec.UNSET else None


def encode(message: types.JSONRPCMessage) -> bytes:
    """One message as a line.

    A result that can't be written becomes an internal error, so that its request is answered.

    Raises:
        ValueError: It can't be written, and is no answer.
    """
    try:
        return _line(message)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        reason = f"can't be written as JSON: {error}"
    if isinstance(message, types.JSONRPCResponse | types.JSONRPCError):
        data = types.ErrorData(code=types.INTERNAL_ERROR, message=f"the result {reason}")
        return _line(types.JSONRPCError(jsonrpc="2.0", id=message.id, error=data))
    raise ValueError(reason)


def _line(message: types.JSONRPCMessage) -> bytes:
    # Member by member, since the library's own encoding, or a copy of the result, takes three
    # times as long; members that were not set stay out, as JSON-RPC asks for `params`.
    members = {
        name: getattr(message, name)
        for name in type(message).model_fields
        if name in message.model_fields_set
    }
    return msgspec.json.encode(members, enc_hook=_as_plain) + b"\n"


def _as_plain(value: object) -> object:
    if isinstance(value, types.ErrorData):
        return value.model_dump(mode="json", exclude_unset=True)
    raise TypeError(f"a {type(value).__name__}")


class Inflight:
    """The requests that were handed on and not answered yet, within the bounds."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._sizes: dict[types.RequestId, int] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._sizes)

    def admit(self, request_id: types.RequestId, size: int) -> None:
        """Count a request of so many bytes.

        Raises:
            RefusedError: It is one too many, or its id is that of another.
        """
        # 7 and "7" are one id for the library, which would cancel the wrong one of the two.
        key = coerce_request_id(request_id)
        if key in self._sizes:
            text = "the id is that of a request not answered yet"
            raise RefusedError(types.INVALID_REQUEST, text, request_id)
        if (
            len(self._sizes) >= self._bounds.inflight
            or self.bytes + size > self._bounds.inflight_bytes
        ):
            text = f"busy: {len(self)} requests of {self.bytes} bytes are not answered yet"
            raise RefusedError(BUSY, f"{text}; try again when some are", request_id)
        self._sizes[key] = size
        self.bytes += size

    def settle(self, request_id: types.RequestId | None) -> None:
        """The request was answered, or never will be; None is an answer to no request."""
        if request_id is not None:
            self.bytes -= self._sizes.pop(coerce_request_id(request_id), 0)
