"""Trades as rows of their sheet, and back."""

from collections.abc import Iterator

import attrs

from actors.storage.transfer.entries import EntryError, Fields, decimals_of, scaled
from actors.storage.transfer.sheets import TRADES, Row
from wadm.market import IdKind, Trades
from wadm.numbers import to_decimal


def rows_of(trades: Trades) -> Iterator[Row]:
    """Yield a row for each trade."""
    columns = zip(
        trades.ids, trades.times, trades.prices, trades.signed_quantities, trades.counts, strict=True
    )
    decimals = trades.price_decimals, trades.quantity_decimals
    for trade_id, time, price, signed, count in columns:
        yield (
            trades.exchange, trades.symbol, str(trades.id_kind), str(trade_id), time,
            to_decimal(price, decimals[0]), to_decimal(abs(signed), decimals[1]),
            "buy" if signed > 0 else "sell", count, *decimals,
        )  # fmt: skip


@attrs.define
class TradeRows:
    """Trades of one symbol as they are read row by row: columns at the finest decimals among them."""

    exchange: str
    symbol: str
    id_kind: IdKind
    counted: bool
    rows: list[Fields] = attrs.field(factory=list)

    def trades(self) -> Trades:
        """Return them as one run."""
        prices = max(one["price_decimals"] for one in self.rows)
        quantities = max(one["quantity_decimals"] for one in self.rows)
        return Trades(
            self.exchange, self.symbol, self.id_kind, prices, quantities,
            [int(one["trade_id"]) if self.counted else one["trade_id"] for one in self.rows],
            [one["time"] for one in self.rows],
            [scaled(one["price"], prices) for one in self.rows],
            [scaled(one["quantity"], quantities) * (1 if one["side"] == "buy" else -1) for one in self.rows],
            [one["count"] for one in self.rows],
        )  # fmt: skip


def check_trade(row: Row, *, counted: bool) -> Fields:
    """Return a trade's cells by name. Raises EntryError; ``counted`` says that ids are numbers."""
    fields: Fields = dict(zip(TRADES.names, row, strict=True))
    if fields["id_kind"] not in list(IdKind):
        raise EntryError(f"id_kind is {fields['id_kind']!r}; expected one of {', '.join(IdKind)}")
    if fields["side"] not in ("buy", "sell"):
        raise EntryError(f"side is {fields['side']!r}; expected buy or sell")
    if counted and not (fields["trade_id"].isdecimal() and len(fields["trade_id"]) <= 18):
        raise EntryError(f"trade_id is {fields['trade_id']!r}; this exchange counts them: expected a number")
    for name in ("time", "price", "quantity", "count"):
        if fields[name] <= 0:
            raise EntryError(f"{name} is not above 0")
    for name in ("price", "quantity"):
        scaled(fields[name], decimals_of(fields, f"{name}_decimals"))
    return fields
