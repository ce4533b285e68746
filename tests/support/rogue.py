"""A zygote whose workers misbehave: what a worker may do that was broken out of.

The deed stands in the program that the supervisor is made to start; `program` writes it.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from wassette_protocol import frames
from wassette_protocol.capabilities import Preopen
from wassette_protocol.codec import encode_frame
from wassette_protocol.frames import Usage
from wassette_worker import worker, zygote
from wassette_worker.sandbox import seccomp
from wassette_worker.sandbox.descriptors import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmtime import WasiConfig

    from wassette_worker.channel import Stream
    from wassette_worker.guest import Guest, Running
    from wassette_worker.sandbox.doorbell import Bell
    from wassette_worker.sandbox.profiles import Profile

    Channel = Stream[frames.ToWorker]

TESTS = Path(__file__).parents[1]


def program(folder: Path, deed: str) -> str:
    """A program for `open_pool`: a real zygote, but for this deed of its workers."""
    path = folder / f"rogue_{deed.replace('-', '_')}.py"
    path.write_text(
        f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n"
        f"from support import rogue\nrogue.main({deed!r})\n"
    )
    return str(path)


def crashing_program(folder: Path) -> str:
    """A program with honest workers, but that a call with an argument of CRASH ends by a signal."""
    path = folder / "crashing.py"
    path.write_text(
        f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n"
        "from support import rogue\nrogue.main_crashing()\n"
    )
    return str(path)


CRASH = 1_000_000  # and the number of the signal


def main_crashing() -> None:
    serve = worker._serve

    def crash_or_serve(
        running: Running, guest: Guest, run: frames.Run, instantiate_us: int
    ) -> frames.Frame:
        for value in msgspec.json.decode(run.arguments).values():
            number = value - CRASH
            if 0 < number < signal.NSIG:
                if number != signal.SIGKILL:  # the engine has handlers of its own for some
                    signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
        return serve(running, guest, run, instantiate_us)

    worker._serve = crash_or_serve
    seccomp.restrict = _not_at_all  # it would be a crash of another kind
    zygote.main()


def main(deed: str) -> None:
    handshake, answer = (
        (HANDSHAKES | OPENS_AHEAD).get(deed, _honest),
        (ANSWERS | OPENS).get(deed, _nothing),
    )

    def live(
        channel: Channel,
        guest: Guest,  # noqa: ARG001 - as replaced
        config: WasiConfig,  # noqa: ARG001 - as replaced
        steps: list[str],
        bell: Bell,  # noqa: ARG001 - as replaced
    ) -> None:
        handshake(channel, steps)
        channel.receive()
        answer(channel)

    worker.live = live
    # They say that they have a filter: what the supervisor does is tried, not what the kernel does.
    seccomp.restrict = _not_at_all
    zygote.main()


def _not_at_all(profile: Profile) -> None:
    pass


def _honest(channel: Channel, steps: list[str]) -> None:
    channel.send(frames.Started(steps))
    worker.prove_alive(channel)
    channel.receive_granted()
    channel.send(frames.Instantiated(1))


def _opening_at_its_start(channel: Channel, steps: list[str]) -> None:
    channel.send(frames.Started(steps))
    worker.prove_alive(channel)
    channel.receive_granted()
    os.write(CONTROL, _told(b"ahead"))
    channel.receive()
    channel.send(frames.Instantiated(1))


def _without(omitted: str) -> Callable[[Channel, list[str]], None]:
    def start(channel: Channel, steps: list[str]) -> None:
        channel.send(frames.Started([step for step in steps if step != omitted]))
        worker.prove_alive(channel)

    return start


def _with_a_wrong_echo(channel: Channel, steps: list[str]) -> None:
    channel.send(frames.Started(steps))
    echo = channel.receive()
    assert isinstance(echo, frames.Echo)
    channel.send(frames.Echoed(echo.nonce ^ 1))
    time.sleep(60)


def _with_descriptors(channel: Channel, steps: list[str]) -> None:  # noqa: ARG001 - of the interface
    with socket.socket(fileno=os.dup(CONTROL)) as peer:
        socket.send_fds(peer, [encode_frame(frames.Started(steps))], [0, 1])
    time.sleep(60)


def _ready_before_started(channel: Channel, steps: list[str]) -> None:  # noqa: ARG001 - of the interface
    channel.send(frames.Instantiated(1))
    time.sleep(60)


def _with_a_grant_of_its_own(channel: Channel, steps: list[str]) -> None:
    channel.send(frames.Started(steps))
    worker.prove_alive(channel)
    channel.send(frames.Grant([], [Preopen("root", writable=True)]))
    time.sleep(60)


def _granted_and_proving_again(channel: Channel, steps: list[str]) -> None:
    channel.send(frames.Started(steps))
    worker.prove_alive(channel)
    channel.receive_granted()
    channel.send(frames.Echoed(0))
    time.sleep(60)


def _deaf(channel: Channel, steps: list[str]) -> None:
    channel.send(frames.Started(steps))
    worker.prove_alive(channel)
    time.sleep(60)


def _deaf_to_its_call(channel: Channel, steps: list[str]) -> None:
    _honest(channel, steps)
    time.sleep(60)


def _mute(channel: Channel, steps: list[str]) -> None:  # noqa: ARG001 - of the interface
    os._exit(0)


def _nothing(channel: Channel) -> None:
    pass


def _raw(content: bytes) -> Callable[[Channel], None]:
    def write(channel: Channel) -> None:  # noqa: ARG001 - of the interface
        left = memoryview(content)
        while left:
            left = left[os.write(CONTROL, left) :]
        time.sleep(60)

    return write


def _returned(result: bytes) -> bytes:
    return encode_frame(frames.Returned(result, failed=False, usage=Usage()))


def _told(path: bytes, *, directory: int = 0, outcome: str = "opened") -> bytes:
    return encode_frame(frames.FileOpened(directory, path, True, False, outcome))  # noqa: FBT003 - what it was


def _telling_for_ever(channel: Channel) -> None:
    while True:
        channel.send(frames.FileOpened(0, b"a", True, False, "opened"))  # noqa: FBT003 - what it was
        channel.receive()


_REQUESTED = frames.HttpRequested("GET", "https", "example.com", "/")


def _asking_on(channel: Channel) -> None:
    while True:
        channel.send(_REQUESTED)
        channel.receive()


def _wait(channel: Channel) -> None:  # noqa: ARG001 - of the interface
    time.sleep(60)


def _close_and_go_on(channel: Channel) -> None:
    channel._socket.close()
    time.sleep(60)


def _with_status_3(channel: Channel) -> None:  # noqa: ARG001 - of the interface
    os._exit(3)


HANDSHAKES = {
    "omits-a-step": _without("no-new-privileges"),
    "keeps-its-capabilities": _without("capabilities"),
    "grants-itself-more": _with_a_grant_of_its_own,
    "asks-for-a-second-grant": _granted_and_proving_again,
    "reads-no-grant": _deaf,
    "reads-no-run": _deaf_to_its_call,
    "echoes-something-else": _with_a_wrong_echo,
    "sends-descriptors": _with_descriptors,
    "is-ready-before-it-started": _ready_before_started,
    "ends-before-its-first-word": _mute,
}
ANSWERS = {
    "is-silent": _wait,
    "ends-without-an-answer": _nothing,
    "ends-with-status-3": _with_status_3,
    "closes-and-goes-on": _close_and_go_on,
    "sends-half-a-frame-and-waits": _raw(_returned(b'{"result":5}')[:20]),
    "claims-4-gib": _raw(b"\xff\xff\xff\xff"),
    "claims-nothing": _raw(b"\0\0\0\0"),
    "speaks-the-other-direction": _raw(encode_frame(frames.Echo(1))),
    "starts-again": _raw(encode_frame(frames.Started([]))),
    "sends-a-million-values": _raw(
        (1_000_005).to_bytes(4, "big") + b"\xdd\x00\x0f\x42\x40" + b"\x80" * 1_000_000
    ),
    "sends-no-msgpack": _raw(b"\0\0\0\4\xc1\xc1\xc1\xc1"),
    "sends-bad-utf8": _raw(b"\0\0\0\x08\x81\xa4type\xa1\xff"),
    "answers-no-json": _raw(_returned(b'{"result":')),
    "answers-a-list": _raw(_returned(b"[1]")),
    "answers-a-deep-value": _raw(_returned(b'{"result":' + b"[" * 5000 + b"]" * 5000 + b"}")),
    "answers-too-many-values": _raw(_returned(b'{"result":[' + b"1," * 200_000 + b"1]}")),
    "asks-at-once": _raw(encode_frame(_REQUESTED) * 1000),
    "asks-after-it-was-refused-for-good": _asking_on,
    "answers-too-much": _raw(_returned(b'{"result":"' + b"x" * (5 << 20) + b'"}')),
}
# What the worker of a call whose opens are recorded may tell.
OPENS = {
    "tells-opens-for-ever": _telling_for_ever,
    "tells-opens-at-once": _raw(_told(b"a") * 10_000),
    "tells-of-another-directory": _raw(_told(b"a", directory=1)),
    "tells-of-a-path-that-leads-up": _raw(_told(b"a/../../b")),
    "tells-a-long-path": _raw(_told(b"a" * 4097)),
    "tells-an-odd-outcome": _raw(_told(b"a", outcome="Opened!\n")),
}
OPENS_AHEAD = {"opens-at-its-start": _opening_at_its_start}
