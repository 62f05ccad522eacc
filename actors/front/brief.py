"""Answers cut to an agent's context: what was asked first, the rest on request, what was left out said."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from wadm.numbers import plain

Answer = Mapping[str, Any]

_PROFILE = (
    *("exchange", "symbol", "timeframe", "start", "end", "row_size", "poc", "vah", "val", "value_area"),
    *("volume", "delta", "trades", "open", "high", "low", "close"),
)

_ORDER_FLOW = (
    *("exchange", "symbol", "timeframe", "start", "end", "volume", "buy_volume", "sell_volume"),
    *("delta", "delta_high", "delta_low", "cvd", "cvd_since", "imbalance_ratio", "trades"),
)

_SYMBOL = ("exchange", "symbol", "last_price", "trades", "state")

#: Rows that a reader can take in at a glance.
_READABLE = 24


def profile(answer: Answer, *, max_rows: int, detail: bool) -> dict[str, Any]:
    """Return a profile with its rows of most volume, ascending by price."""
    rows: list[dict[str, Any]] = answer["rows"]
    shown = rows if len(rows) <= max_rows else _heaviest(rows, max_rows)
    brief = {**_chosen(answer, None if detail else _PROFILE), "rows": shown}
    brief |= {"rows_total": len(rows), "rows_shown": len(shown), "coverage": coverage(answer, detail=detail)}
    if len(shown) < len(rows) and (hint := _hint(answer)):
        brief["hint"] = hint
    return brief


def order_flow(answer: Answer, *, detail: bool) -> dict[str, Any]:
    """Return order flow."""
    return {
        **_chosen(answer, None if detail else _ORDER_FLOW),
        "coverage": coverage(answer, detail=detail),
    }


def symbols(answer: Answer, *, exchange: str | None, max_symbols: int, detail: bool) -> dict[str, Any]:
    """Return the symbols of one exchange or of all, the first ``max_symbols`` of them."""
    found = [one for one in answer["symbols"] if exchange in (None, one["exchange"])]
    shown = [_chosen(one, None if detail else _SYMBOL) for one in found[:max_symbols]]
    return {"symbols": shown, "total": len(found), "shown": len(shown)}


def coverage(answer: Answer, *, detail: bool) -> Any:
    """Return what the answer rests on; without ``detail``, gaps are only counted."""
    whole = answer["coverage"]
    if detail:
        return whole
    gaps = whole.get("gaps", [])
    brief = {**_chosen(whole, ("start", "end", "state", "completeness", "warming")), "gaps": len(gaps)}
    if gaps:
        brief["missing"] = sum(gap.get("missing") or 0 for gap in gaps)
    return brief


def _chosen(answer: Answer, names: tuple[str, ...] | None) -> dict[str, Any]:
    if names is None:
        return dict(answer)
    return {name: answer[name] for name in names if name in answer}


def _heaviest(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    heaviest = sorted(range(len(rows)), key=lambda at: Decimal(rows[at]["volume"]), reverse=True)[:count]
    return [rows[at] for at in sorted(heaviest)]


def _hint(answer: Answer) -> str | None:
    low, high = answer.get("low"), answer.get("high")
    if low is None or high is None:
        return None
    size = readable_row_size(Decimal(low), Decimal(high), answer.get("tick"))
    if size <= Decimal(answer["row_size"]):
        return None
    rows = Decimal(high) // size - Decimal(low) // size + 1
    return f"row_size={plain(size)} shows the whole range in {rows:f} rows"


def readable_row_size(low: Decimal, high: Decimal, tick: str | None) -> Decimal:
    """Return 1, 2 or 5 times a power of ten ticks, so that the range takes about 24 rows or fewer."""
    span = (high - low) / _READABLE
    unit = Decimal(tick) if tick else Decimal(1).scaleb(span.adjusted() - 1)
    power = 1
    while power * unit < span:
        power *= 10
    # One of the three below is the first that is wide enough.
    return next(
        size for size in (power * unit / 5, power * unit / 2, power * unit) if size >= span and size >= unit
    )
