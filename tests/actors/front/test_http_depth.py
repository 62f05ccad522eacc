"""``GET /api/v1/depth``."""

import httpx
import pytest

DEPTH = "/api/v1/depth"
ASKED = {"exchange": "binance_usdm", "symbol": "btcusdt"}


async def test_depth_is_answered_with_exact_text(client: httpx.AsyncClient) -> None:
    answer = await client.get(DEPTH, params={**ASKED, "levels": "2"})
    assert answer.status_code == 200
    depth = answer.json()
    assert depth["bids"] == [["61563.2", "1"], ["61563.1", "1.001"]]
    assert depth["asks"] == [["61563.3", "2"], ["61563.4", "2.001"]]
    assert depth["totals"] == {"bids": "2.001", "asks": "4.001"}
    assert (depth["synced"], depth["reason"], depth["age_ms"], depth["update_id"]) == (True, None, 140, 7)
    # A hundred levels are as many as could be asked for: there may be more behind them.
    assert depth["known_to"] == {"bids": "61553.3", "asks": "61573.2"}


async def test_twenty_levels_are_shown_unless_told_otherwise(client: httpx.AsyncClient) -> None:
    depth = (await client.get(DEPTH, params=ASKED)).json()
    assert (len(depth["bids"]), len(depth["asks"])) == (20, 20)


@pytest.mark.parametrize(
    ("asked", "status", "code", "parameter"),
    [
        ({**ASKED, "levels": "0"}, 422, "bad_value", "levels"),
        ({**ASKED, "levels": "1001"}, 422, "bad_value", "levels"),
        ({**ASKED, "levels": "²"}, 422, "bad_value", "levels"),
        ({**ASKED, "level": "5"}, 400, "unknown_parameter", "level"),
        ({"exchange": "binance_usdm"}, 400, "missing_parameter", "symbol"),
        ({**ASKED, "symbol": "NOPE"}, 404, "unknown_symbol", "symbol"),
        ({"exchange": "binance", "symbol": "NEWUSDT"}, 404, "not_followed", "symbol"),
    ],
)
async def test_a_question_about_no_book_says_what_is_wrong(
    client: httpx.AsyncClient, asked: dict[str, str], status: int, code: str, parameter: str
) -> None:
    answer = await client.get(DEPTH, params=asked)
    error = answer.json()
    assert (answer.status_code, error["code"], error["parameter"]) == (status, code, parameter)
