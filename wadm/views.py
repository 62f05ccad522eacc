"""The shape of answers: exact numbers in plain notation, parameters and algorithm named, coverage stated."""

from collections.abc import Sequence
from decimal import Decimal

from wadm.analytics.profile import Profile
from wadm.bar import Bar, Mark
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
            "delta": made.volume(row[0] - row[1]),
            "count": row[2] + row[3],
        }
        for number in numbers
        if (row := made.rows.get(number, (0, 0, 0, 0)))
    ]
