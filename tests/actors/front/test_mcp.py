import json
import logging
from typing import Any

import httpx
import jsonschema
import pytest
from agents_client import ASKED, INITIALIZED, TOKENS, answer, call, refusal
from front_door import FakeDoor
from mcp import Client
from mcp_types import Tool

from wadm.answers.registry import QUESTIONS
from wadm.coverage import KnownGap
from wadm.exchanges.base import Gap
from wadm.market import IdKind, Instrument
from wadm.questions import Unavailable

# The client leaves the end of a stream that was answered to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <async_generator:pytest.PytestUnraisableExceptionWarning"
    ),
]


async def test_the_tools_are_listed(agent: Client) -> None:
    tools = (await agent.list_tools()).tools
    assert [tool.name for tool in tools] == [
        "get_volume_profile",
        "get_order_flow",
        "get_market_depth",
        "stream_trades",
        "get_candles",
        "get_footprint",
        "get_liquidity_zones",
        "get_market_overview",
        "get_session_analysis",
        "compare_exchanges",
        "get_measure",
        "list_symbols",
        "get_status",
    ]
    for tool in tools:
        check_tool(tool)


def check_tool(tool: Tool) -> None:
    assert tool.title
    assert tool.description
    assert tool.output_schema
    assert tool.annotations is not None
    assert tool.annotations.read_only_hint
    assert tool.annotations.idempotent_hint
    for schema in (tool.input_schema, tool.output_schema):
        jsonschema.Draft202012Validator.check_schema(schema)


async def test_a_profile_comes_short_with_its_heaviest_rows(agent: Client, door: FakeDoor) -> None:
    brief = await answer(agent, "get_volume_profile", **ASKED)
    full = await door.ask(QUESTIONS["profile"], {**ASKED, "timeframe": "1h"})
    rows = full["rows"]
    assert isinstance(rows, list)
    heaviest = sorted((float(row["volume"]) for row in rows), reverse=True)[:10]
    assert sorted((float(row["volume"]) for row in brief["rows"]), reverse=True) == heaviest
    assert [row["price"] for row in brief["rows"]] == sorted(row["price"] for row in brief["rows"])
    assert (brief["rows_shown"], brief["rows_total"]) == (10, len(rows))
    assert {name: brief[name] for name in ("poc", "vah", "val", "volume", "delta", "timeframe")} == {
        name: full[name] for name in ("poc", "vah", "val", "volume", "delta", "timeframe")
    }
    assert brief["hint"] == "row_size=50 shows the whole range in 14 rows"
    assert len(json.dumps(brief, separators=(",", ":"))) <= 600 * TOKENS


async def test_the_hint_keeps_its_word(agent: Client) -> None:
    whole = await answer(agent, "get_volume_profile", **ASKED, row_size="50", max_rows=100)
    assert whole["rows_shown"] == whole["rows_total"] <= 14
    assert "hint" not in whole


async def test_more_is_given_on_request(agent: Client) -> None:
    detailed = await answer(agent, "get_volume_profile", **ASKED, detail=True, max_rows=500)
    assert (len(detailed["rows"]), detailed["method"]) == (500, "pair")
    assert detailed["coverage"]["sources"] == ["live"]
    bare = await answer(agent, "get_volume_profile", **ASKED, max_rows=0)
    assert bare["rows"] == []


@pytest.mark.parametrize("row_size", ["0.5", 0.5])
async def test_numbers_are_taken_as_they_are_written(agent: Client, row_size: Any) -> None:
    assert (await answer(agent, "get_volume_profile", **ASKED, row_size=row_size))["row_size"] == "0.5"


async def test_a_null_is_an_argument_not_given(agent: Client) -> None:
    brief = await agent.call_tool("get_order_flow", {**ASKED, "timeframe": None, "detail": None})
    assert brief.structured_content is not None
    assert brief.structured_content["timeframe"] == "1h"


async def test_a_symbol_without_trades_is_answered(agent: Client) -> None:
    empty = await answer(agent, "get_volume_profile", exchange="binance", symbol="NEWUSDT")
    assert (empty["poc"], empty["rows"], empty["trades"]) == (None, [], 0)


async def test_order_flow_is_small(agent: Client) -> None:
    flow = await answer(agent, "get_order_flow", **ASKED)
    assert flow["trades"] == 4000
    assert len(json.dumps(flow, separators=(",", ":"))) <= 600 * TOKENS


async def test_gaps_are_counted_and_told_on_request(agent: Client, door: FakeDoor) -> None:
    door.gaps = [
        KnownGap(Gap("binance_usdm", "BTCUSDT", IdKind.TRADE, first, first + 4, 0)) for first in (10, 20)
    ]
    brief = await answer(agent, "get_order_flow", **ASKED)
    assert (brief["coverage"]["gaps"], brief["coverage"]["missing"]) == (2, 10)
    full = await answer(agent, "get_order_flow", **ASKED, detail=True)
    assert [gap["first"] for gap in full["coverage"]["gaps"]] == [10, 20]


async def test_symbols_are_listed_by_exchange_and_not_all_at_once(agent: Client, door: FakeDoor) -> None:
    found = await answer(agent, "list_symbols", exchange="bybit")
    assert [one["symbol"] for one in found["symbols"]] == ["SHIB1000USDT"]
    _, bar = door.bars["binance_usdm:BTCUSDT"]
    for number in range(100):
        instrument = Instrument("binance_usdm", f"LONGNAME{number}USDT")
        door.bars[instrument.key] = (instrument, bar)
    found = await answer(agent, "list_symbols")
    assert (found["shown"], found["total"]) == (20, 104)
    assert len(json.dumps(found, separators=(",", ":"))) <= 600 * TOKENS
    assert (await answer(agent, "list_symbols", max_symbols=500, detail=True))["shown"] == 104


@pytest.mark.parametrize(
    ("tool", "wrong", "says"),
    [
        ("get_volume_profile", {"exchange": "kraken"}, "Call list_symbols to see what can be asked."),
        ("get_order_flow", {"symbol": "BTC"}, "did you mean BTCUSDT?). Call list_symbols"),
        ("get_order_flow", {"symbol": ""}, "symbol is missing; expected one of BTCUSDT, ETHUSDT."),
        ("get_order_flow", {"timeframe": "2h"}, "one of 1m, 5m, 15m, 1h, 4h, 1d, session. Correct it"),
        (
            "get_order_flow",
            {"start": "yesterday", "end": "today"},
            "start is 'yesterday'; expected an ISO",
        ),
        ("get_volume_profile", {"row_size": "0.15"}, "row_size is '0.15'; expected a positive multiple"),
        ("get_volume_profile", {"row_size": True}, "row_size is 'true'; expected text or a number."),
        ("get_volume_profile", {"row_size": [1]}, "row_size is '[1]'; expected text or a number."),
        (
            "get_volume_profile",
            {"max_rows": 501},
            "max_rows is '501'; expected a whole number from 0 to 500",
        ),
        ("get_volume_profile", {"max_rows": "ten"}, "max_rows is 'ten'; expected a whole number"),
        ("get_volume_profile", {"detail": "yes"}, "detail is 'yes'; expected true or false."),
        ("get_volume_profile", {"rows": 3}, "rows is '3'; expected one of exchange, symbol, row_size"),
        ("list_symbols", {"exchange": "kraken"}, "exchange is 'kraken'; expected one of binance,"),
    ],
)
async def test_a_wrong_argument_is_answered_with_what_to_do(
    agent: Client, tool: str, wrong: dict[str, Any], says: str
) -> None:
    asked = wrong if tool == "list_symbols" else {**ASKED, **wrong}
    assert says in await refusal(agent, tool, **asked)


async def test_what_is_not_available_may_be_asked_again(agent: Client, door: FakeDoor) -> None:
    door.failure = Unavailable("binance:BTCUSDT", "it did not answer within 5 s")
    assert "Ask again shortly." in await refusal(agent, "get_order_flow", **ASKED)


async def test_a_bug_is_logged_once_and_not_shown(
    agent: Client, door: FakeDoor, caplog: pytest.LogCaptureFixture
) -> None:
    door.failure = ZeroDivisionError("the secret of the house")
    with caplog.at_level(logging.INFO):
        assert "secret" not in await refusal(agent, "get_order_flow", **ASKED)
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.exc_info is not None


async def test_a_forged_host_or_origin_is_turned_away(client: httpx.AsyncClient) -> None:
    assert (await client.post(**call(INITIALIZED, Host="evil.example"))).status_code == 421
    assert (await client.post(**call(INITIALIZED, Origin="http://evil.example"))).status_code == 403
    assert (await client.post(**call(INITIALIZED, Origin="http://localhost:3000"))).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"jsonrpc":"2.0"}', b"\xff" * 100])
async def test_a_body_that_is_no_call_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    answered = await client.post("/mcp", content=body, headers=call(INITIALIZED)["headers"])
    assert 400 <= answered.status_code < 500


async def test_a_book_comes_short_with_its_best_levels(agent: Client) -> None:
    depth = await answer(agent, "get_market_depth", **ASKED)
    assert len(depth["bids"]) == len(depth["asks"]) == 10
    assert (depth["bids"][0], depth["asks"][0]) == (["61563.2", "1"], ["61563.3", "2"])
    assert (depth["synced"], depth["spread"], depth["mid"]) == (True, "0.1", "61563.25")
    assert "counters" not in depth
    assert len(json.dumps(depth, separators=(",", ":"))) <= 300 * TOKENS
    full = await answer(agent, "get_market_depth", **ASKED, levels=3, detail=True)
    assert (len(full["asks"]), full["counters"]) == (3, {"updates": 1})


async def test_a_book_that_is_not_followed_says_what_to_do(agent: Client) -> None:
    told = await refusal(agent, "get_market_depth", exchange="binance", symbol="NEWUSDT")
    assert told.strip() == (
        "The order book of binance:NEWUSDT is not followed; "
        "add book to exchanges.binance.streams in the settings."
    )
    wrong = await refusal(agent, "get_market_depth", **ASKED, levels=1001)
    assert "levels is '1001'; expected a whole number from 1 to 1000" in wrong
