"""What a process that was broken into may send in place of frames: honest ones, changed by chance.

Everything follows from one `Random`, so that a seed tells all.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from wassette_protocol import codec, frames
from wassette_protocol.codec import FrameDecoder, PeerViolation
from wassette_protocol.frames import ChildId, Ending, Export, Usage
from wassette_protocol.session import (
    COMPILER_IS_SENT,
    COMPILER_SENDS,
    WORKER_IS_SENT,
    WORKER_SENDS,
    Session,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from random import Random

    from wassette_protocol.codec import Direction

FrameT = TypeVar("FrameT", bound=frames.Frame)

_EXPORT = Export("a:b/c@1.0.0", "do")
_LEFT_OUT = frames.LeftOut(_EXPORT, "its type")
_TOOL = frames.Tool(_EXPORT, b'{"type":"object"}', None, "What it does.")

# In the order of an honest life.
OF_WORKERS: list[frames.Frame] = [
    frames.Started(["session", "descriptors"]),
    frames.Echoed(2**62),
    frames.Instantiated(1200),
    frames.Returned(b'{"result":[1,"a",{}]}', failed=False, usage=Usage(1, 2, 3, 4, 5, ["KEY"])),
    frames.Refused("/a/0", "an integer", "true"),
    frames.Ended(Ending.TRAP, "wasm trap: unreachable", Usage(missing=["A", "B"])),
    frames.Tried(13),
    frames.FileOpened(0, b"notes/today", read=True, write=False, outcome="opened"),
    frames.HttpRequested("GET", "https", "api.example.com:8443", "/v1/x?y=1"),
]
OF_COMPILERS: list[frames.Frame] = [
    frames.Started(["session"]),
    frames.Echoed(7),
    frames.Progress("compile"),
    frames.Compiled(4096, ["wasi:cli/exit@0.2.0"], [_TOOL, _TOOL], [_LEFT_OUT]),
    frames.CompileFailed("no component"),
    frames.ShimsBuilt(4096, "0.2.12"),
]
OF_TEMPLATES: list[frames.Frame] = [
    frames.TemplateReady(["session", "landlock"]),
    frames.Prepared(),
    frames.TemplateFailed("no memory"),
    frames.ChildEnded(ChildId(3), 31),
]
OF_ZYGOTES: list[frames.Frame] = [
    frames.ZygoteReady("00ff" * 16, "", {"landlock": "not there"}),
    frames.ChildEnded(ChildId(3), 9),
]
# What others would say: in nobody's direction that is looked at here.
OF_SUPERVISORS: list[frames.Frame] = [
    frames.Echo(1),
    frames.Run(_EXPORT, b"{}"),
    frames.BuildShims(),
    frames.StartWorker(ChildId(1)),
]
EVERYTHING = [*OF_WORKERS, *OF_COMPILERS, *OF_TEMPLATES, *OF_ZYGOTES, *OF_SUPERVISORS]

# Beginnings of values that claim to be large, and bytes that msgpack never uses.
_HEADS = (
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdc\xff\xff",
    b"\xdb\x7f\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01", b"\xde\x10\x00", b"\xc1",
    b"\xd9\x02\xff\xfe",
    b"\xcf" + b"\xff" * 8, b"\xd3\x80" + b"\0" * 7, b"\xcb\x7f\xf8" + b"\0" * 6, b"\xc0",
)  # fmt: skip
_MAX_STREAM = 4
_DEEPEST = 3


def changed(random: Random, body: bytes) -> bytes:
    """The body, changed in one way or in several."""
    for _ in range(random.choice((1, 1, 2, 5))):
        body = random.choice(_CHANGES)(random, body)
    return body


def _flip(random: Random, body: bytes) -> bytes:
    place = random.randrange(len(body) + 1)
    return body[:place] + bytes([random.randrange(256)]) + body[place + 1 :]


def _insert(random: Random, body: bytes) -> bytes:
    place = random.randrange(len(body) + 1)
    return body[:place] + random.choice((random.choice(_HEADS), random.randbytes(3))) + body[place:]


def _replace(random: Random, body: bytes) -> bytes:
    place = random.randrange(len(body) + 1)
    head = random.choice(_HEADS)
    return body[:place] + head + body[place + len(head) :]


def _cut(random: Random, body: bytes) -> bytes:
    return body[: random.randrange(len(body) + 1)]


def _drop(random: Random, body: bytes) -> bytes:
    place = random.randrange(len(body) + 1)
    return body[:place] + body[place + random.randrange(1, 5) :]


def _splice(random: Random, body: bytes) -> bytes:
    other = codec.encode_body(random.choice(EVERYTHING))
    return body[: random.randrange(len(body) + 1)] + other[random.randrange(len(other)) :]


def _repeat(random: Random, body: bytes) -> bytes:
    place = random.randrange(len(body) + 1)
    part = body[place : place + random.randrange(1, 20)]
    return body[:place] + part * random.choice((2, 10, 1000)) + body[place:]


def _nest(random: Random, body: bytes) -> bytes:
    deep = random.choice((b"\x91", b"\x81\xa1a", b"\x92\xc0")) * random.choice((3, 9, 5000))
    return deep + body


def _put_a_value(random: Random, body: bytes) -> bytes:
    """In place of a field: so the frame stays well formed, and only its meaning is wrong."""
    try:
        fields = msgspec.msgpack.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body
    if not isinstance(fields, dict) or not fields:
        return body
    fields[random.choice([*fields, "other"])] = _value(random, _DEEPEST)
    return msgspec.msgpack.encode(fields)


def _value(random: Random, depth: int) -> object:
    if depth and random.random() < 0.4:
        count = random.choice((0, 1, 3, 3 if depth < _DEEPEST else 200))
        values = [_value(random, depth - 1) for _ in range(count)]
        return values if random.random() < 0.5 else dict(enumerate(values))
    return random.choice(
        (
            None,
            True,
            -1,
            2**64 - 1,
            -(2**63),
            1e308,
            float("nan"),
            "",
            "a" * 300,
            "\0",
            b"\xff",
            "run",
        )
    )


# The last one is taken as often as three others: what it makes is looked at closest.
_CHANGES: tuple[Callable[[Random, bytes], bytes], ...] = (
    _flip, _insert, _replace, _cut, _drop, _splice, _repeat, _nest,
    *[_put_a_value] * 3,
)  # fmt: skip


# --- whole lives ----------------------------------------------------------------------------


class Seen(NamedTuple):
    """What one life came to."""

    judged: int  # frames that were changed, or came out of turn
    taken: int  # and of them those that were taken for honest


def body_of(random: Random, honest: list[frames.Frame]) -> bytes:
    """One packet."""
    return changed(random, codec.encode_body(random.choice([*honest, random.choice(EVERYTHING)])))


def stream_of(random: Random, honest: list[frames.Frame], stage: int) -> bytes:
    """What follows after so many frames of an honest life."""
    told = b""
    for _ in range(random.randrange(1, _MAX_STREAM)):
        frame = random.choice([honest[stage % len(honest)], random.choice(EVERYTHING)])
        told += _framed(random, codec.encode_body(frame))
        stage += 1
    return told


def _framed(random: Random, body: bytes) -> bytes:
    if random.random() < 0.8:
        body = changed(random, body)
    length = len(body)
    if random.random() < 0.1:
        length = random.choice((0, length + 1, max(length - 1, 0), 2**31, 2**32 - 1))
    return struct.pack(">I", length) + body


def of_packets(random: Random, direction: Direction[FrameT], honest: list[frames.Frame]) -> Seen:
    """One packet to a supervisor."""
    try:
        direction.decode(body_of(random, honest))
    except PeerViolation:
        return Seen(1, 0)
    return Seen(1, 1)


def of_workers(random: Random) -> Seen:
    session = Session(WORKER_SENDS, WORKER_IS_SENT)
    answers = {
        State.LOCKED: frames.Echo(2**62),
        State.PROVEN: frames.Grant([], []),
        State.READY: random.choice((frames.Run(_EXPORT, b"{}"), frames.Try(frames.Attempt.FORK))),
    }
    return _life(random, codec.FROM_WORKER, OF_WORKERS, session, answers)


def of_compilers(random: Random) -> Seen:
    session = Session(COMPILER_SENDS, COMPILER_IS_SENT)
    answers = {State.LOCKED: frames.Echo(7), State.PROVEN: frames.BuildShims()}
    return _life(random, codec.FROM_COMPILER, OF_COMPILERS, session, answers)


def _life(
    random: Random,
    direction: Direction[FrameT],
    honest: list[frames.Frame],
    session: Session,
    answers: Mapping[State, frames.Frame],
) -> Seen:
    """A stream that is honest up to some frame, in chunks as they may come."""
    stage, taken = random.randrange(4), 0
    told = b"".join(map(codec.encode_frame, honest[:stage])) + stream_of(random, honest, stage)
    decoder = FrameDecoder(direction)
    try:
        for chunk in _chunks(random, told):
            decoder.feed(chunk)
            while (frame := decoder.next_frame()) is not None:
                session.received(frame)
                taken += 1
                if (answer := answers.get(session.state)) is not None:
                    session.sent(answer)
        decoder.close()
    except PeerViolation:
        return Seen(max(taken - stage, 0) + 1, max(taken - stage, 0))
    return Seen(taken - stage, taken - stage)


def _chunks(random: Random, told: bytes) -> Iterator[bytes]:
    size = random.choice((1, 100, len(told))) if len(told) < 2000 else len(told)
    for start in range(0, len(told), size):
        yield told[start : start + size]
