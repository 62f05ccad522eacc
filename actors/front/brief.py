"""Answers cut to an agent's context: what was asked first, the rest on request, what was left out said."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from wadm.analytics.profile import readable_row_size
from wadm.numbers import parse, plain, to_decimal

Answer = Mapping[str, Any]

_PROFILE = (
    *("exchange", "symbol", "timeframe", "start", "end", "row_size", "poc", "vah", "val", "value_area"),
    *("volume", "delta", "trades", "open", "high", "low", "close"),
)

_ORDER_FLOW = (
    *("exchange", "symbol", "timeframe", "start", "end", "volume", "buy_volume", "sell_volume"),
    *("delta", "delta_high", "delta_low", "cvd", "cvd_since", "imbalance_ratio", "trades"),
)

_DEPTH = (
    *("exchange", "symbol", "synced", "reason", "age_ms", "exchange_time", "spread", "mid", "totals"),
    *("known_to", "bids", "asks"),
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


def depth(answer: Answer, *, detail: bool) -> dict[str, Any]:
    """Return the best levels of a book."""
    return _chosen(answer, None if detail else _DEPTH)


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
    """Return a row size at which the whole profile is short, where the one asked for is finer."""
    if answer.get("low") is None or answer.get("high") is None:
        return None
    (low, low_decimals), (high, high_decimals) = parse(answer["low"]), parse(answer["high"])
    decimals = max(low_decimals, high_decimals)
    low, high = low * 10 ** (decimals - low_decimals), high * 10 ** (decimals - high_decimals)
    tick = answer.get("tick")
    size = readable_row_size(low, high, decimals, None if tick is None else Decimal(tick), _READABLE)
    if size <= Decimal(answer["row_size"]):
        return None
    rows = to_decimal(high, decimals) // size - to_decimal(low, decimals) // size + 1
    return f"row_size={plain(size)} shows the whole range in {rows:f} rows"
