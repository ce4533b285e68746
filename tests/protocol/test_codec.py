"""Frames as bytes: every chunking gives the same frames, everything else is a violation."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wassette_protocol import codec, frames
from wassette_protocol.capabilities import (
    MAX_DIRECTORIES,
    MAX_GRANT_BYTES,
    MAX_VARIABLES,
    Preopen,
    Reach,
    Storage,
)
from wassette_protocol.codec import Bounds, FrameDecoder, PeerViolation
from wassette_protocol.frames import Attempt, Ending, Export, Usage

FRAMES: list[frames.FromWorker] = [
    frames.Echoed(7),
    frames.Started(["session", "descriptors"]),
    frames.Instantiated(12),
    frames.Returned(b'{"result":1}', failed=False, usage=Usage(1, 2, 3, 4, 5)),
    frames.Refused("/a", "an integer", "true"),
    frames.Ended(Ending.TRAP, "unreachable", Usage()),
    frames.Tried(13),
    frames.FileOpened(3, b"a/b", read=True, write=False, outcome="no-entry"),
    frames.HttpRequested("GET", None, "example.com", "/"),
]


@given(chosen=st.lists(st.sampled_from(FRAMES), max_size=6), data=st.data())
def test_frames_survive_any_chunking(chosen: list[frames.FromWorker], data: st.DataObject) -> None:
    stream = b"".join(map(codec.encode_frame, chosen))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    decoder = FrameDecoder(codec.FROM_WORKER)
    seen = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        decoder.feed(stream[start:end])
        while (frame := decoder.next_frame()) is not None:
            seen.append(frame)
    decoder.close()
    assert seen == chosen


@given(st.binary(max_size=200))
def test_garbage_is_a_violation_and_nothing_else(body: bytes) -> None:
    for direction in (codec.FROM_WORKER, codec.FROM_COMPILER, codec.FROM_TEMPLATE):
        with contextlib.suppress(PeerViolation):
            direction.decode(body)


@given(st.sampled_from(FRAMES), st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_gives_a_frame_or_a_violation(
    frame: frames.FromWorker, place: int, value: int
) -> None:
    body = bytearray(codec.encode_body(frame))
    body[place % len(body)] = value
    with contextlib.suppress(PeerViolation):
        codec.FROM_WORKER.decode(bytes(body))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def count(value: object) -> int:
    if isinstance(value, list):
        return 1 + sum(map(count, value))
    if isinstance(value, dict):
        return 1 + sum(1 + count(inner) for inner in value.values())
    return 1


@given(VALUES)
def test_the_shape_is_counted_as_the_values_are(value: object) -> None:
    body = msgspec.msgpack.encode(value)
    nodes = count(value)
    codec.check_shape(body, Bounds(1 << 20, nodes, 100))
    with pytest.raises(PeerViolation):
        codec.check_shape(body, Bounds(1 << 20, nodes - 1, 100))


def test_sixteen_mebibytes_of_empty_maps_are_refused_before_they_are_built() -> None:
    size = 16 << 20
    body = b"\xdd" + size.to_bytes(4, "big") + b"\x80" * size
    with pytest.raises(PeerViolation, match="values"):
        codec.FROM_WORKER.decode(body)


def test_a_frame_nested_too_deep_is_refused_before_it_is_built() -> None:
    with pytest.raises(PeerViolation, match="nested"):
        codec.FROM_WORKER.decode(b"\x91" * 100 + b"\xc0")


def test_a_length_beyond_the_bound_is_refused_before_its_body_arrives() -> None:
    decoder = FrameDecoder(codec.TO_COMPILER)
    decoder.feed((codec.TO_COMPILER.bounds.size + 1).to_bytes(4, "big"))
    with pytest.raises(PeerViolation, match="bytes"):
        decoder.next_frame()


def test_the_largest_frame_of_a_direction_is_taken_and_one_byte_more_is_not() -> None:
    room = codec.FROM_WORKER.bounds.size
    empty = (
        len(codec.encode_body(frames.Returned(b"x" * 70_000, failed=False, usage=Usage()))) - 70_000
    )
    largest = frames.Returned(b"x" * (room - empty), failed=False, usage=Usage())
    assert codec.FROM_WORKER.decode(codec.encode_body(largest)) == largest
    with pytest.raises(PeerViolation, match="bytes"):
        codec.FROM_WORKER.decode(codec.encode_body(largest) + b"\0")


def test_an_end_inside_a_frame_is_a_violation() -> None:
    decoder = FrameDecoder(codec.FROM_WORKER)
    decoder.feed(codec.encode_frame(frames.Echoed(1))[:-1])
    assert decoder.next_frame() is None
    with pytest.raises(PeerViolation, match="inside a frame"):
        decoder.close()


def test_a_direction_takes_no_frame_of_another() -> None:
    run = codec.encode_body(frames.Run(Export(None, "f"), b"{}"))
    assert codec.TO_WORKER.decode(run) == frames.Run(Export(None, "f"), b"{}")
    with pytest.raises(PeerViolation):
        codec.FROM_WORKER.decode(run)


# Longer than a line: the parts are of one frame each.
GRANT = (
    "86a474797065a56772616e74ab656e7669726f6e6d656e749192a14ba176"
    "ab6469726563746f726965739183a56775657374a164a87772697461626c65c3a572756c6573c0"
    "a966696c655f73697a65c0a566696c6573c0a761756469746564c2"
)
FILE_OPENED = (
    "86a474797065ab66696c652d6f70656e6564a96469726563746f727900a470617468c40161"
    "a472656164c3a57772697465c2a76f7574636f6d65a66f70656e6564"
)
START_TEMPLATE = (
    "88a474797065ae73746172742d74656d706c617465a56368696c6403"
    "b266726573685f696e746572707265746572"
    "73c2aa6e616d65737061636573c3a86964656e7469747982a375696401a367696402"
    "a773746f72616765a472656164a76e6574776f726bc3a468756c6c9292c3c392c3c2"
)


@pytest.mark.parametrize(
    ("frame", "wire"),
    [
        (frames.Echo(5), "82a474797065a46563686fa56e6f6e636505"),
        (frames.Echoed(5), "82a474797065a66563686f6564a56e6f6e636505"),
        (frames.Started(["a"]), "82a474797065a773746172746564a5737465707391a161"),
        (
            frames.Instantiated(1),
            "82a474797065ac696e7374616e746961746564ae696e7374616e74696174655f757301",
        ),
        (
            frames.StartWorker(frames.ChildId(3)),
            "82a474797065ac73746172742d776f726b6572a56368696c6403",
        ),
        (
            frames.Try(Attempt.TRACE, "7"),
            "83a474797065a3747279a7617474656d7074a57472616365a6746172676574a137",
        ),
        (frames.Tried(13), "82a474797065a57472696564a56572726f720d"),
        (
            frames.FileOpened(0, b"a", read=True, write=False, outcome="opened"),
            FILE_OPENED,
        ),
        (frames.Recorded(), "81a474797065a87265636f72646564"),
        (frames.BuildShims(), "81a474797065ab6275696c642d7368696d73"),
        (frames.Compile(9), "82a474797065a7636f6d70696c65a473697a6509"),
        (frames.Prepared(), "81a474797065a87072657061726564"),
        (
            frames.Grant([("K", "v")], [Preopen("d", writable=True)]),
            GRANT,
        ),
        (
            frames.StartTemplate(
                frames.ChildId(3),
                fresh_interpreters=False,
                namespaces=True,
                identity=frames.Identity(1, 2),
                storage=Storage.READ,
                network=True,
                hull=[Reach(read=True, write=True), Reach(read=True, write=False)],
            ),
            START_TEMPLATE,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, frames.Frame) else "",
)
def test_the_wire_changes_only_on_purpose(frame: frames.Frame, wire: str) -> None:
    assert codec.encode_body(frame).hex() == wire


def granted(environment: list[tuple[str, str]], directories: list[str]) -> frames.ToWorker:
    """A grant as it comes out at the other end, whatever its sender thought of it."""
    directory = [{"guest": guest, "writable": False} for guest in directories]
    grant = {"type": "grant", "environment": environment, "directories": directory}
    return codec.TO_WORKER.decode(msgspec.msgpack.encode(grant))


def test_the_largest_grant_of_each_kind_is_taken() -> None:
    variables = [(f"K{number}", "v") for number in range(MAX_VARIABLES)]
    directories = [f"d{number}" for number in range(MAX_DIRECTORIES)]
    both = granted(variables, directories)
    assert isinstance(both, frames.Grant)
    assert both.environment == variables
    assert [directory.guest for directory in both.directories] == directories
    granted([("K", "v" * (MAX_GRANT_BYTES - 1))], [])


@pytest.mark.parametrize(
    ("environment", "directories", "fault"),
    [
        ([(f"K{number}", "") for number in range(MAX_VARIABLES + 1)], [], "257 variables"),
        ([], [f"d{number}" for number in range(MAX_DIRECTORIES + 1)], "65 directories"),
        ([("K", "v" * MAX_GRANT_BYTES)], [], "bytes"),
        ([("K", "a"), ("K", "b")], [], "variable is granted twice"),
        ([], ["d", "d"], "directory is granted twice"),
        ([("", "v")], [], "name"),
        ([("A=B", "v")], [], "name"),
        ([("A\0B", "v")], [], "name"),
        ([("A", "secret\0more")], [], "NUL"),
        ([], [""], "name"),
        ([], ["a\0b"], "name"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_grant_beyond_its_bounds_is_a_violation_that_names_no_value(
    environment: list[tuple[str, str]], directories: list[str], fault: str
) -> None:
    with pytest.raises(PeerViolation, match=fault) as caught:
        granted(environment, directories)
    assert "secret" not in str(caught.value)


def test_no_text_of_a_grant_has_a_value_in_it() -> None:
    grant = frames.Grant([("KEY", "hunter2")], [Preopen("d", writable=False)])
    assert "KEY" in repr(grant)
    assert "hunter2" not in f"{grant} {grant!r} {[grant]}"
