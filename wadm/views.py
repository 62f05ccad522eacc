"""The shape of answers: exact numbers in plain notation, parameters and algorithm named, coverage stated."""

from collections.abc import Sequence
from decimal import Decimal

from wadm.analytics import order_flow, profile
from wadm.analytics.order_flow import OrderFlow
from wadm.analytics.profile import Profile
from wadm.bar import Bar, Mark
from wadm.coverage import Coverage
from wadm.instants import iso
from wadm.market import Instrument
from wadm.numbers import plain, plain_scaled


def default_row_size(instrument: Instrument, bar: Bar) -> Decimal:
    """Return the row size used when none was asked for: the tick, else the finest step seen in prices."""
    return instrument.tick or Decimal(1).scaleb(-bar.price_decimals)


def candle(bar: Bar) -> dict[str, object]:
    """Return what a bar says without its rows."""

    def price(scaled: int | None) -> str | None:
        return None if scaled is None else plain_scaled(scaled, bar.price_decimals)

    def volume(scaled: int) -> str:
        return plain_scaled(scaled, bar.quantity_decimals)

    buy, sell = bar.buy_volume, bar.sell_volume
    return {
        "trades": bar.buy_trades + bar.sell_trades,
        "volume": volume(buy + sell),
        "buy_volume": volume(buy),
        "sell_volume": volume(sell),
        "delta": volume(bar.delta),
        "open": price(bar.open and bar.open[2]),
        "high": price(bar.high),
        "low": price(bar.low),
        "close": price(bar.close and bar.close[2]),
    }


def value_area(made: Profile) -> dict[str, str | None]:
    """Return POC, VAH and VAL: lower edges of rows, null where nothing was traded."""
    named = {"poc": made.poc, "vah": made.vah, "val": made.val}
    return {name: None if row is None else made.price(row) for name, row in named.items()}


def summary(bar: Bar, made: Profile) -> dict[str, object]:
    """Return what replay and query print of one symbol, with the digest of its profile."""

    def trade_id(mark: Mark | None) -> object:
        return None if mark is None else mark[1]

    numbers = candle(bar)
    return {
        "trades": numbers.pop("trades"),
        "first_trade_id": trade_id(bar.open),
        "last_trade_id": trade_id(bar.close),
        **numbers,
        **value_area(made),
        "row_size": plain(made.row_size),
        "profile_sha256": made.sha256(),
    }


def rows(made: Profile, numbers: Sequence[int]) -> list[dict[str, object]]:
    """Return the rows named by ``numbers`` (row numbers of the profile)."""
    return [
        {
            "price": made.price(number),
            "volume": made.volume(row[0] + row[1]),
            "buy": made.volume(row[0]),
            "sell": made.volume(row[1]),
            "count": row[2] + row[3],
        }
        for number in numbers
        if (row := made.rows.get(number, [0, 0, 0, 0]))
    ]


def heading(instrument: Instrument, timeframe: str | None, start: int, end: int) -> dict[str, object]:
    """Return what every answer about a window begins with."""
    return {
        "exchange": instrument.exchange,
        "symbol": instrument.symbol,
        "timeframe": timeframe,
        "start": iso(start),
        "end": iso(end),
    }


def profile_answer(
    instrument: Instrument, timeframe: str | None, bar: Bar, made: Profile, coverage: Coverage
) -> dict[str, object]:
    """Return the answer to a question about a volume profile, with every row that traded, ascending."""
    return {
        **heading(instrument, timeframe, bar.start, bar.end),
        "algorithm": profile.ALGORITHM,
        "row_size": plain(made.row_size),
        "tick": None if instrument.tick is None else plain(instrument.tick),
        "value_area": plain(made.value_area),
        "method": str(made.method),
        "volume_unit": "base",
        **value_area(made),
        "value_area_volume": made.volume(made.value_area_volume),
        **candle(bar),
        "rows": rows(made, sorted(made.rows)),
        "coverage": coverage.answer(),
    }


def order_flow_answer(
    instrument: Instrument, timeframe: str | None, bar: Bar, flow: OrderFlow, coverage: Coverage
) -> dict[str, object]:
    """Return the answer to a question about order flow."""

    def volume(scaled: int) -> str:
        return plain_scaled(scaled, flow.quantity_decimals)

    return {
        **heading(instrument, timeframe, bar.start, bar.end),
        "algorithm": order_flow.ALGORITHM,
        "volume_unit": "base",
        "volume": volume(flow.volume),
        "buy_volume": volume(flow.buy_volume),
        "sell_volume": volume(flow.sell_volume),
        "delta": volume(flow.delta),
        "delta_high": volume(flow.delta_high),
        "delta_low": volume(flow.delta_low),
        "delta_path": "exact" if flow.exact_path else "inexact",
        "cvd": volume(flow.cvd),
        "cvd_since": iso(flow.session_start),
        "imbalance_ratio": None if flow.imbalance_ratio is None else plain(flow.imbalance_ratio),
        "trades": flow.buy_trades + flow.sell_trades,
        "buy_trades": flow.buy_trades,
        "sell_trades": flow.sell_trades,
        "coverage": coverage.answer(),
    }
