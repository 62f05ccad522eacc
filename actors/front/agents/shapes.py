"""The shapes that agents are told of: what the tools take and what they answer, as JSON schemas.

Every word here stands in an agent's context for a whole session, so there are few.
"""

from typing import Any

from wadm.answers.asking import WINDOWS
from wadm.timeframes import TIMEFRAMES

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
NUMBER: Schema = {"type": ["string", "number"]}


def of(required: dict[str, Schema], **optional: Schema) -> Schema:
    """Return an object that has at least the required fields."""
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


def texts(*names: str) -> dict[str, Schema]:
    """Return fields of text."""
    return dict.fromkeys(names, TEXT)


def maybe(*names: str) -> dict[str, Schema]:
    """Return fields of text that may be null."""
    return dict.fromkeys(names, TEXT_OR_NULL)


def many(one: Schema) -> Schema:
    """Return a list."""
    return {"type": "array", "items": one}


def whole(low: int, high: int, default: int) -> Schema:
    """Return a whole number within bounds."""
    return {"type": "integer", "minimum": low, "maximum": high, "default": default}


def parameters(required: dict[str, Schema], *shared: dict[str, Schema], **own: Schema) -> Schema:
    """Return what a tool takes, and nothing else."""
    optional = {name: schema for group in shared for name, schema in group.items()}
    return {**of(required, **own, **optional), "additionalProperties": False}


# --- what tools take ---

ASKED = texts("exchange", "symbol")
DETAIL: dict[str, Schema] = {"detail": FLAG}
WINDOW: dict[str, Schema] = {
    "timeframe": {"enum": list(WINDOWS)},
    "start": {"type": "string", "description": "ISO 8601; with end, instead of timeframe"},
    "end": TEXT,
}
BAR: Schema = {"enum": list(TIMEFRAMES), "default": "5m"}
CURSOR: Schema = {"type": "string", "description": "next_cursor of the page before"}

# --- what tools answer ---

COVERAGE = of({"warming": FLAG}, state={"enum": ["final", "provisional"]}, gaps={}, missing=WHOLE)
HEADING: dict[str, Schema] = {
    **texts("exchange", "symbol"),
    "timeframe": TEXT_OR_NULL,
    **texts("start", "end"),
}
COVERED: dict[str, Schema] = {"coverage": COVERAGE}
VALUE = maybe("poc", "vah", "val")
CANDLE = maybe("open", "high", "low", "close")
PAGED: dict[str, Schema] = {"next_cursor": TEXT}
