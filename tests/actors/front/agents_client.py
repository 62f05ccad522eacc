"""What the tests of the agents' door have in common: calls that are checked against what was promised."""

import json
from typing import Any

import jsonschema
from mcp import Client
from mcp_types import CallToolResult

ASKED = {"exchange": "binance_usdm", "symbol": "BTCUSDT"}
TOKENS = 4  # characters in one, about
INITIALIZED = "2025-11-25"
STATELESS = "2026-07-28"


def size(value: object) -> int:
    """Return how many tokens a value takes in an agent's context."""
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False)) // TOKENS


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert content.type == "text"
    return content.text


async def answer(agent: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool; check its answer against the schema it promised, and its text against its structure."""
    result = await agent.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    (promised,) = [one for one in (await agent.list_tools()).tools if one.name == tool]
    assert promised.output_schema is not None
    assert result.structured_content is not None
    jsonschema.validate(result.structured_content, promised.output_schema)
    jsonschema.validate(arguments, promised.input_schema)
    assert json.loads(text_of(result)) == result.structured_content
    return result.structured_content


async def refusal(agent: Client, tool: str, **arguments: Any) -> str:
    result = await agent.call_tool(tool, arguments)
    assert result.is_error
    return text_of(result)


def call(version: str, tool: str = "list_symbols", **extra: str) -> dict[str, Any]:
    """Return a tool call as a client without any state sends it."""
    params: dict[str, Any] = {"name": tool, "arguments": {}}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": version, **extra}
    if version == STATELESS:
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        headers |= {"Mcp-Method": "tools/call", "Mcp-Name": tool}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return {"url": "/mcp", "json": body, "headers": headers}
