"""The doors: HTTP for programs, MCP for agents, a status page for people; one port, one set of questions."""
