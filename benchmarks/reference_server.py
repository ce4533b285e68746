"""The least that an MCP server on stdio can be: a low-level server whose `noop` does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import mcp_types as types
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

_NUMBER = {"type": "integer", "minimum": 0, "maximum": 4294967295}
_INPUT = {"type": "object", "properties": {"a": _NUMBER, "b": _NUMBER}, "required": ["a", "b"]}
_OUTPUT = {"type": "object", "properties": {"result": _NUMBER}, "required": ["result"]}


async def list_tools(
    _: ServerRequestContext, __: types.PaginatedRequestParams | None
) -> types.ListToolsResult:
    tools = [types.Tool(name="noop", input_schema=_INPUT, output_schema=_OUTPUT)]
    return types.ListToolsResult(tools=tools, ttl_ms=0, cache_scope="private")


async def call_tool(
    _: ServerRequestContext, __: types.CallToolRequestParams
) -> types.CallToolResult:
    content: list[types.ContentBlock] = [types.TextContent(type="text", text="3")]
    return types.CallToolResult(content=content, structured_content={"result": 3})


async def main() -> None:
    server = Server("reference", version="1", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (reader, writer):
        await server.run(reader, writer, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
