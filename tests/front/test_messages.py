from __future__ import annotations

import json
from typing import Any

import mcp_types as types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wassette_supervisor.front import messages
from wassette_supervisor.front.messages import Bounds, Inflight, Lines, RefusedError

MEMBERS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error", "other"]),
    st.sampled_from(["2.0", 1, 1.5, True, None, "x", [], {}, {"code": 1, "message": "m"}]),
)


@given(text=st.lists(st.binary(max_size=6)).map(b"\n".join), data=st.data())
def test_lines_are_the_same_however_the_bytes_arrive(text: bytes, data: st.DataObject) -> None:
    lines, found, rest = Lines(4), list[bytes | None](), text
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        found += lines.feed(rest[:size])
        rest = rest[size:]
    found.append(lines.take())
    assert found == [line if len(line) <= 4 else None for line in text.split(b"\n")]


@given(line=st.binary() | MEMBERS.map(lambda members: json.dumps(members).encode()))
def test_every_line_becomes_a_message_or_an_answer_and_nothing_else(line: bytes) -> None:
    message: types.JSONRPCMessage | None
    try:
        message = messages.decode(line.replace(b"\n", b""), Bounds())
    except RefusedError as refused:
        message = refused.answer
    assert message is None or messages.decode(messages.encode(message), Bounds()) == message


@given(members=MEMBERS)
def test_a_message_with_an_id_that_is_none_is_never_taken_for_a_notification(
    members: dict[str, Any],
) -> None:
    try:
        message = messages.decode(json.dumps(members).encode(), Bounds())
    except RefusedError:
        return
    assert isinstance(message, types.JSONRPCNotification) == ("id" not in members)


def test_what_was_not_set_is_not_written() -> None:
    notification = types.JSONRPCNotification(jsonrpc="2.0", method="x")
    assert messages.encode(notification) == b'{"jsonrpc":"2.0","method":"x"}\n'
    data = types.ErrorData(code=1, message="m")
    error = types.JSONRPCError(jsonrpc="2.0", id=None, error=data)
    expected = b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}\n'
    assert messages.encode(error) == expected


def test_a_notification_that_cannot_be_written_is_an_error_of_the_writer() -> None:
    notification = types.JSONRPCNotification(jsonrpc="2.0", method="x", params={"a": "\ud800"})
    with pytest.raises(ValueError, match="can't be written as JSON"):
        messages.encode(notification)


def test_the_budget_is_as_before_when_everything_is_settled() -> None:
    inflight = Inflight(Bounds(inflight=2, inflight_bytes=10))
    inflight.admit(1, 5)
    inflight.admit("a", 5)
    with pytest.raises(RefusedError, match="busy: 2 requests of 10 bytes"):
        inflight.admit(3, 1)
    with pytest.raises(RefusedError, match="the id is that of"):
        inflight.admit("1", 1)
    for settled in ("1", "1", "a", "never admitted", None):
        inflight.settle(settled)
    assert (len(inflight), inflight.bytes) == (0, 0)
    inflight.admit("a", 10)
