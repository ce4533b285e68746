"""The MCP side: what a client sees."""
