"""The door for AI agents: MCP over Streamable HTTP at ``/mcp``."""
