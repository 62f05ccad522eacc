"""The agents' tools: what each tells by default, and what the whole list and each answer cost."""

from typing import Any

import jsonschema
import pytest
from agents_client import ASKED, size
from front_door import FakeDoor

from actors.front.agents.arguments import Arguments
from actors.front.agents.asks import MEASURES
from actors.front.agents.cursors import Cursor
from actors.front.agents.tools import TOOLS, create_tools
from wadm.market import Instrument
from wadm.questions import QuestionError

#: Tools that are about no symbol.
DAEMON = ("list_symbols", "get_status")


async def told(door: FakeDoor, tool: str, **given: Any) -> dict[str, Any]:
    """Ask as a tool does, and hold question and answer against what the tool promises."""
    (row,) = [row for row in TOOLS if row.name == tool]
    answer = await row.ask(door, Arguments.of(given))
    jsonschema.validate(given, row.takes)
    jsonschema.validate(answer, row.answers)
    return answer


def test_the_whole_list_takes_few_tokens(door: FakeDoor) -> None:
    """A session carries it from beginning to end."""
    listed = [tool.to_mcp_tool().model_dump(mode="json", by_alias=True) for tool in create_tools(door)]
    sent = [{name: one[name] for name in ("name", "description", "inputSchema")} for one in listed]
    assert size(sent) <= 2_400  # of 4,000
    assert size(listed) <= 6_400


@pytest.mark.parametrize("row", TOOLS, ids=lambda row: row.name)
async def test_a_default_answer_takes_few_tokens_and_keeps_its_coverage(door: FakeDoor, row: Any) -> None:
    given: dict[str, Any] = {} if row.name in DAEMON else dict(ASKED)
    if row.name == "compare_exchanges":
        del given["exchange"]
    if row.name == "get_measure":
        given["question"] = "cvd"
    answer = await told(door, row.name, **given)
    assert size(answer) <= 600
    assert "coverage" in answer or row.name in DAEMON


@pytest.mark.parametrize("measure", MEASURES)
async def test_every_other_question_can_be_asked_by_its_name(door: FakeDoor, measure: str) -> None:
    answer = await told(door, "get_measure", **ASKED, question=measure, timeframe="1h")
    assert size(answer) <= 600
    assert "algorithm" not in answer
    assert "algorithm" in await told(
        door, "get_measure", **ASKED, question=measure, timeframe="1h", detail=True
    )


async def test_a_measure_takes_its_own_parameters(door: FakeDoor) -> None:
    given = {**ASKED, "question": "cvd", "parameters": {"bar": "1h"}, "detail": True}
    assert (await told(door, "get_measure", **given))["parameters"] == {"bar": "1h"}
    for wrong, says in (
        ({"parameters": {"baz": 1}}, "baz is '1'; expected one of exchange"),
        ({"parameters": []}, "parameters is '[]'; expected an object"),
        ({"question": "cvs"}, "did you mean cvd?"),
        ({"question": None}, "question is missing; expected one of composite"),
        ({"limit": 0}, "limit is '0'; expected a whole number from 1 to 500"),
    ):
        (row,) = [row for row in TOOLS if row.name == "get_measure"]
        with pytest.raises(QuestionError) as refused:
            await row.ask(door, Arguments.of({**given, **wrong}))
        assert says in str(refused.value)


async def test_what_a_list_leaves_out_is_counted(door: FakeDoor) -> None:
    given = {**ASKED, "question": "composite", "timeframe": "1h", "parameters": {"row_size": "10"}}
    whole = await told(door, "get_measure", **given, limit=500)
    short = await told(door, "get_measure", **given, limit=3)
    assert short["rows"] == whole["rows"][-3:]
    assert short["left_out"] == {"rows": len(whole["rows"]) - 3}
    assert "left_out" not in whole


async def test_trades_go_on_behind_the_cursor_and_say_what_was_missed(door: FakeDoor) -> None:
    newest = await told(door, "stream_trades", **ASKED, limit=2)
    assert newest["columns"] == ["time", "price", "quantity", "side", "id"]
    assert [row[4] for row in newest["trades"]] == [5_123_456_887, 5_123_456_888]
    nothing = await told(door, "stream_trades", **ASKED, cursor=newest["next_cursor"])
    assert (nothing["trades"], nothing["more"]) == ([], False)
    door.dropped = 50
    late = await told(door, "stream_trades", **ASKED, cursor="10", limit=5)
    assert (len(late["trades"]), late["more"]) == (5, True)
    assert late["missed"] == {"from_sequence": 10, "to_sequence": 50}


async def test_symbols_come_in_pages_that_keep_their_place_when_the_list_changes(door: FakeDoor) -> None:
    first = await told(door, "list_symbols", max_symbols=2)
    assert [one["symbol"] for one in first["symbols"]] == ["NEWUSDT", "BTCUSDT"]
    for name in ("AAAUSDT", "ZZZUSDT"):
        added = Instrument("binance", name)
        door.bars[added.key] = (added, door.bars["binance:NEWUSDT"][1])
    second = await told(door, "list_symbols", max_symbols=2, cursor=first["next_cursor"])
    assert [one["symbol"] for one in second["symbols"]] == ["ETHUSDT", "SHIB1000USDT"]
    assert "next_cursor" not in second


async def test_zones_are_those_nearest_to_the_price(door: FakeDoor) -> None:
    every = await told(door, "get_liquidity_zones", **ASKED, limit=100)
    assert every["zones_total"] == len(every["zones"]) == 3
    one = await told(door, "get_liquidity_zones", **ASKED, limit=1)
    nearest = min(every["zones"], key=lambda zone: float(zone["distance_percent"]))
    assert one["zones"] == [nearest]


async def test_the_status_is_short_and_names_the_worst_collectors_first(door: FakeDoor) -> None:
    status = await told(door, "get_status")
    assert status["status"] == "healthy"
    assert [one["state"] for one in status["collectors"]] == ["connecting", "connected"]
    assert status["symbols"] == {"live": 3, "waiting for the first trade": 1}
    assert "actors" not in await told(door, "get_status", detail=True)


@pytest.mark.parametrize(
    "text", ["", "x", "2024-08-09", "2024-08-09/2024-08-08", "2024-08-08/x", "2024-08-08/2024-08-09/1/2"]
)
async def test_a_cursor_that_no_answer_gave_is_refused(door: FakeDoor, text: str) -> None:
    with pytest.raises(QuestionError, match=r"cursor is .* expected the next_cursor of"):
        await told(door, "get_candles", **ASKED, cursor=text)


async def test_a_cursor_of_another_tool_is_refused(door: FakeDoor) -> None:
    for tool in ("get_volume_profile", "get_footprint"):
        with pytest.raises(QuestionError):
            await told(door, tool, **ASKED, cursor=str(Cursor("2024-08-08", "2024-08-09", "nothing")))


def test_a_cursor_is_what_it_was() -> None:
    for cursor in (Cursor("2024-08-08", "2024-08-09"), Cursor("2024-08-08", "2024-08-09", "61563.2")):
        assert Cursor.parse(str(cursor)) == cursor
