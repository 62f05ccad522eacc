"""What Bybit's REST interface tells of symbols: their list, their trades, their candles, their last day."""

from collections.abc import Sequence
from decimal import Decimal

from actors.playback.bybit_trades import BybitTrade
from actors.playback.candles import DAY, MINUTE, Candle, Deal, candles, flat, fold
from actors.playback.fineness import Fineness, assets
from wadm.numbers import plain

_INTERVALS = {
    **{str(minutes): minutes * MINUTE for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)},
    "D": DAY,
    "W": 7 * DAY,
}
#: Weeks begin on Mondays.
_MONDAY = 4 * DAY


def write_instrument(symbol: str, fineness: Fineness, *, linear: bool) -> dict[str, object]:
    """Write a symbol as the list has it; its steps are as fine as its recording."""
    base, quote = assets(symbol)
    steps = {"qtyStep": fineness.step} if linear else {"basePrecision": fineness.step}
    contract = {"contractType": "LinearPerpetual", "settleCoin": quote} if linear else {}
    return {
        "symbol": symbol,
        **contract,
        "status": "Trading",
        "baseCoin": base,
        "quoteCoin": quote,
        "priceFilter": {"tickSize": fineness.tick},
        "lotSizeFilter": {**steps, "minOrderQty": fineness.step},
    }


def write_trade(trade: BybitTrade) -> dict[str, object]:
    """Write a trade as the list of recent ones has it."""
    return {
        "execId": trade.i,
        "symbol": trade.s,
        "price": trade.p,
        "size": trade.v,
        "side": trade.S,
        "time": str(trade.T),
        "isBlockTrade": trade.BT,
        "isRPITrade": trade.RPI,
        "seq": str(trade.seq),
    }


def write_candles(
    deals: Sequence[Deal], interval: str, start: int | None, end: int | None, limit: int
) -> list[list[str]] | None:
    """Write the candles that begin from ``start`` to ``end`` (ms), the newest first; None for no interval.

    Where there are more than ``limit``, the oldest are left out, or with a start alone the newest.
    """
    length = _INTERVALS.get(interval)
    if length is None:
        return None
    found = [
        candle
        for candle in candles(deals, length, _MONDAY if interval == "W" else 0)
        if (start is None or candle.start >= start) and (end is None or candle.start <= end)
    ]
    kept = found[:limit] if end is None and start is not None else found[-limit:]
    return [_row(candle) for candle in reversed(kept)]


def _row(candle: Candle) -> list[str]:
    figures = (candle.open, candle.high, candle.low, candle.close, candle.volume, candle.turnover)
    return [str(candle.start), *map(plain, figures)]


def write_day(symbol: str, deals: Sequence[Deal], now: int) -> dict[str, object]:
    """Write what was traded in the 24 hours before ``now`` (ms)."""
    last_day = [deal for deal in deals if deal.time > now - DAY]
    day = fold(now, last_day) if last_day else flat(now, Decimal(0))
    return {
        "symbol": symbol,
        "lastPrice": plain(day.close),
        "prevPrice24h": plain(day.open),
        "highPrice24h": plain(day.high),
        "lowPrice24h": plain(day.low),
        "volume24h": plain(day.volume),
        "turnover24h": plain(day.turnover),
    }
