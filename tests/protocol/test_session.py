"""The order of frames: what is not listed for a state is a violation."""

from __future__ import annotations

import pytest

from wassette_protocol import frames
from wassette_protocol.codec import PeerViolation
from wassette_protocol.frames import Ending, Export, Usage
from wassette_protocol.session import WORKER_IS_SENT, WORKER_SENDS, Session, State

STARTED = frames.Started([])
ECHOED = frames.Echoed(1)
INSTANTIATED = frames.Instantiated(1)
RETURNED = frames.Returned(b"{}", failed=False, usage=Usage())
ENDED = frames.Ended(Ending.TRAP, "", Usage())
REFUSED = frames.Refused("", "", "")
TRIED = frames.Tried(0)
OPENED = frames.FileOpened(0, b"a", read=True, write=False, outcome="opened")
REQUESTED = frames.HttpRequested("GET", "https", "example.com", "/")
EVERYTHING: list[frames.Frame] = [
    STARTED, ECHOED, INSTANTIATED, RETURNED, ENDED, REFUSED, TRIED, OPENED, REQUESTED,
]  # fmt: skip
MAY_COME: dict[State, list[frames.Frame]] = {
    State.STARTING: [STARTED],
    State.LOCKED: [],
    State.PROVING: [ECHOED],
    State.PROVEN: [],
    State.GRANTED: [INSTANTIATED, ENDED, OPENED],
    State.OPENING_AHEAD: [],
    State.READY: [],
    State.RUNNING: [RETURNED, REFUSED, ENDED, OPENED, REQUESTED],
    State.OPENING: [],
    State.ASKING: [],
    State.TRYING: [TRIED],
    State.DONE: [],
}


def test_an_honest_life_of_a_worker_passes() -> None:
    session = Session(WORKER_SENDS, WORKER_IS_SENT)
    session.received(STARTED)
    session.sent(frames.Echo(1))
    session.received(ECHOED)
    session.sent(frames.Grant([], []))
    session.received(INSTANTIATED)
    session.sent(frames.Run(Export(None, "f"), b"{}"))
    session.received(RETURNED)
    assert session.state is State.DONE


@pytest.mark.parametrize(
    "answer", [frames.HttpAllowed("0" * 32), frames.HttpRefused("HTTP-request-denied")]
)
def test_a_request_is_decided_once_and_then_the_call_goes_on(answer: frames.Frame) -> None:
    session = Session(WORKER_SENDS, WORKER_IS_SENT)
    session.state = State.RUNNING
    session.received(REQUESTED)
    session.sent(answer)
    assert session.state is State.RUNNING
    with pytest.raises(AssertionError, match="while running"):
        session.sent(answer)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("frame", EVERYTHING, ids=lambda frame: type(frame).__name__)
def test_a_frame_comes_in_its_states_alone(state: State, frame: frames.Frame) -> None:
    session = Session(WORKER_SENDS, WORKER_IS_SENT)
    session.state = state
    if frame in MAY_COME[state]:
        session.received(frame)
    else:
        with pytest.raises(PeerViolation, match=state.value):
            session.received(frame)


def test_nothing_is_run_before_it_is_known_what_it_is_granted() -> None:
    session = Session(WORKER_SENDS, WORKER_IS_SENT)
    session.state = State.PROVEN
    with pytest.raises(AssertionError, match="Run while proven"):
        session.sent(frames.Run(Export(None, "f"), b"{}"))


def test_a_second_grant_is_our_own_mistake() -> None:
    session = Session(WORKER_SENDS, WORKER_IS_SENT)
    session.state = State.READY
    with pytest.raises(AssertionError, match="Grant while ready"):
        session.sent(frames.Grant([], []))


def test_a_second_run_is_our_own_mistake() -> None:
    session = Session(WORKER_SENDS, WORKER_IS_SENT)
    session.state = State.RUNNING
    with pytest.raises(AssertionError):
        session.sent(frames.Run(Export(None, "f"), b"{}"))
