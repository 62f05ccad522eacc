"""Resources, prompts and completions, as the SDK's own client sees them."""

import json

import pytest
from agents_client import ASKED
from front_door import FakeDoor
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, TextContent, TextResourceContents

from actors.front.agents.asks import MEASURES
from actors.front.agents.prompts import create_prompts
from actors.front.agents.tools import TOOLS

pytestmark = [
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
]

PROFILE = "wadm://binance_usdm/BTCUSDT/profile/1h"


async def test_resources_are_listed_and_read(agent: Client, door: FakeDoor) -> None:
    listed = {one.uri: one for one in (await agent.list_resources()).resources}
    assert set(listed) == {"wadm://symbols", "wadm://status"}
    templates = {one.uri_template: one for one in (await agent.list_resource_templates()).resource_templates}
    assert set(templates) == {
        "wadm://{exchange}/{symbol}/profile/{timeframe}",
        "wadm://{exchange}/{symbol}/trades",
    }
    for one in (*listed.values(), *templates.values()):
        assert one.title
        assert one.description
        assert one.mime_type == "application/json"
    for uri in (*listed, PROFILE, "wadm://binance_usdm/BTCUSDT/trades"):
        (contents,) = (await agent.read_resource(uri)).contents
        assert isinstance(contents, TextResourceContents)
        assert contents.mime_type == "application/json"
        assert json.loads(contents.text)
    asked = await agent.call_tool("get_volume_profile", ASKED)
    (contents,) = (await agent.read_resource(PROFILE)).contents
    assert isinstance(contents, TextResourceContents)
    assert json.loads(contents.text) == asked.structured_content


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        (
            "wadm://kraken/BTCUSDT/profile/1h",
            "exchange is 'kraken'; expected one of binance, binance_usdm, bybit",
        ),
        ("wadm://binance_usdm/BTC/trades", "did you mean BTCUSDT?"),
        ("wadm://binance_usdm/BTCUSDT/profile/2h", "timeframe is '2h'; expected one of 1m, 5m"),
        ("wadm://nothing", "not found"),
        ("file:///etc/passwd", "not found"),
    ],
)
async def test_an_address_that_is_wrong_is_told_what_is_right(agent: Client, uri: str, says: str) -> None:
    with pytest.raises(MCPError) as refused:
        await agent.read_resource(uri)
    assert says in str(refused.value)


async def test_a_bug_in_a_resource_is_not_shown(agent: Client, door: FakeDoor) -> None:
    door.failure = ZeroDivisionError("the secret of the house")
    with pytest.raises(MCPError) as refused:
        await agent.read_resource(PROFILE)
    assert "secret" not in str(refused.value)


async def test_prompts_name_tools_and_questions_that_exist(agent: Client) -> None:
    listed = (await agent.list_prompts()).prompts
    assert [one.name for one in listed] == ["read_session", "find_value_moving"]
    for one in listed:
        assert one.title
        assert [argument.name for argument in one.arguments or [] if argument.required] == [
            "exchange",
            "symbol",
        ]
        (message,) = (await agent.get_prompt(one.name, ASKED)).messages
        assert isinstance(message.content, TextContent)
        text = message.content.text
        assert len(text) <= 600 * 4
        called = {
            word.partition("(")[0]
            for word in text.split()
            if "(" in word and word.startswith(("get_", "comp"))
        }
        assert called <= {row.name for row in TOOLS}
        assert len(called) >= 3
        named = {part.partition('"')[0] for part in text.split('question="')[1:]}
        assert named <= set(MEASURES)


def test_every_prompt_is_listed() -> None:
    assert len(create_prompts()) == 2


async def test_arguments_are_completed_from_what_is_followed(agent: Client) -> None:
    prompt = PromptReference(name="read_session")

    async def values(name: str, value: str, **given: str) -> list[str]:
        asked = {"name": name, "value": value}
        return (await agent.complete(prompt, asked, context_arguments=given or None)).completion.values

    assert await values("exchange", "bin") == ["binance", "binance_usdm"]
    assert await values("symbol", "", exchange="binance_usdm") == ["BTCUSDT", "ETHUSDT"]
    assert await values("symbol", "s") == ["SHIB1000USDT"]
    assert await values("timeframe", "1") == ["1m", "15m", "1h", "1d"]
    assert await values("session", "") == []
