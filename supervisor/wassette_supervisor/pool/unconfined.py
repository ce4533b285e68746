"""Describing a component where there is no Linux: a plain child process, and limits on it.

Nothing holds that process: it has all rights of the user who started it, but no environment. What
it may take is bounded in time, and what it says in bytes, values and order, as for any other.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from wassette_protocol import frames
from wassette_protocol.codec import FROM_COMPILER, FrameDecoder, PeerViolation
from wassette_protocol.session import UNCONFINED_SENDS, Session
from wassette_supervisor.errors import LoadError, WorkerViolatedError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

# A JavaScript component of 12 MB takes some 10 s on two cores.
COMPILE_S = 180.0
MODULE = "wassette_worker.unconfined"
_CHUNK = 1 << 16
# Without it no program of Windows finds the system's own libraries.
_NEEDED = "SYSTEMROOT"


def describe(content: bytes, *, within_s: float = COMPILE_S) -> frames.Compiled:
    """What the component of these bytes exports; nothing of it is run.

    Raises:
        LoadError: It is none, took more than `within_s` seconds, or the process failed.
    """
    try:
        with _started() as child, _ended_after(child, within_s) as late:
            answer = _asked(child, content)
            child.wait()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise LoadError(f"no process can be started for it: {why}; try again") from error
    except PeerViolation as error:
        raise LoadError(str(WorkerViolatedError(str(error)))) from error
    if isinstance(answer, frames.Compiled):
        return answer
    if isinstance(answer, frames.CompileFailed):
        raise LoadError(one_line(answer.reason))
    if late.is_set():
        raise LoadError(f"compiling took more than {within_s:.0f} s")
    raise LoadError(f"the process that compiles ended early, with status {child.returncode}")


@contextmanager
def _started() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-I", "-m", MODULE],
        env={name: os.environ[name] for name in (_NEEDED,) if name in os.environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    ) as child:
        try:
            yield child
        finally:
            child.kill()  # nothing happens if it has ended


@contextmanager
def _ended_after(child: subprocess.Popen[bytes], seconds: float) -> Iterator[threading.Event]:
    """Kill it when this time is over; the event says that it was."""
    late = threading.Event()

    def end() -> None:
        late.set()
        child.kill()

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _asked(child: subprocess.Popen[bytes], content: bytes) -> frames.Frame | None:
    """Its one answer; None if it ended without any."""
    if child.stdin is None or child.stdout is None:
        raise AssertionError("both are pipes")
    # It says nothing before it has read everything.
    left = memoryview(content)
    with suppress(BrokenPipeError):
        while left:
            left = left[child.stdin.write(left) :]
    child.stdin.close()
    decoder, session = FrameDecoder(FROM_COMPILER), Session(UNCONFINED_SENDS, {})
    answer: frames.Frame | None = None
    while chunk := child.stdout.read(_CHUNK):
        decoder.feed(chunk)
        while (frame := decoder.next_frame()) is not None:
            session.received(frame)
            answer = frame
    if answer is not None:
        decoder.close()
    return answer
