"""A component that makes pictures, as the clients of both eras get them."""

from __future__ import annotations

import base64
import itertools
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
import msgspec
import pytest

from support import served
from support.served import ANSWER_S, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from mcp import Client

    from support.served import Era

pytestmark = pytest.mark.anyio

# What the engine copies of a result: 48 bytes for each element of a list, 128 MiB in all.
MOST_BYTES = (128 << 20) // 48


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served.make_store(tmp_path_factory.mktemp("pictures") / "store", ["picture"])


@pytest.fixture(scope="module", params=["auto", "legacy"])
async def either(
    pictures: Path, request: pytest.FixtureRequest, anyio_backend: str
) -> AsyncIterator[Client]:
    del anyio_backend  # that it has this scope is enough
    async with served.client(pictures, era=request.param) as connection:
        yield connection


async def call(connection: Client, tool: str, **arguments: Any) -> types.CallToolResult:
    """By the library's client: it holds the result against the schema that was listed."""
    with anyio.fail_after(ANSWER_S):
        await connection.list_tools()
        return await connection.call_tool(tool, arguments)


def side_of(image: types.ContentBlock) -> int:
    """The side of a grey square; all checks of the file are made here."""
    assert isinstance(image, types.ImageContent)
    assert image.mime_type == "image/png"
    data = base64.b64decode(image.data, validate=True)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks = dict(chunks_of(data))
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height = struct.unpack_from(">II", chunks[b"IHDR"])
    assert width == height
    lines = [bytes([0, *(x * y % 256 for x in range(width))]) for y in range(height)]
    assert zlib.decompress(chunks[b"IDAT"]) == b"".join(lines)
    return int(width)


def chunks_of(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size) == (zlib.crc32(kind + body),)
        yield kind, body
        at += size + 12


def size_of(image: types.ContentBlock) -> int:
    assert isinstance(image, types.ImageContent)
    return len(base64.b64decode(image.data))


async def test_a_picture_is_an_image_and_the_value_says_which_content_it_is(
    either: Client,
) -> None:
    result = await call(either, "square", side=3)
    told, image = result.content
    assert side_of(image) == 3
    place = {"content": 1, "bytes": size_of(image)}
    expected = {"mime-type": "image/png", "data": place, "name": "square.png"}
    assert result.structured_content == {"result": expected}
    assert isinstance(told, types.TextContent)
    assert msgspec.json.decode(told.text) == expected


async def test_it_is_the_same_through_call_tool(either: Client) -> None:
    through = await call(either, "call-tool", name="square", arguments={"side": 3})
    direct = await call(either, "square", side=3)
    assert through.content == direct.content
    assert through.structured_content == direct.structured_content


async def test_its_schema_says_what_stands_in_the_value(either: Client) -> None:
    with anyio.fail_after(ANSWER_S):
        listed = {tool.name: tool for tool in (await either.list_tools()).tools}
    schema = listed["square"].output_schema
    assert schema is not None
    place, plain = schema["properties"]["result"]["properties"]["data"]["anyOf"]
    assert place["required"] == ["content", "bytes"]
    assert plain == {"type": "string", "contentEncoding": "base64"}
    # What a tool takes is as ever.
    data = listed["claimed"].input_schema["properties"]["data"]
    assert data == {"type": "string", "contentEncoding": "base64"}


async def test_the_error_of_a_tool_that_makes_pictures_is_an_error(either: Client) -> None:
    result = await call(either, "square", side=0)
    assert result.is_error
    assert text(result) == '"the side of a square is 1 to 64"'


async def test_a_picture_that_may_be_missing_is_null_or_an_image(either: Client) -> None:
    assert side_of((await call(either, "perhaps", side=64)).content[1]) == 64
    missing = await call(either, "perhaps", side=65)
    assert missing.structured_content == {"result": None}
    assert text(missing) == "null"


async def test_a_list_of_pictures_is_so_many_images_in_its_order(either: Client) -> None:
    result = await call(either, "squares", count=32)
    assert [side_of(image) for image in result.content[1:]] == list(range(1, 33))
    assert result.structured_content is not None
    places = [one["data"] for one in result.structured_content["result"]]
    assert places == [
        {"content": n, "bytes": size_of(image)}
        for n, image in zip(itertools.count(1), result.content[1:], strict=False)
    ]
    more = await call(either, "squares", count=33)
    assert more.is_error
    assert "33 images or files; at most 32" in text(more)


@pytest.mark.parametrize(
    ("claim", "data", "kinds"),
    [
        pytest.param("image/svg+xml", b"<svg/>", ["text", "resource"], id="svg"),
        pytest.param("text/html", b"<p>", ["text", "resource"], id="a page"),
        pytest.param("image/png", b"<html>", ["text", "resource", "text"], id="no image"),
        pytest.param("image/png\nx", b"\x89PNG\r\n\x1a\n", ["text", "text"], id="two lines"),
        pytest.param("a" * 100_000, b"", ["text", "text"], id="a long type"),
        pytest.param("text/html;profile=mcp-app", b"<p>", ["text", "text"], id="a profile"),
        pytest.param("", b"", ["text", "text"], id="no type"),
    ],
)
async def test_a_component_may_claim_any_type_and_clients_get_only_what_it_is(
    either: Client, claim: str, data: bytes, kinds: list[str]
) -> None:
    arguments = {"mime-type": claim, "data": base64.b64encode(data).decode()}
    result = await call(either, "claimed", **arguments)
    assert not result.is_error
    assert [block.type for block in result.content] == kinds
    for block in result.content:
        if isinstance(block, types.EmbeddedResource):
            assert block.resource.uri.startswith("ni:///sha-256;")
        else:
            assert block.type == "text"


async def test_the_longest_file_that_the_engine_copies_comes_and_one_byte_more_is_an_error(
    pictures: Path, era: Era
) -> None:
    data = b"\x89PNG\r\n\x1a\n" + os.urandom(MOST_BYTES)
    async with served.client(pictures, era=era) as connection:

        async def claimed(size: int) -> types.CallToolResult:
            encoded = base64.b64encode(data[:size]).decode()
            return await call(connection, "claimed", **{"mime-type": "image/png", "data": encoded})

        # The texts of the record are copied too.
        largest = await claimed(MOST_BYTES - 10)
        assert [block.type for block in largest.content] == ["text", "image"]
        assert size_of(largest.content[1]) == MOST_BYTES - 10
        beyond = await claimed(MOST_BYTES + 1)
    assert beyond.is_error
    assert "128 MiB" in text(beyond)


async def test_a_file_beyond_the_limit_of_a_result_is_an_error_that_names_it(
    pictures: Path, era: Era
) -> None:
    async with served.client(pictures, "--limit", "result=16Ki", era=era) as connection:
        fits = await call(connection, "claimed", **{"mime-type": "x/y", "data": "A" * 16_000})
        assert [block.type for block in fits.content] == ["text", "resource"]
        beyond = await call(connection, "claimed", **{"mime-type": "x/y", "data": "A" * 16_384})
    assert beyond.is_error
    assert "result=16Ki" in text(beyond)


async def test_the_audit_log_has_the_size_of_a_picture_and_nothing_of_it(
    pictures: Path, era: Era
) -> None:
    secret = base64.b64encode(os.urandom(60)).decode()
    async with served.client(pictures, era=era) as connection:
        await call(connection, "claimed", **{"mime-type": "x/y", "data": secret})
    done = served.operate(pictures, "audit", "--event", "call-ended")
    ended = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    expected = {"result": {"mime-type": "x/y", "data": secret, "name": None}}
    assert ended[-1]["detail"]["result_bytes"] == len(msgspec.json.encode(expected))
    everything = served.operate(pictures, "audit").stdout
    assert secret.encode() not in everything
    assert b"x/y" not in everything
