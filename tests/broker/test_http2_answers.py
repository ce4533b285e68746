"""Answers by HTTP/2 that HTTP/1.1 has no words for: each is an error of its request alone."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from support import tls
from support.certificates import Authority
from support.guest_end import Plane, order_to, plane
from support.http2_server import Http2Server, Stream, http2_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


@asynccontextmanager
async def _serving(
    folder: Path, behave: Callable[[Stream], Awaitable[None]]
) -> AsyncIterator[tuple[Http2Server, Plane]]:
    authority = Authority(folder)
    async with (
        http2_server(behave, tls.server_side(authority.issue("server"))) as server,
        plane(authorities=tls.trusting(authority)) as made,
    ):
        yield server, made


async def _say(stream: Stream, *sections: list[tuple[str, str]]) -> None:
    """Say these sections of headers, the last of which ends the answer, unchecked."""
    speaker = stream.connection.h2
    speaker.config.validate_outbound_headers = False
    speaker.config.normalize_outbound_headers = False
    for place, section in enumerate(sections, 1):
        speaker.send_headers(stream.id, section, end_stream=place == len(sections))
    await stream.connection.flush()


@pytest.mark.parametrize(
    "status",
    ["-5", "0", "99", "099", "+200", "0200", "20000000", "2" * 4000, "2_00", " 200", "two", ""],
)
async def test_a_status_that_is_none_is_an_error_and_can_be_told(
    tmp_path: Path, status: str
) -> None:
    async def behave(stream: Stream) -> None:
        await _say(stream, [(":status", status)])

    async with _serving(tmp_path, behave) as (server, made):
        answer = await made.ask(order_to(server.port, scheme="https"))
        assert answer.error == "HTTP-protocol-error"
        ended = await made.until_ended()
        assert (ended.outcome, ended.status) == ("HTTP-protocol-error", 0)


@pytest.mark.parametrize("status", ["1000", "1", "101"])
async def test_a_status_of_an_answer_before_the_answer_is_checked_as_well(
    tmp_path: Path, status: str
) -> None:
    async def behave(stream: Stream) -> None:
        stream.connection.h2.config.validate_outbound_headers = False
        stream.connection.h2.send_headers(stream.id, [(":status", status)])
        await stream.connection.flush()

    async with _serving(tmp_path, behave) as (server, made):
        answer = await made.ask(order_to(server.port, scheme="https"))
        assert answer.error == "HTTP-protocol-error"


async def test_an_answer_before_the_answer_is_dropped(tmp_path: Path) -> None:
    async def behave(stream: Stream) -> None:
        early = [(":status", "103"), ("link", "</x>")]
        stream.connection.h2.send_headers(stream.id, early)
        await stream.answer(204, end=True)

    async with _serving(tmp_path, behave) as (server, made):
        answer = await made.ask(order_to(server.port, scheme="https"))
        assert (answer.status, answer.headers.get("link")) == (204, None)


UNSPEAKABLE = [
    pytest.param(("x(", "1"), id="a name that is no token"),
    pytest.param(("x@", "1"), id="a name that is an address"),
    pytest.param(("x", "a\vb"), id="a vertical tab"),
    pytest.param(("x", "a\fb"), id="a form feed"),
    pytest.param(("x", "a\r\ny: b"), id="two headers in one"),
]


@pytest.mark.parametrize("said", UNSPEAKABLE)
async def test_a_header_that_can_not_be_handed_on_is_an_error(
    tmp_path: Path, said: tuple[str, str]
) -> None:
    async def behave(stream: Stream) -> None:
        await _say(stream, [(":status", "200"), said])

    async with _serving(tmp_path, behave) as (server, made):
        answer = await made.ask(order_to(server.port, scheme="https"))
        assert answer.error == "HTTP-protocol-error"
        assert (await made.until_ended()).outcome == "HTTP-protocol-error"


@pytest.mark.parametrize("said", UNSPEAKABLE)
async def test_a_trailer_that_can_not_be_handed_on_is_an_error(
    tmp_path: Path, said: tuple[str, str]
) -> None:
    async def behave(stream: Stream) -> None:
        await _say(stream, [(":status", "200")], [said])

    async with _serving(tmp_path, behave) as (server, made):
        answer = await made.ask(order_to(server.port, scheme="https"))
        assert (answer.status, answer.whole) != (200, True)
        assert (await made.until_ended()).outcome == "HTTP-protocol-error"


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("POST", 1)])
async def test_a_whole_request_on_a_stale_connection_is_sent_once_more_only_if_that_changes_nothing(
    tmp_path: Path, method: str, times: int
) -> None:
    async def behave(stream: Stream) -> None:
        if stream.id == 1:
            await stream.answer(204, end=True)
        else:
            stream.connection.writer.transport.abort()

    async with _serving(tmp_path, behave) as (server, made):
        await made.ask(order_to(server.port, scheme="https"))
        answer = await made.ask(order_to(server.port, scheme="https", method=method))
        assert len(server.streams) == 1 + times
        assert answer.status == 204 if times > 1 else answer.error == "connection-terminated"
