"""The tools that agents call: each one's name, what it says of itself, and whom it asks."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import attrs
from fastmcp.tools import Tool

from actors.front.agents import asks, shapes, standing
from actors.front.agents.arguments import Arguments
from actors.front.agents.shapes import (
    ASKED,
    BAR,
    CANDLE,
    COVERED,
    CURSOR,
    DETAIL,
    FLAG,
    HEADING,
    NUMBER,
    OBJECT,
    PAGED,
    TEXT,
    TEXT_OR_NULL,
    VALUE,
    WHOLE,
    WINDOW,
    Schema,
    many,
    maybe,
    of,
    parameters,
    texts,
    whole,
)  # fmt: skip
from actors.front.agents.tool import QuestionTool
from actors.front.door import Door
from wadm.questions import MOST_LEVELS


@attrs.frozen
class Row:
    """One tool. ``takes`` and ``answers`` are JSON schemas."""

    name: str
    title: str
    says: str
    ask: Callable[[Door, Arguments], Awaitable[dict[str, Any]]]
    takes: Schema
    answers: Schema


_ROWS = many(of({**texts("price", "volume", "buy", "sell"), "count": WHOLE}))
_LEVELS = many(many(TEXT))
_VOLUMES = texts("volume", "delta")

TOOLS = (
    Row(
        "get_volume_profile",
        "Volume profile",
        "Volume by price: POC, value area (VAH, VAL), rows of most volume; detail: all rows, paged by price."
        " Prices are lower edges of rows, numbers exact text. Default: the current hour.",
        asks.volume_profile,
        parameters(
            ASKED,
            WINDOW,
            DETAIL,
            row_size={**NUMBER, "description": "Price step or auto; default: the tick"},
            value_area={**NUMBER, "default": "0.7"},
            max_rows=whole(0, asks.MOST_ROWS, 10),
            cursor=CURSOR,
        ),
        of(
            {
                **HEADING,
                "row_size": TEXT,
                **VALUE,
                **_VOLUMES,
                "trades": WHOLE,
                "rows": _ROWS,
                "rows_total": WHOLE,
                "rows_shown": WHOLE,
                **COVERED,
            },
            hint=TEXT,
            **PAGED,
        ),
    ),
    Row(
        "get_order_flow",
        "Order flow",
        "Who was the aggressor: taker buy and sell volume, delta, CVD since the session's start (00:00 UTC).",
        asks.order_flow,
        parameters(ASKED, WINDOW, DETAIL),
        of(
            {
                **HEADING,
                **texts("volume", "buy_volume", "sell_volume", "delta", "delta_high", "delta_low", "cvd"),
                "imbalance_ratio": TEXT_OR_NULL,
                "trades": WHOLE,
                **COVERED,
            }
        ),
    ),
    Row(
        "get_market_depth",
        "Market depth",
        "Order book: best bids and asks as [price, quantity], spread, mid. Where synced is false the levels"
        " are of age_ms ago and may be wrong: say so.",
        asks.market_depth,
        parameters(ASKED, DETAIL, levels=whole(1, MOST_LEVELS, 10)),
        of(
            {
                **texts("exchange", "symbol"),
                "synced": FLAG,
                "reason": TEXT_OR_NULL,
                "age_ms": {"type": ["integer", "null"]},
                **maybe("spread", "mid"),
                "totals": of(texts("bids", "asks")),
                "bids": _LEVELS,
                "asks": _LEVELS,
                **COVERED,
            }
        ),
    ),
    Row(
        "stream_trades",
        "Trades",
        "Single trades, oldest first; side is the taker's. Without cursor the newest; call again with"
        " next_cursor for those since. missed: what is not kept any more.",
        asks.trades,
        parameters(ASKED, DETAIL, limit=whole(1, asks.MOST_TRADES, 20), cursor=TEXT),
        of(
            {
                **texts("exchange", "symbol"),
                "columns": many(TEXT),
                "trades": many({"type": "array"}),
                "next_cursor": TEXT,
                **COVERED,
            },
            missed=OBJECT,
        ),
    ),
    Row(
        "get_candles",
        "Candles",
        "The window's last candles with volume and delta, as a table. Default window: 4h.",
        asks.candles,
        parameters(ASKED, WINDOW, DETAIL, bar=BAR, limit=whole(1, asks.MOST_ROWS, 12), cursor=CURSOR),
        of({**HEADING, "columns": many(TEXT), "candles": many({"type": "array"}), **COVERED}, **PAGED),
    ),
    Row(
        "get_footprint",
        "Footprint",
        "Taker buying and selling by price row of each bar, imbalances and their stacks.",
        asks.footprint,
        parameters(
            ASKED,
            WINDOW,
            DETAIL,
            bar=BAR,
            row_size={**NUMBER, "default": "auto"},
            limit={**whole(1, asks.MOST_BARS, 2), "description": "Bars"},
            max_rows=whole(1, asks.MOST_ROWS, 12),
            cursor=CURSOR,
        ),
        of(
            {
                **HEADING,
                "row_size": TEXT,
                "columns": many(TEXT),
                "bars": many(of({**texts("start", "end"), "poc": TEXT_OR_NULL, "rows": many(many(TEXT))})),
                **COVERED,
            },
            **PAGED,
        ),
    ),
    Row(
        "get_liquidity_zones",
        "Liquidity zones",
        "Price zones near price (default: the last) where volume is: support, resistance, POC, VAH, VAL;"
        " a heuristic. Default window: 1d.",
        asks.liquidity_zones,
        parameters(
            ASKED,
            WINDOW,
            DETAIL,
            price=NUMBER,
            within={**NUMBER, "default": "1", "description": "Percent"},
            limit=whole(1, 100, 6),
        ),
        of(
            {
                **HEADING,
                "price": TEXT_OR_NULL,
                "zones": many(of({**texts("low", "high", "position", "strength"), "types": many(TEXT)})),
                "zones_total": WHOLE,
                **COVERED,
            }
        ),
    ),
    Row(
        "get_market_overview",
        "Market overview",
        "Where a market stands: price, change, profile, delta, CVD, large trades, last hour, funding, book."
        " Start here. Default: the last 24 hours.",
        asks.market_overview,
        parameters(ASKED, WINDOW, DETAIL, hours=whole(1, 168, 24)),
        of({**HEADING, **VALUE, **CANDLE, **_VOLUMES, "last_hour": OBJECT, "now": OBJECT, **COVERED}),
    ),
    Row(
        "get_session_analysis",
        "Session analysis",
        "A session as an auction: range, value area, initial balance, close against value, POC migration"
        " between its halves. session: its start as HH:MM@ZONE.",
        asks.session_analysis,
        parameters(ASKED, WINDOW, DETAIL, session={"type": "string", "default": "00:00@UTC"}),
        of(
            {
                **HEADING,
                **VALUE,
                **CANDLE,
                **_VOLUMES,
                "initial_balance": OBJECT,
                "halves": many(OBJECT),
                "close_to_value_area": TEXT_OR_NULL,
                **COVERED,
            }
        ),
    ),
    Row(
        "compare_exchanges",
        "Compare exchanges",
        "One symbol on every exchange that follows it: share of volume, price difference, VWAP, delta, POC."
        " Default: the current hour.",
        asks.compare_exchanges,
        parameters(texts("symbol"), WINDOW, DETAIL),
        of(
            {
                "symbol": TEXT,
                "exchanges": many(of({"exchange": TEXT, **_VOLUMES, **VALUE})),
                "all": of({**_VOLUMES, **VALUE}),
                "coverage": {"type": "object", "additionalProperties": shapes.COVERAGE},
            }
        ),
    ),
    Row(
        "get_measure",
        "Other measures",
        "Any other measure of a window. parameters: its own, such as bar; a wrong one is told which exist.",
        asks.measure,
        parameters(
            {**ASKED, "question": {"enum": list(asks.MEASURES)}},
            WINDOW,
            DETAIL,
            parameters=OBJECT,
            limit={"type": "integer", "description": "Last entries of each list"},
        ),
        of({**COVERED}, left_out=OBJECT),
    ),
    Row(
        "list_symbols",
        "Symbols",
        "Exchanges and symbols that can be asked about.",
        standing.list_symbols,
        parameters({}, DETAIL, exchange=TEXT, max_symbols=whole(1, standing.MOST_SYMBOLS, 20), cursor=CURSOR),
        of(
            {
                "symbols": many(of(texts("exchange", "symbol"), last_price=TEXT_OR_NULL, trades=WHOLE)),
                "total": WHOLE,
                "shown": WHOLE,
            },
            **PAGED,
        ),
    ),
    Row(
        "get_status",
        "Status",
        "Whether the daemon is healthy, what it takes in, gaps, latency.",
        standing.status,
        parameters({}, DETAIL),
        OBJECT,
    ),
)


def create_tools(door: Door) -> list[Tool]:
    """Return the tools, answering from ``door``."""
    return [
        QuestionTool.make(
            partial(row.ask, door),
            name=row.name,
            title=row.title,
            description=row.says,
            parameters=row.takes,
            answer=row.answers,
        )
        for row in TOOLS
    ]
