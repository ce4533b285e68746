"""A real MCP server on our transport, for tests; run as a script it serves standard input."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
from mcp.server.lowlevel.server import Server

from wassette_supervisor.errors import UsageError
from wassette_supervisor.front.stdio import serve_stdio

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

TOOLS = ["echo", "fill", "wait", "print", "surrogate"]


async def list_tools(
    _: ServerRequestContext, __: types.PaginatedRequestParams | None
) -> types.ListToolsResult:
    tools = [types.Tool(name=name, input_schema={"type": "object"}) for name in TOOLS]
    return types.ListToolsResult(tools=tools, ttl_ms=0, cache_scope="private")


async def call_tool(
    _: ServerRequestContext, params: types.CallToolRequestParams
) -> types.CallToolResult:
    if params.name == "wait":
        await anyio.sleep_forever()
    text = answer(params.name, params.arguments or {})
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


def answer(tool: str, arguments: dict[str, Any]) -> str:
    match tool:
        case "echo":
            return str(arguments["text"])
        case "fill":
            return "x" * int(arguments["bytes"])
        case "print":
            return stray_output()
        case _:
            return "\ud800"


def stray_output() -> str:
    """Print to where the client listens, also from a child, and read what it says."""
    print("stray text of a library", flush=True)  # noqa: T201 - the deed
    print("and some that stays in the buffer", end="")  # noqa: T201 - what stray prints do is tested
    os.write(1, b"stray bytes\n")
    status = os.system("echo a child; read line")  # noqa: S605, S607 - what careless code does is tested
    return f"read {os.read(0, 10)!r}, the child's read failed: {status != 0}"


def make_server() -> Server:
    return Server("echo", version="1", on_list_tools=list_tools, on_call_tool=call_tool)


async def main() -> None:
    server = make_server()
    async with serve_stdio() as (read_stream, write_stream):
        await server.run(read_stream, write_stream, server.create_initialization_options())


if __name__ == "__main__":
    try:
        anyio.run(main)
    except UsageError as error:
        sys.exit(f"error: {error}")
