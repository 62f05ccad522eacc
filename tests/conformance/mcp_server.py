"""The server that the MCP conformance suite asks for, behind this project's own gate and transport.

The suite calls tools, resources and prompts of fixed names. They are served here, and only here, by the same
stack that serves agents: FastMCP, ``Transport``, ``Gate`` and hypercorn on trio.

    python tests/conformance/mcp_server.py [PORT]
"""

import base64
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mcp_types as types
import trio
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.prompts import Message, PromptResult
from fastmcp.resources import ResourceContent, ResourceResult
from fastmcp.tools import Tool, ToolResult
from fastmcp.utilities.types import Audio, Image
from quart_trio import QuartTrio

from actors.access.access import Access
from actors.front.agents.server import adopt_logs, mcp_app
from actors.front.agents.subscriptions import Mark
from actors.front.gate import Gate
from actors.front.hosts import Hosts
from actors.front.server import Dispatcher, listen, serve, url
from wadm.sections import AccessSettings

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
)
WAV = base64.b64decode("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=")
WATCHED = "test://watched-resource"

mcp: FastMCP[None] = FastMCP("conformance", dereference_schemas=False)


# --- tools ---


@mcp.tool(output_schema=None)
def test_simple_text() -> str:
    """Return text."""
    return "This is a simple text response for testing."


@mcp.tool(output_schema=None)
def test_image_content() -> Image:
    """Return an image."""
    return Image(data=PNG, format="png")


@mcp.tool(output_schema=None)
def test_audio_content() -> Audio:
    """Return a sound."""
    return Audio(data=WAV, format="wav")


def embedded(uri: str, mime_type: str, text: str) -> types.EmbeddedResource:
    contents = types.TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return types.EmbeddedResource(type="resource", resource=contents)


@mcp.tool(output_schema=None)
def test_embedded_resource() -> ToolResult:
    """Return a resource."""
    return ToolResult(
        content=[embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]
    )


@mcp.tool(output_schema=None)
def test_multiple_content_types() -> ToolResult:
    """Return text, an image and a resource."""
    return ToolResult(
        content=[
            types.TextContent(type="text", text="Multiple content types test:"),
            Image(data=PNG, format="png").to_image_content(),
            embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
        ]
    )


@mcp.tool(output_schema=None)
async def test_tool_with_logging(ctx: Context) -> str:
    """Log three times."""
    for said in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(said)
        await trio.sleep(0.05)
    return "done"


@mcp.tool(output_schema=None)
def test_error_handling() -> str:
    """Fail."""
    raise ToolError("This tool intentionally returns an error for testing")


@mcp.tool(output_schema=None)
async def test_tool_with_progress(ctx: Context) -> str:
    """Tell of progress three times."""
    for progress in (0, 50, 100):
        await ctx.report_progress(progress, 100)
        await trio.sleep(0.05)
    return "done"


@mcp.tool(output_schema=None)
async def test_sampling(prompt: str, ctx: Context) -> str:
    """Have the client's model answer."""
    asked = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=prompt))
    answer = await ctx.session.create_message([asked], max_tokens=100, related_request_id=ctx.request_id)
    return f"LLM response: {getattr(answer.content, 'text', answer.content)}"


async def elicited(ctx: Context, message: str, **properties: Any) -> types.ElicitResult:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)


@mcp.tool(output_schema=None)
async def test_elicitation(message: str, ctx: Context) -> str:
    """Ask the user."""
    answer = await elicited(ctx, message, username={"type": "string"}, email={"type": "string"})
    return f"User response: action={answer.action}, content={answer.content}"


@mcp.tool(output_schema=None)
async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Ask the user, with defaults of every kind."""
    answer = await elicited(
        ctx,
        "Defaults",
        name={"type": "string", "default": "John Doe"},
        age={"type": "integer", "default": 30},
        score={"type": "number", "default": 95.5},
        status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        verified={"type": "boolean", "default": True},
    )
    return f"Elicitation completed: action={answer.action}, content={answer.content}"


@mcp.tool(output_schema=None)
async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Ask the user, with enumerations of every kind."""
    options = ["option1", "option2", "option3"]
    titled = [{"const": f"value{number}", "title": f"Option {number}"} for number in (1, 2, 3)]
    answer = await elicited(
        ctx,
        "Enumerations",
        untitledSingle={"type": "string", "enum": options},
        titledSingle={"type": "string", "oneOf": titled},
        legacyEnum={"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"]},
        untitledMulti={"type": "array", "items": {"type": "string", "enum": options}},
        titledMulti={"type": "array", "items": {"anyOf": titled}},
    )
    return f"Elicitation completed: action={answer.action}, content={answer.content}"


@mcp.tool(output_schema=None)
async def test_reconnection() -> str:
    """Answer late: streams are not resumed here, so this one is not closed on the way."""
    await trio.sleep(0.1)
    return "Reconnection test completed"


class SchemaTool(Tool):
    """A tool whose schema is listed as it was written."""

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        return ToolResult(content=[types.TextContent(type="text", text=str(arguments))])


mcp.add_tool(
    SchemaTool(
        name="json_schema_2020_12_tool",
        description="Tool with JSON Schema 2020-12 features",
        parameters={
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {
                "address": {
                    "type": "object",
                    "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
                }
            },
            "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
            "additionalProperties": False,
        },
    )
)


# --- resources ---


@mcp.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    """Return text."""
    return "This is the content of the static text resource."


@mcp.resource("test://static-binary", mime_type="image/png")
def static_binary() -> ResourceResult:
    """Return bytes."""
    return ResourceResult([ResourceContent(PNG, "image/png")])


@mcp.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:  # noqa: A002 - the suite's name
    """Return what the address says."""
    return f'{{"id":"{id}","templateTest":true,"data":"Data for ID: {id}"}}'


@mcp.resource(WATCHED, mime_type="text/plain")
def watched() -> str:
    """Return what never changes."""
    return "watched"


async def marks(uris: Iterable[str]) -> dict[str, Mark]:
    await trio.lowlevel.checkpoint()
    return {uri: () for uri in uris if uri == WATCHED}


# --- prompts and completion ---


@mcp.prompt
def test_simple_prompt() -> str:
    """Return text."""
    return "This is a simple prompt for testing."


@mcp.prompt
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """Return the arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@mcp.prompt
def test_prompt_with_embedded_resource(resourceUri: str) -> PromptResult:  # noqa: N803 - the suite's name
    """Return a resource and text."""
    found = embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
    return PromptResult([Message(found), Message("Please process the embedded resource above.")])


@mcp.prompt
def test_prompt_with_image() -> PromptResult:
    """Return an image and text."""
    image = Image(data=PNG, format="png").to_image_content()
    return PromptResult([Message(image), Message("Please analyze the image above.")])


@mcp.completion
async def complete(_ref: object, argument: types.CompletionArgument, _context: object) -> list[str]:
    await trio.lowlevel.checkpoint()
    return [argument.value]


async def main() -> None:
    """Serve until interrupted."""
    adopt_logs()
    listening = await listen("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    agents = mcp_app(mcp, marks)
    with tempfile.TemporaryDirectory() as directory:
        access = Access.open(Path(directory), AccessSettings(requests_per_minute=10_000))
        gate = Gate(
            Dispatcher(QuartTrio("empty"), agents), access.keyring, access.audit, access.rates, Hosts()
        )
        async with agents.running(), trio.open_nursery() as nursery:
            await nursery.start(serve, gate, listening)
            print(f"{url(listening)}/mcp", flush=True)  # noqa: T201 - the script reads it
            await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main)
