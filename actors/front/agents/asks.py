"""What each tool asks about the market, and what of the answer it tells."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from actors.front.agents import brief
from actors.front.agents.arguments import Arguments
from actors.front.agents.cursors import Cursor
from actors.front.door import Door
from wadm.answers import profile
from wadm.answers.registry import QUESTIONS
from wadm.numbers import NumberError, parse
from wadm.questions import MOST_LEVELS, MissingParameter, QuestionError, nearest

Answer = dict[str, Any]

#: The most entries of a page.
MOST_ROWS = 500
MOST_BARS = 50
MOST_TRADES = 1_000

_WINDOW = ("exchange", "symbol", "timeframe", "start", "end")
_VALUE = ("poc", "vah", "val")
_PRICES = ("open", "high", "low", "close")

_PROFILE = (*_WINDOW, "row_size", *_VALUE, "value_area", "volume", "delta", "trades", *_PRICES)
_FLOW = (
    *(*_WINDOW, "volume", "buy_volume", "sell_volume", "delta", "delta_high", "delta_low"),
    *("cvd", "cvd_since", "imbalance_ratio", "trades"),
)
_DEPTH = (
    *("exchange", "symbol", "synced", "reason", "age_ms", "exchange_time", "spread", "mid", "totals"),
    *("known_to", "bids", "asks"),
)
_CANDLE = ("start", *_PRICES, "volume", "delta")
_CANDLE_DETAIL = (*_CANDLE, "end", "buy_volume", "sell_volume", "trades", "closed")
_BAR = ("start", "end", *_PRICES, "volume", "delta", "poc", "buy_imbalances", "sell_imbalances", "stacked")
_ROW = ("price", "buy", "sell")
_TRADE = ("time", "price", "quantity", "side", "id")
_ZONE = ("low", "high", "position", "distance_percent", "volume", "strength", "types")
_OVERVIEW = (
    *(*_WINDOW, *_PRICES, "change_percent", "trades", "volume", "turnover", "vwap", "row_size", *_VALUE),
    *("buy_share", "delta", "cvd", "cvd_since", "large_trades", "last_hour", "now"),
)
_SESSION = (
    *(
        *_WINDOW,
        "session",
        *_PRICES,
        "change_percent",
        "trades",
        "volume",
        "delta",
        "vwap",
        "row_size",
        *_VALUE,
    ),
    *("close_to_value_area", "initial_balance", "halves", "poc_migration", "busiest_minute"),
)
_EXCHANGE = (
    *("exchange", "volume", "share", "delta", "vwap", "last_price", "last_price_difference_bps", "poc"),
    *("vah", "val"),
)
_ALL = ("volume", "delta", "vwap", *_VALUE)


async def volume_profile(door: Door, asked: Arguments) -> Answer:
    """Tell the rows of most volume; with ``detail`` or a cursor, all of them by price, page by page."""
    count, detail, cursor = asked.whole("max_rows", 10, 0, MOST_ROWS), asked.flag("detail"), asked.cursor()
    if not detail and cursor is None:
        return await _heaviest_rows(door, asked, count)
    answer: Any = await door.ask(QUESTIONS["profile"], asked.window("1h"))
    rows: list[Answer] = answer["rows"]
    left = rows if cursor is None else _above(rows, cursor.after)
    shown = left[:count]
    more = _goes_on(answer, str(shown[-1]["price"])) if 0 < len(shown) < len(left) else {}
    told = brief.chosen(answer, _PROFILE, detail=detail)
    return {**told, "rows": shown, "rows_total": len(rows), "rows_shown": len(shown), **more}


async def _heaviest_rows(door: Door, asked: Arguments, count: int) -> Answer:
    answer: Any = await door.ask(profile.SHORT, {**asked.window("1h"), "rows": str(count)})
    shown, total = len(answer["rows"]), answer["rows_total"]
    more = brief.hint(answer) if shown < total else {}
    counts = {"rows": answer["rows"], "rows_total": total, "rows_shown": shown}
    return {**brief.chosen(answer, _PROFILE), **counts, **more}


def _above(rows: list[Answer], price: str) -> list[Answer]:
    try:
        parse(price)
    except NumberError:
        raise QuestionError("cursor", price, "the next_cursor of a volume profile") from None
    return [row for row in rows if Decimal(row["price"]) > Decimal(price)]


def _goes_on(answer: Mapping[str, Any], after: str) -> dict[str, str]:
    return {"next_cursor": str(Cursor(answer["start"], answer["end"], after))}


async def order_flow(door: Door, asked: Arguments) -> Answer:
    """Tell who was the aggressor."""
    detail = asked.flag("detail")
    return brief.chosen(await door.ask(QUESTIONS["flow"], asked.window("1h")), _FLOW, detail=detail)


async def market_depth(door: Door, asked: Arguments) -> Answer:
    """Tell the best levels of a book."""
    levels, detail = asked.whole("levels", 10, 1, MOST_LEVELS), asked.flag("detail")
    return brief.chosen(await door.depth({**asked.rest(), "levels": str(levels)}), _DEPTH, detail=detail)


async def candles(door: Door, asked: Arguments) -> Answer:
    """Tell the window's last candles, as a table; a cursor goes back in time."""
    limit, detail = asked.whole("limit", 12, 1, MOST_ROWS), asked.flag("detail")
    asked.cursor()
    answer: Any = await door.ask(QUESTIONS["candles"], asked.rest())
    shown = answer["candles"][-limit:]
    columns = _CANDLE_DETAIL if detail else _CANDLE
    return {
        **brief.chosen(answer, _WINDOW),
        "columns": list(columns),
        "candles": brief.table(shown, columns),
        **_went_back(answer, answer["candles"], shown),
    }


def _went_back(
    answer: Mapping[str, Any], found: list[Answer], shown: list[Answer], after: str = ""
) -> dict[str, str]:
    """Return the cursor of what comes before the bars shown: the window up to the first of them."""
    if len(shown) == len(found):
        return {}
    return {"next_cursor": str(Cursor(answer["start"], shown[0]["start"], after))}


async def footprint(door: Door, asked: Arguments) -> Answer:
    """Tell the window's last bars with their rows; a cursor goes back in time, at the same row size."""
    limit, rows = asked.whole("limit", 2, 1, MOST_BARS), asked.whole("max_rows", 12, 1, MOST_ROWS)
    detail, cursor = asked.flag("detail"), asked.cursor()
    if cursor is not None:
        asked.given["row_size"] = cursor.after
    answer: Any = await door.ask(QUESTIONS["footprint"], asked.rest())
    shown = answer["bars"][-limit:]
    return {
        **brief.chosen(answer, (*_WINDOW, "row_size")),
        "columns": list(_ROW),
        "bars": [_bar(one, None if detail else rows) for one in shown],
        **_went_back(answer, answer["bars"], shown, answer["row_size"]),
    }


def _bar(bar: Mapping[str, Any], count: int | None) -> Answer:
    rows = bar["rows"] if count is None else brief.heaviest(bar["rows"], count)
    told = {**brief.chosen(bar, _BAR), "rows": brief.table(rows, _ROW)}
    return told if len(rows) == len(bar["rows"]) else {**told, "rows_total": len(bar["rows"])}


async def liquidity_zones(door: Door, asked: Arguments) -> Answer:
    """Tell the zones nearest to the price."""
    limit, detail = asked.whole("limit", 6, 1, 100), asked.flag("detail")
    answer: Any = await door.ask(QUESTIONS["zones"], asked.rest())
    found: list[Answer] = answer["zones"]
    nearest_first = sorted(range(len(found)), key=lambda at: Decimal(found[at]["distance_percent"]))
    shown = [found[at] for at in sorted(nearest_first[:limit])]
    return {
        **brief.chosen(answer, (*_WINDOW, "heuristic", "row_size", "price")),
        "zones": [brief.chosen(one, _ZONE, detail=detail) for one in shown],
        "zones_total": len(found),
    }


async def market_overview(door: Door, asked: Arguments) -> Answer:
    """Tell where a market stands."""
    detail = asked.flag("detail")
    return brief.chosen(await door.ask(QUESTIONS["overview"], asked.rest()), _OVERVIEW, detail=detail)


async def session_analysis(door: Door, asked: Arguments) -> Answer:
    """Tell how a session went; hour by hour only with ``detail``."""
    detail = asked.flag("detail")
    return brief.chosen(await door.ask(QUESTIONS["session"], asked.rest()), _SESSION, detail=detail)


async def compare_exchanges(door: Door, asked: Arguments) -> Answer:
    """Tell one symbol on every exchange, each with its coverage."""
    detail = asked.flag("detail")
    answer: Any = await door.compare(asked.rest())
    coverages = answer["coverage"].items()
    return {
        **{
            name: answer[name]
            for name in ("symbol", "timeframe", "start", "end", "row_size", "mean_last_price")
        },
        "exchanges": [brief.chosen(one, _EXCHANGE, detail=detail) for one in answer["exchanges"]],
        "all": brief.chosen(answer["all"], _ALL, detail=detail),
        "coverage": {exchange: brief.coverage(one, detail=detail) for exchange, one in coverages},
    }


async def trades(door: Door, asked: Arguments) -> Answer:
    """Tell the trades after a cursor, oldest first; without one, the newest."""
    limit, detail = asked.whole("limit", 20, 1, MOST_TRADES), asked.flag("detail")
    answer: Any = await door.trades({**asked.rest(), "limit": str(limit)})
    return {
        **brief.chosen(answer, ("exchange", "symbol", "more"), detail=False),
        "columns": list(_TRADE),
        "trades": brief.table(answer["trades"], _TRADE),
        "next_cursor": answer["next"],
        **({"missed": answer["missed"]} if answer["missed"] else {}),
        **({"coverage": answer["coverage"]} if detail else {}),
    }


async def measure(door: Door, asked: Arguments) -> Answer:
    """Tell the answer to any question, its lists cut to their last entries."""
    name, detail = asked.text("question"), asked.flag("detail")
    limit = asked.whole("limit", 0, 1, MOST_ROWS) if "limit" in asked.given else None
    if name is None:
        raise MissingParameter("question", None, f"one of {', '.join(MEASURES)}")
    if name not in MEASURES:
        raise QuestionError("question", name, nearest(name, MEASURES))
    more = asked.given.pop("parameters", {})
    if not isinstance(more, dict):
        raise QuestionError("parameters", str(more), 'an object, such as {"bar": "1m"}')
    given = Arguments.of({**asked.given, **more}).rest()
    return brief.general(await door.ask(QUESTIONS[name], given), limit=limit, detail=detail)


#: The questions that have no tool of their own.
MEASURES = tuple(
    name
    for name in QUESTIONS
    if name not in ("profile", "flow", "candles", "footprint", "zones", "overview", "session")
)
