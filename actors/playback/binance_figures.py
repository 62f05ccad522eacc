"""What Binance's REST interface tells of symbols as a whole: their list, their candles, their last day."""

from collections.abc import Sequence
from decimal import Decimal

from actors.playback.binance_query import Query, RefusedError, malformed, read_integer, read_text
from actors.playback.candles import DAY, MINUTE, Candle, Deal, candles, flat, fold
from actors.playback.fineness import Fineness, assets
from wadm.numbers import plain

_HOUR = 60 * MINUTE
_INTERVALS = {
    "1s": 1000,
    **{f"{count}m": count * MINUTE for count in (1, 3, 5, 15, 30)},
    **{f"{count}h": count * _HOUR for count in (1, 2, 4, 6, 8, 12)},
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": 7 * DAY,
}
#: Weeks begin on Mondays.
_MONDAY = 4 * DAY


def write_symbol(symbol: str, fineness: Fineness, *, futures: bool) -> dict[str, object]:
    """Write a symbol as ``exchangeInfo`` lists it; its steps are as fine as its recording."""
    base, quote = assets(symbol)
    perpetual = {"pair": symbol, "contractType": "PERPETUAL", "marginAsset": quote} if futures else {}
    return {
        "symbol": symbol,
        **perpetual,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": fineness.tick, "tickSize": fineness.tick},
            {"filterType": "LOT_SIZE", "minQty": fineness.step, "stepSize": fineness.step},
        ],
    }


def write_candles(deals: Sequence[Deal], query: Query, limit: int, *, futures: bool) -> list[list[object]]:
    """Write the candles that are asked for: the oldest from ``startTime`` on, else the newest."""
    interval = read_text(query, "interval")
    if interval is None:
        raise malformed("interval")
    if interval not in _INTERVALS or (futures and interval == "1s"):
        raise RefusedError(400, -1120, "Invalid interval.")
    start, end = read_integer(query, "startTime"), read_integer(query, "endTime")
    length = _INTERVALS[interval]
    found = [
        candle
        for candle in candles(deals, length, _MONDAY if interval == "1w" else 0)
        if (start is None or candle.start >= start) and (end is None or candle.start <= end)
    ]
    return [_row(candle, length) for candle in (found[-limit:] if start is None else found[:limit])]


def _row(candle: Candle, length: int) -> list[object]:
    return [
        candle.start,
        *map(plain, (candle.open, candle.high, candle.low, candle.close, candle.volume)),
        candle.start + length - 1,
        plain(candle.turnover),
        candle.count,
        plain(candle.bought),
        plain(candle.bought_turnover),
        "0",
    ]


def write_day(symbol: str, deals: Sequence[Deal], now: int) -> dict[str, object]:
    """Write what was traded in the 24 hours before ``now`` (ms)."""
    last_day = [deal for deal in deals if deal.time > now - DAY]
    day = fold(last_day[0].time, last_day) if last_day else flat(now, Decimal(0))
    return {
        "symbol": symbol,
        "priceChange": plain(day.close - day.open),
        "lastPrice": plain(day.close),
        "openPrice": plain(day.open),
        "highPrice": plain(day.high),
        "lowPrice": plain(day.low),
        "volume": plain(day.volume),
        "quoteVolume": plain(day.turnover),
        "openTime": day.start,
        "closeTime": now,
        "count": day.count,
    }
