"""Frames as bytes and back; no I/O.

A body is msgpack. On a stream it follows a big-endian u32 length; on a packet socket a
packet is one body. Whatever arrives is bounded in bytes, values and depth *before* a Python
object is made of it: 16 MiB of empty maps would become more than a gigabyte.
"""

from __future__ import annotations

import struct
from typing import Generic, NamedTuple, TypeVar

import msgspec

from wassette_protocol import broker_frames, frames
from wassette_protocol.capabilities import MAX_DIRECTORIES, MAX_HULL, MAX_VARIABLES
from wassette_protocol.file_rules import MAX_CLAUSES, MAX_SEGMENTS

_LENGTH = struct.Struct(">I")

FrameT = TypeVar("FrameT", bound=frames.Frame)


class PeerViolation(Exception):  # noqa: N818 - says what the peer did, as OpenSSH and h11 do
    """The peer sent what no honest peer sends; its process must be killed."""


class Bounds(NamedTuple):
    """The largest frame that an honest peer of one direction can have a reason to send."""

    size: int  # bytes of a body
    nodes: int  # msgpack values in it
    depth: int = 8


class Direction(Generic[FrameT]):
    """The frames that may come from one kind of peer."""

    def __init__(self, union: object, bounds: Bounds) -> None:
        self.bounds = bounds
        self._decode: msgspec.msgpack.Decoder[FrameT] = msgspec.msgpack.Decoder(union)

    def decode(self, body: bytes) -> FrameT:
        """Make a frame of one body.

        Raises:
            PeerViolation: It is not a frame of this direction, or beyond its bounds.
        """
        if len(body) > self.bounds.size:
            raise PeerViolation(f"a frame of {len(body)} bytes")
        check_shape(body, self.bounds)
        try:
            return self._decode.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            # msgspec 0.22 lets the last two through, for bad UTF-8 and for deep nesting.
            raise PeerViolation(f"not a frame of this direction: {error}") from error


def check_shape(body: bytes, bounds: Bounds) -> None:
    """Count the values of a msgpack body without building one (msgpack spec, "Formats").

    Raises:
        PeerViolation: More values or a deeper nesting than `bounds` allow, or a cut body.
    """
    position, nodes, open_counts = 0, 0, [1]
    end = len(body)
    while open_counts:
        if open_counts[-1] == 0:
            open_counts.pop()
            continue
        open_counts[-1] -= 1
        nodes += 1
        if nodes > bounds.nodes:
            raise PeerViolation(f"a frame of more than {bounds.nodes} values")
        if position >= end:
            raise PeerViolation("a frame that ends inside a value")
        position, children = _value_at(body, position)
        if children:
            if len(open_counts) > bounds.depth:
                raise PeerViolation(f"a frame nested deeper than {bounds.depth}")
            open_counts.append(children)
    if position != end:
        raise PeerViolation("a frame with trailing bytes")


# First byte -> (bytes of the length field, fixed extra bytes). bin, ext, str, by "Formats".
_SIZED = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0),
    0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),
    0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0),
}  # fmt: skip
# First byte -> bytes that follow: nil, booleans, floats, integers, fixext.
_FIXED = {
    0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8,
    0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip
# First byte -> (bytes of the count field, values per entry): array 16/32, map 16/32.
_COUNTED = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}


def _value_at(body: bytes, position: int) -> tuple[int, int]:
    """Return where the value's own bytes end, and how many values it announces inside."""
    first = body[position]
    position += 1
    if first <= 0x7F or first >= 0xE0:  # fixint
        return position, 0
    if first <= 0x9F:  # fixmap, fixarray
        return position, (first & 0x0F) * (2 if first <= 0x8F else 1)
    if first <= 0xBF:  # fixstr
        return position + (first & 0x1F), 0
    if first in _FIXED:
        return position + _FIXED[first], 0
    if first in _COUNTED:
        width, per_entry = _COUNTED[first]
        count = int.from_bytes(body[position : position + width], "big")
        return position + width, count * per_entry
    if first in _SIZED:
        width, extra = _SIZED[first]
        return position + width + extra + int.from_bytes(
            body[position : position + width], "big"
        ), 0
    raise PeerViolation("a byte that msgpack never uses")


class FrameDecoder(Generic[FrameT]):
    """Turn the bytes of a stream into frames of one direction."""

    def __init__(self, direction: Direction[FrameT]) -> None:
        self._direction = direction
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_frame(self) -> FrameT | None:
        """Return the next complete frame, or None until more bytes arrive.

        Raises:
            PeerViolation: The bytes are not a frame of this direction.
        """
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        # Checked before the body arrives: the peer's claim must not size our memory.
        if not 0 < length <= self._direction.bounds.size:
            raise PeerViolation(f"a frame of {length} bytes")
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return self._direction.decode(body)

    @property
    def has_more(self) -> bool:
        """Whether more has come than the frames that were returned."""
        return bool(self._buffer)

    def close(self) -> None:
        """Check that the peer's end of file fell between two frames."""
        if self._buffer:
            raise PeerViolation(f"end of file inside a frame ({len(self._buffer)} bytes)")


def encode_body(frame: frames.Frame) -> bytes:
    """One frame as the body of a packet."""
    return msgspec.msgpack.encode(frame)


def encode_frame(frame: frames.Frame) -> bytes:
    """One frame as bytes of a stream."""
    body = msgspec.msgpack.encode(frame)
    return _LENGTH.pack(len(body)) + body


# Room for a result of 16 MiB, the most that an operator can set, and its frame.
MAX_RESULT_BYTES = 16 << 20
MAX_PACKET_BYTES = 64 << 10

TO_ZYGOTE: Direction[frames.ToZygote] = Direction(
    frames.ToZygote, Bounds(MAX_PACKET_BYTES, 3 * MAX_HULL + 64)
)
FROM_ZYGOTE: Direction[frames.FromZygote] = Direction(
    frames.FromZygote, Bounds(MAX_PACKET_BYTES, 64)
)
TO_TEMPLATE: Direction[frames.ToTemplate] = Direction(
    frames.ToTemplate, Bounds(MAX_PACKET_BYTES, 128)
)
FROM_TEMPLATE: Direction[frames.FromTemplate] = Direction(
    frames.FromTemplate, Bounds(MAX_PACKET_BYTES, 128)
)
TO_WORKER: Direction[frames.ToWorker] = Direction(
    # A grant has three values for each variable, seven for each directory; and its rules.
    frames.ToWorker,
    Bounds(
        MAX_RESULT_BYTES + 4096,
        3 * MAX_VARIABLES + 8 * MAX_DIRECTORIES + 12 * MAX_CLAUSES + 4 * MAX_SEGMENTS + 64,
        depth=12,
    ),
)
FROM_WORKER: Direction[frames.FromWorker] = Direction(
    frames.FromWorker, Bounds(MAX_RESULT_BYTES + 4096, 128)
)
TO_COMPILER: Direction[frames.ToCompiler] = Direction(frames.ToCompiler, Bounds(4096, 64))
# 1 MiB of schemas for each of input and output, 256 KiB of docs, names of what is left out.
FROM_COMPILER: Direction[frames.FromCompiler] = Direction(
    frames.FromCompiler, Bounds(4 << 20, 20_000)
)
# Ranges of addresses are most of an order.
TO_BROKER: Direction[broker_frames.ToBroker] = Direction(
    broker_frames.ToBroker,
    Bounds(
        MAX_PACKET_BYTES,
        broker_frames.MAX_RANGES * (broker_frames.MAX_LAYERS + 1)
        + 3 * broker_frames.MAX_INJECTED
        + 2 * broker_frames.MAX_ADDRESSES
        + 64,
    ),
)
FROM_BROKER: Direction[broker_frames.FromBroker] = Direction(
    broker_frames.FromBroker, Bounds(MAX_PACKET_BYTES, 128)
)
