"""The shapes that agents are told of: what each tool takes and what it answers.

Every word here stands in an agent's context for a whole session, so there are few.
"""

from typing import Any

from wadm.answers.asking import WINDOWS
from wadm.questions import MOST_LEVELS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}


def _object(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


def _texts(*names: str) -> dict[str, Schema]:
    return dict.fromkeys(names, TEXT)


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _whole(low: int, high: int, default: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high, "default": default}


def _parameters(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {**_object(required, **optional), "additionalProperties": False}


DETAIL: Schema = {"type": "boolean", "default": False, "description": "Everything known"}

_WINDOW: dict[str, Schema] = {
    "timeframe": {
        "enum": list(WINDOWS),
        "description": "Its current window; default 1h. Or give start and end.",
    },
    "start": {"type": "string", "description": "ISO 8601, whole minute"},
    "end": {"type": "string"},
}

_ASKED: dict[str, Schema] = {
    "exchange": {"type": "string", "description": "See list_symbols"},
    "symbol": TEXT,
}

#: The most rows a profile shows and the most symbols a list shows.
MAX_ROWS = 500
MAX_SYMBOLS = 500

PROFILE_PARAMETERS = _parameters(
    _ASKED,
    **_WINDOW,
    row_size={"type": ["string", "number"], "description": "Price step; default the tick"},
    value_area={"type": ["string", "number"], "default": "0.7"},
    max_rows={**_whole(0, MAX_ROWS, 10), "description": "Rows of most volume to show"},
    detail=DETAIL,
)

ORDER_FLOW_PARAMETERS = _parameters(_ASKED, **_WINDOW, detail=DETAIL)

DEPTH_PARAMETERS = _parameters(_ASKED, levels=_whole(1, MOST_LEVELS, 10), detail=DETAIL)

SYMBOLS_PARAMETERS = _parameters(
    {},
    exchange={"type": "string", "description": "Only this one"},
    max_symbols=_whole(1, MAX_SYMBOLS, 20),
    detail=DETAIL,
)

_COVERAGE = _object({"state": {"enum": ["final", "provisional"]}, "gaps": {}, "warming": {"type": "boolean"}})

_HEADING: dict[str, Schema] = {
    **_texts("exchange", "symbol"),
    "timeframe": TEXT_OR_NULL,
    **_texts("start", "end"),
}

PROFILE_ANSWER = _object(
    {
        **_HEADING,
        "row_size": TEXT,
        "poc": TEXT_OR_NULL,
        "vah": TEXT_OR_NULL,
        "val": TEXT_OR_NULL,
        "volume": TEXT,
        "delta": TEXT,
        "trades": WHOLE,
        "rows": _list(_object({**_texts("price", "volume", "buy", "sell"), "count": WHOLE})),
        "rows_total": WHOLE,
        "rows_shown": WHOLE,
        "coverage": _COVERAGE,
    },
    hint=TEXT,
)

ORDER_FLOW_ANSWER = _object(
    {
        **_HEADING,
        **_texts("volume", "buy_volume", "sell_volume", "delta", "delta_high", "delta_low", "cvd"),
        "imbalance_ratio": TEXT_OR_NULL,
        "trades": WHOLE,
        "coverage": _COVERAGE,
    }
)

_LEVELS = _list(_list(TEXT))

DEPTH_ANSWER = _object(
    {
        **_texts("exchange", "symbol"),
        "synced": {"type": "boolean"},
        "reason": TEXT_OR_NULL,
        "age_ms": {"type": ["integer", "null"]},
        "spread": TEXT_OR_NULL,
        "mid": TEXT_OR_NULL,
        "totals": _object(_texts("bids", "asks")),
        "bids": _LEVELS,
        "asks": _LEVELS,
    }
)

SYMBOLS_ANSWER = _object(
    {
        "symbols": _list(_object(_texts("exchange", "symbol"), last_price=TEXT_OR_NULL, trades=WHOLE)),
        "total": WHOLE,
        "shown": WHOLE,
    }
)
