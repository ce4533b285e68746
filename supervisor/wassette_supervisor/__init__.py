"""The trusted half: speaks MCP, decides, starts and ends processes; never loads the engine."""
