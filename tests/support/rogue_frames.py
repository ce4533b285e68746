"""A zygote one kind of whose children, or which itself, sends frames changed by chance.

What it sends is told on standard error as a seed. It ends after that, or waits until it is killed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NoReturn

from support import attacker
from wassette_protocol import frames
from wassette_protocol.codec import TO_COMPILER, FrameDecoder, encode_body, encode_frame
from wassette_worker.sandbox.descriptors import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmtime import Engine, WasiConfig

    from wassette_worker.channel import Stream
    from wassette_worker.guest import Guest
    from wassette_worker.sandbox.placement import Placement

    Channel = Stream[frames.ToWorker]

TESTS = Path(__file__).parents[1]
KINDS = ("worker", "template", "compile worker", "zygote")
_WAITS_S = 0.5


def program(folder: Path, kind: str) -> str:
    """A program for `open_pool`."""
    path = folder / f"rogue_{kind.replace(' ', '_')}.py"
    path.write_text(
        f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n"
        f"from support import rogue_frames\nrogue_frames.be({kind!r})\n"
    )
    return str(path)


def be(kind: str) -> None:
    if kind == "zygote":
        _send_packets(CONTROL, attacker.OF_ZYGOTES, frames.ZygoteReady("00", "", {}))
    # An evil zygote is nobody who waits for an engine.
    from wassette_worker import compiler, template, worker, zygote  # noqa: PLC0415 - see above
    from wassette_worker.sandbox import seccomp  # noqa: PLC0415 - see above

    replace: dict[str, Callable[[], None]] = {
        "worker": lambda: vars(worker).update(live=_live_as_worker),
        "template": lambda: vars(template).update(live_forking=_live_as_template),
        "compile worker": lambda: vars(compiler).update(
            live=_live_as_compiler, live_below_init=_live_as_compiler
        ),
    }
    replace[kind]()
    # What the supervisor does is tried, not what the kernel does.
    vars(seccomp).update(restrict=lambda _: None)
    with contextlib.suppress(ConnectionError):
        zygote.main()


def _random() -> Random:
    seed = int.from_bytes(os.urandom(8), "big")
    with contextlib.suppress(OSError):
        os.write(2, f"seed {seed}\n".encode())
    return Random(seed)  # noqa: S311 - it keeps no secret


def _send(number: int, told: bytes) -> None:
    left = memoryview(told)
    with contextlib.suppress(OSError):
        while left:
            left = left[os.write(number, left) :]


def _end(random: Random) -> NoReturn:
    if random.random() < 0.1:
        time.sleep(_WAITS_S)
    os._exit(random.choice((0, 0, 3)))


def _live_as_worker(
    channel: Channel,
    guest: Guest,  # noqa: ARG001 - as replaced
    config: WasiConfig,  # noqa: ARG001 - as replaced
    steps: list[str],
) -> None:
    random = _random()
    stage = random.randrange(4)
    if stage > 0:
        channel.send(frames.Started(steps))
    if stage > 1:
        echo = channel.receive()
        assert isinstance(echo, frames.Echo)
        channel.send(frames.Echoed(echo.nonce))
    if stage > 2:
        channel.receive_granted()
        channel.send(frames.Instantiated(1))
        channel.receive()
    _send(CONTROL, attacker.stream_of(random, attacker.OF_WORKERS, stage))
    _end(random)


def _live_as_compiler(engine: Engine, placement: Placement, received: list[int]) -> None:  # noqa: ARG001 - as replaced
    random = _random()
    control, output, *_ = received
    os.dup2(output, 2)
    told = b""
    if random.random() < 0.7:
        _send(control, encode_frame(frames.Started(_all_steps())))
        with socket.socket(fileno=os.dup(control)) as peer:
            decoder = FrameDecoder(TO_COMPILER)
            while (echo := decoder.next_frame()) is None:
                decoder.feed(peer.recv(4096))
        assert isinstance(echo, frames.Echo)
        told = encode_frame(frames.Echoed(echo.nonce))
    _send(control, told + attacker.stream_of(random, attacker.OF_COMPILERS, 2 if told else 0))
    _end(random)


def _live_as_template(
    engine: Engine,  # noqa: ARG001 - as replaced
    placement: Placement,  # noqa: ARG001 - as replaced
    request: frames.StartTemplate,  # noqa: ARG001 - as replaced
    received: list[int],
) -> None:
    control, output, *_ = received
    os.dup2(output, 2)
    _send_packets(control, attacker.OF_TEMPLATES, frames.TemplateReady(_all_steps()))


def _send_packets(number: int, honest: list[frames.Frame], first: frames.Frame) -> NoReturn:
    random = _random()
    if random.random() < 0.5:
        _send(number, encode_body(first))
    for _ in range(random.randrange(1, 4)):
        with contextlib.suppress(OSError):
            os.write(number, attacker.body_of(random, honest)[: 60 << 10])
    _end(random)


def _all_steps() -> list[str]:
    """What an honest one tells: so far it is taken for one."""
    from wassette_supervisor.pool import sandbox  # noqa: PLC0415 - of tests alone

    return [*sandbox.RUNS_GUESTS, "namespaces", "identity", "capabilities"]
