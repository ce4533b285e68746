"""Which frame may come in which state of a worker's or a compiler's life.

Everything that affects the order of frames stands in this file. A frame that is not listed
for the state is a violation, never a request to refuse.
"""

from __future__ import annotations

import enum

from wassette_protocol import frames
from wassette_protocol.codec import PeerViolation


class State(enum.Enum):
    STARTING = "starting"
    LOCKED = "locked down"
    PROVING = "proving that it lives"
    PROVEN = "proven to live"
    GRANTED = "given its grants"
    OPENING_AHEAD = "waiting to open a file, before its call"
    READY = "ready"
    RUNNING = "running"
    OPENING = "waiting to open a file"
    ASKING = "waiting for the decision on a request"
    TRYING = "trying"
    DONE = "done"


Table = dict[State, dict[type[frames.Frame], State]]

# Every child says who it is (Started), then proves that it lives (Echo, Echoed): between the
# two the supervisor has opened its pidfd, which so can't be that of a later process.
WORKER_SENDS: Table = {
    State.STARTING: {frames.Started: State.LOCKED},
    State.PROVING: {frames.Echoed: State.PROVEN},
    State.GRANTED: {
        frames.Instantiated: State.READY,
        frames.Ended: State.DONE,
        frames.FileOpened: State.OPENING_AHEAD,
    },
    State.RUNNING: {
        frames.Returned: State.DONE,
        frames.Refused: State.DONE,
        frames.Ended: State.DONE,
        frames.FileOpened: State.OPENING,
        frames.HttpRequested: State.ASKING,
    },
    State.TRYING: {frames.Tried: State.DONE},
}
WORKER_IS_SENT: Table = {
    State.LOCKED: {frames.Echo: State.PROVING},
    State.PROVEN: {frames.Grant: State.GRANTED},
    State.OPENING_AHEAD: {frames.Recorded: State.GRANTED},
    State.READY: {frames.Run: State.RUNNING, frames.Try: State.TRYING},
    State.OPENING: {frames.Recorded: State.RUNNING},
    State.ASKING: {frames.HttpAllowed: State.RUNNING, frames.HttpRefused: State.RUNNING},
}
COMPILER_SENDS: Table = {
    State.STARTING: {frames.Started: State.LOCKED},
    State.PROVING: {frames.Echoed: State.PROVEN},
    State.RUNNING: {
        frames.Progress: State.RUNNING,
        frames.Compiled: State.DONE,
        frames.ShimsBuilt: State.DONE,
        frames.CompileFailed: State.DONE,
    },
}
COMPILER_IS_SENT: Table = {
    State.LOCKED: {frames.Echo: State.PROVING},
    State.PROVEN: {frames.Compile: State.RUNNING, frames.BuildShims: State.RUNNING},
}
# Without Linux nobody can know more of it than what it says, once.
UNCONFINED_SENDS: Table = {
    State.STARTING: {frames.Compiled: State.DONE, frames.CompileFailed: State.DONE},
}


class Session:
    """One peer's life so far."""

    def __init__(self, sends: Table, is_sent: Table) -> None:
        self.state = State.STARTING
        self._sends = sends
        self._is_sent = is_sent

    def received(self, frame: frames.Frame) -> None:
        """Move on by what the peer sent.

        Raises:
            PeerViolation: No honest peer sends it now.
        """
        self.state = self._next(self._sends, frame)

    def sent(self, frame: frames.Frame) -> None:
        """Move on by what we send; a frame that can't be sent now is our own mistake."""
        try:
            self.state = self._next(self._is_sent, frame)
        except PeerViolation as error:
            raise AssertionError(f"sent out of turn: {error}") from error

    def _next(self, table: Table, frame: frames.Frame) -> State:
        try:
            return table.get(self.state, {})[type(frame)]
        except KeyError:
            raise PeerViolation(f"{type(frame).__name__} while {self.state.value}") from None
