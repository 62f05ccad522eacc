"""The agents' tools over recorded trades: what an answer costs, and that pages lose and repeat nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import trio
from spine import FakeExchange, recorded, spine

from actors.answers.queries import Queries
from actors.front.agents.arguments import Arguments
from actors.front.agents.asks import MEASURES
from actors.front.agents.tools import TOOLS
from wadm.answers.registry import QUESTIONS

ASKED = {"exchange": "binance", "symbol": "BTCUSDT"}
#: All that was recorded: six minutes.
WHOLE = {**ASKED, "start": "2024-08-08T23:50:00Z", "end": "2024-08-09T00:00:00Z"}
BUDGET = 600


def size(answer: object) -> int:
    """Return how many tokens of four characters the text of an answer takes."""
    return len(msgspec.json.encode(answer)) // 4


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Queries]:
    with trio.fail_after(30):
        async with spine(tmp_path, FakeExchange(recorded())) as running:
            await running.complete()
            yield Queries(running.runtime)


async def told(door: Any, tool: str, **given: Any) -> dict[str, Any]:
    (row,) = [row for row in TOOLS if row.name == tool]
    answer = await row.ask(door, Arguments.of(given))
    jsonschema.validate(given, row.takes)
    jsonschema.validate(answer, row.answers)
    return answer


async def pages(door: Any, tool: str, **given: Any) -> list[dict[str, Any]]:
    found = [await told(door, tool, **given)]
    while cursor := found[-1].get("next_cursor"):
        found.append(await told(door, tool, **{**given, "cursor": cursor}))
    return found


async def test_a_default_answer_is_small_also_where_the_market_was_busy(door: Queries) -> None:
    sizes = {
        "list_symbols": size(await told(door, "list_symbols")),
        "get_status": size(await told(door, "get_status")),
    }
    sizes["compare_exchanges"] = size(await told(door, "compare_exchanges", symbol="BTCUSDT"))
    for tool in (
        *("get_volume_profile", "get_order_flow", "get_candles", "get_footprint", "get_liquidity_zones"),
        *("get_market_overview", "get_session_analysis", "stream_trades"),
    ):
        answer = await told(door, tool, **ASKED)
        assert answer["coverage"]["state"] in ("final", "provisional")
        sizes[tool] = size(answer)
    for measure in MEASURES:
        answer = await told(door, "get_measure", **WHOLE, question=measure)
        assert "coverage" in answer
        sizes[measure] = size(answer)
    assert {name: tokens for name, tokens in sizes.items() if tokens > BUDGET} == {}
    assert sizes["get_footprint"] > BUDGET / 4  # it was busy


async def test_pages_lose_and_repeat_nothing(door: Queries) -> None:
    """All pages together are the answer in one page."""
    whole = await told(door, "get_candles", **WHOLE, bar="1m", limit=500)
    paged = await pages(door, "get_candles", **WHOLE, bar="1m", limit=2)
    assert len(paged) == 3
    assert [row for page in reversed(paged) for row in page["candles"]] == whole["candles"]

    whole = await told(door, "get_footprint", **WHOLE, bar="1m", limit=50, max_rows=500)
    paged = await pages(door, "get_footprint", **WHOLE, bar="1m", limit=4, max_rows=500)
    assert {page["row_size"] for page in paged} == {whole["row_size"]}
    assert [bar for page in reversed(paged) for bar in page["bars"]] == whole["bars"]

    full: Any = await door.ask(QUESTIONS["profile"], {**WHOLE, "row_size": "1"})
    paged = await pages(door, "get_volume_profile", **WHOLE, row_size=1, detail=True, max_rows=100)
    assert len(paged) == 3
    assert [row for page in paged for row in page["rows"]] == full["rows"]

    paged = await pages(door, "list_symbols", max_symbols=1)
    assert [one["symbol"] for page in paged for one in page["symbols"]] == ["BTCUSDT", "ETHUSDT"]

    first = await told(door, "stream_trades", **ASKED, limit=1000)
    again = await told(door, "stream_trades", **ASKED, cursor=first["next_cursor"])
    assert (again["trades"], again["next_cursor"]) == ([], first["next_cursor"])

    # A cursor keeps the window of the first page, whatever else is asked.
    page = await told(door, "get_candles", **WHOLE, bar="1m", limit=1)
    given = {**ASKED, "timeframe": "1d", "bar": "1m", "limit": 1, "cursor": page["next_cursor"]}
    before = await told(door, "get_candles", **given)
    assert (before["start"], before["end"]) == (page["start"], page["candles"][0][0])
